"""The matrix as text for a terminal, and as JSON for machines."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from interop.results import FAIL, PASS, SKIP, Column, Matrix
from interop.rules.judge import FAILS
from interop.rules.table import summary
from interop.scenarios import Scenario

_CELLS: Final = {PASS: "ok", FAIL: "FAIL", SKIP: "skip"}
_COLOURS: Final = {PASS: "\x1b[32m", FAIL: "\x1b[1;31m", SKIP: "\x1b[2m"}
_PLAIN: Final = "\x1b[0m"


def render(
    matrix: Matrix,
    scenarios: Sequence[Scenario],
    *,
    absent: Mapping[str, str] | None = None,
    colour: bool = False,
) -> str:
    """Draw one broker's matrix: a row per scenario, a column per client, reasons below.

    `absent` says of clients without a column why they did not run.
    """
    lines = [f"{matrix.broker} at {matrix.url}" if matrix.broker else matrix.url]
    if matrix.error:
        return "\n".join([*lines, "", f"  {_paint(FAIL, 'FAIL', colour)}  {matrix.error}", ""])
    names = max((len(scenario.name) for scenario in scenarios), default=0)
    widths = [max(len(column.client), 4) for column in matrix.columns]
    heads = [
        f"{column.client:<{width}}" for column, width in zip(matrix.columns, widths, strict=True)
    ]
    group = ""
    lines += ["", f"  {'':<{names}}  {'  '.join(heads)}".rstrip()]
    for scenario in scenarios:
        if scenario.group != group:
            group = scenario.group
            lines.append(f"  {group}:")
        cells = [
            _cell(column, scenario.name, width, colour)
            for column, width in zip(matrix.columns, widths, strict=True)
        ]
        lines.append(f"  {scenario.name:<{names}}  {'  '.join(cells)}".rstrip())
    lines += [*_reasons(matrix, FAIL, "Failures"), *_reasons(matrix, SKIP, "Skipped")]
    lines += [f"  {name} did not run: {reason}" for name, reason in (absent or {}).items()]
    lines += ["", _summary(matrix, colour), *_rules(matrix), ""]
    return "\n".join(lines)


def as_json(matrices: Iterable[Matrix], *, date: str) -> dict[str, object]:
    """The whole run as plain values: brokers, their clients, their answers."""
    return {
        "date": date,
        "brokers": [
            {
                "url": matrix.url,
                "broker": matrix.broker,
                "error": matrix.error,
                "name": matrix.title,
                "clients": [_column_json(column, matrix) for column in matrix.columns],
                "rules": [
                    {
                        "rule": verdict.rule.name,
                        "level": verdict.rule.level,
                        "result": verdict.result,
                        "dialogue": verdict.dialogue,
                    }
                    for verdict in matrix.verdicts
                ],
            }
            for matrix in matrices
        ],
    }


def _column_json(column: Column, matrix: Matrix) -> dict[str, object]:
    return {
        "client": column.client,
        "version": column.version,
        "answers": [
            {
                "scenario": answer.scenario,
                "result": answer.result,
                "reason": answer.reason,
                "ms": answer.ms,
                "dialogue": matrix.dialogue(column.client, answer.scenario),
            }
            for answer in column.answers
        ],
    }


def _rules(matrix: Matrix) -> list[str]:
    """The rules that failed, and how many there were."""
    if not matrix.verdicts:
        return []
    failed = [verdict for verdict in matrix.verdicts if verdict.result == FAILS]
    lines = [f"  {summary(matrix.verdicts)}"]
    if failed:
        lines.append("  failed (see `python -m interop rules NAME` for the dialogue):")
    return [*lines, *(f"    {verdict.rule.name}" for verdict in failed)]


def _cell(column: Column, scenario: str, width: int, colour: bool) -> str:
    answer = column.answer(scenario)
    if answer is None:
        return f"{'-':<{width}}"
    return _paint(answer.result, f"{_CELLS[answer.result]:<{width}}", colour)


def _reasons(matrix: Matrix, result: str, title: str) -> list[str]:
    """Why cells have this result; the same reason for several scenarios is said once."""
    found: dict[tuple[str, str], list[str]] = {}
    for column in matrix.columns:
        for answer in column.answers:
            if answer.result == result:
                found.setdefault((column.client, answer.reason), []).append(answer.scenario)
    if not found:
        return []
    lines = ["", f"  {title}:"]
    for (client, reason), scenarios in found.items():
        lines.append(f"  {client}: {', '.join(scenarios)}")
        lines.append(f"      {reason}")
    return lines


def _summary(matrix: Matrix, colour: bool) -> str:
    versions = ", ".join(f"{c.client} {c.version}".strip() for c in matrix.columns)
    counts = (
        f"{matrix.count(PASS)} passed, {matrix.count(FAIL)} failed, {matrix.count(SKIP)} skipped"
    )
    return f"  {_paint(PASS if matrix.is_green() else FAIL, counts, colour)} ({versions})"


def _paint(result: str, text: str, colour: bool) -> str:
    return f"{_COLOURS[result]}{text}{_PLAIN}" if colour else text
