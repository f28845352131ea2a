"""A run as one HTML page that needs nothing else: what passed where, and why what failed did."""

from collections.abc import Sequence
from html import escape
from typing import Final

from interop.results import FAIL, PASS, SKIP, Column, Matrix
from interop.rules.judge import DEVIATES, ELSEWHERE, FAILS, KEEPS, Verdict
from interop.scenarios import CATALOGUE, Scenario

_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem;
  color: light-dark(#1b1f24, #d8dee4); background: light-dark(#fff, #14171a); }
h1 { font-size: 1.5rem; } h2 { margin-top: 2.5rem; font-size: 1.2rem; } h3 { font-size: 1rem; }
p.note { color: light-dark(#59636e, #9198a1); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .86rem; }
th, td { padding: .22rem .55rem; border-bottom: 1px solid light-dark(#e3e6ea, #2a2f35);
  text-align: left; vertical-align: top; }
thead th { position: sticky; top: 0; background: light-dark(#fff, #14171a); white-space: nowrap; }
th.group { padding-top: 1rem; color: light-dark(#59636e, #9198a1); font-weight: 600; }
td.cell { text-align: center; white-space: nowrap; }
.pass { color: light-dark(#1a7f37, #3fb950); }
.skip, .none { color: light-dark(#8c959f, #6e7681); }
.fail { color: #fff; background: light-dark(#cf222e, #b62324); font-weight: 600; }
.as { color: light-dark(#9a6700, #d29922); }
pre { font: .8rem/1.4 ui-monospace, monospace; background: light-dark(#f6f8fa, #1c2126);
  padding: .7rem; overflow-x: auto; border-radius: 4px; }
pre .plus { color: light-dark(#1a7f37, #3fb950); }
pre .minus { color: light-dark(#cf222e, #f85149); }
summary { cursor: pointer; } code { font-family: ui-monospace, monospace; }
"""
_MARKS: Final = {PASS: ("pass", "ok"), FAIL: ("fail", "fail"), SKIP: ("skip", "skip")}
_VERDICTS: Final = {
    KEEPS: ("pass", "ok"),
    DEVIATES: ("as", "as RabbitMQ"),
    FAILS: ("fail", "fail"),
    ELSEWHERE: ("skip", "-"),
}


def as_page(matrices: Sequence[Matrix], *, date: str) -> str:
    """The whole page."""
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>AMQP 0-9-1 interoperability</title><style>{_STYLE}</style></head><body>",
        "<h1>AMQP 0-9-1 interoperability</h1>",
        f"<p class='note'>{escape(date)}. Real clients, unchanged, and named rules, asked of "
        f"{_count(len(matrices), 'broker')}. What is expected is what RabbitMQ 3.10.8 does.</p>",
        _summary(matrices),
    ]
    for matrix in matrices:
        parts.append(f"<h2>{escape(matrix.title)}: clients</h2>")
        parts.append(_matrix(matrix) if matrix.columns else f"<p>{escape(matrix.error)}</p>")
    if any(matrix.verdicts for matrix in matrices):
        parts += ["<h2>Rules</h2>", _rules(matrices)]
    parts += [_failures(matrices), "</body></html>"]
    return "\n".join(parts) + "\n"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _summary(matrices: Sequence[Matrix]) -> str:
    rows = []
    for matrix in matrices:
        kept = sum(verdict.result in (KEEPS, DEVIATES) for verdict in matrix.verdicts)
        asked = sum(verdict.result != ELSEWHERE for verdict in matrix.verdicts)
        rows.append(
            f"<tr><td>{escape(matrix.title)}</td><td>{len(matrix.columns)}</td>"
            f"<td class='pass'>{matrix.count(PASS)}</td><td>{matrix.count(FAIL)}</td>"
            f"<td class='skip'>{matrix.count(SKIP)}</td><td>{kept} of {asked}</td></tr>"
        )
    head = "".join(
        f"<th>{word}</th>"
        for word in ("broker", "clients", "passed", "failed", "skipped", "rules as expected")
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _matrix(matrix: Matrix) -> str:
    heads = "".join(
        f"<th>{escape(column.client)}<br><small>{escape(column.version)}</small></th>"
        for column in matrix.columns
    )
    rows = []
    group = ""
    for scenario in _asked(matrix.columns):
        if scenario.group != group:
            group = scenario.group
            span = len(matrix.columns) + 1
            rows.append(f"<tr><th class='group' colspan='{span}'>{escape(group)}</th></tr>")
        cells = "".join(_cell(matrix, column, scenario) for column in matrix.columns)
        rows.append(
            f"<tr><td title='{escape(scenario.expectation, quote=True)}'>"
            f"{escape(scenario.name)}</td>{cells}</tr>"
        )
    return (
        f"<div class='scroll'><table><thead><tr><th></th>{heads}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _asked(columns: Sequence[Column]) -> list[Scenario]:
    names = {answer.scenario for column in columns for answer in column.answers}
    return [scenario for scenario in CATALOGUE if scenario.name in names]


def _cell(matrix: Matrix, column: Column, scenario: Scenario) -> str:
    answer = column.answer(scenario.name)
    if answer is None:
        return "<td class='cell none'></td>"
    kind, word = _MARKS[answer.result]
    title = escape(answer.reason or f"{answer.ms} ms", quote=True)
    if answer.result == FAIL:
        word = f"<a class='fail' href='#{_anchor(matrix, column.client, scenario.name)}'>fail</a>"
    return f"<td class='cell {kind}' title='{title}'>{word}</td>"


def _anchor(matrix: Matrix, client: str, name: str) -> str:
    return escape(f"{matrix.url}-{client}-{name}".replace(" ", "-"), quote=True)


def _rules(matrices: Sequence[Matrix]) -> str:
    asked = [matrix for matrix in matrices if matrix.verdicts]
    heads = "".join(f"<th>{escape(matrix.title)}</th>" for matrix in asked)
    rows = []
    group = ""
    for at, verdict in enumerate(asked[0].verdicts):
        rule = verdict.rule
        if rule.group != group:
            group = rule.group
            rows.append(
                f"<tr><th class='group' colspan='{len(asked) + 3}'>{escape(group)}</th></tr>"
            )
        cells = "".join(_verdict(matrix, matrix.verdicts[at]) for matrix in asked)
        words = f"{rule.words} <i>{rule.elsewhere}</i>" if rule.elsewhere else rule.words
        rows.append(
            f"<tr><td><code>{escape(rule.name)}</code></td><td>{rule.level}</td>{cells}"
            f"<td>{escape(words).replace('&lt;i&gt;', '<i>').replace('&lt;/i&gt;', '</i>')}</td>"
            "</tr>"
        )
    return (
        f"<div class='scroll'><table><thead><tr><th>rule</th><th>level</th>{heads}<th></th></tr>"
        f"</thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _verdict(matrix: Matrix, verdict: Verdict) -> str:
    kind, word = _VERDICTS[verdict.result]
    if verdict.result == FAILS:
        word = f"<a class='fail' href='#{_anchor(matrix, 'rule', verdict.rule.name)}'>fail</a>"
    return f"<td class='cell {kind}'>{word}</td>"


def _failures(matrices: Sequence[Matrix]) -> str:
    parts = []
    for matrix in matrices:
        for column in matrix.columns:
            for answer in column.answers:
                if answer.result == FAIL:
                    name = f"{matrix.title}: {column.client}, {answer.scenario}"
                    anchor = _anchor(matrix, column.client, answer.scenario)
                    lines = matrix.dialogue(column.client, answer.scenario)
                    parts.append(_failure(anchor, name, answer.reason, lines))
        for verdict in matrix.verdicts:
            if verdict.result == FAILS:
                anchor = _anchor(matrix, "rule", verdict.rule.name)
                name = f"{matrix.title}: {verdict.rule.name}"
                parts.append(_failure(anchor, name, verdict.rule.words, verdict.dialogue))
    if not parts:
        return ""
    note = "<p class='note'>- is what was expected, + what came; in wire dialogues &gt; is the "
    return "\n".join(["<h2>Failures</h2>", f"{note}client, &lt; the broker.</p>", *parts])


def _failure(anchor: str, name: str, reason: str, lines: Sequence[str]) -> str:
    shown = []
    for line in lines:
        text = escape(line)
        kind = {"-": "minus", "+": "plus"}.get(line.strip()[:1], "")
        shown.append(f"<span class='{kind}'>{text}</span>" if kind else text)
    dialogue = "\n".join(shown)
    details = f"<details open><summary>dialogue</summary><pre>{dialogue}</pre></details>"
    return f"<h3 id='{anchor}'>{escape(name)}</h3><p>{escape(reason)}</p>" + (
        details if lines else ""
    )
