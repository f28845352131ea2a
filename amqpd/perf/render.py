"""Text and JSON of the measurements."""

from collections.abc import Mapping, Sequence

from amqpd.perf.table import Cell, Comparison, Row


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Lay out rows in columns, the first to the left and the others to the right.

    The first row is a head, and a line is drawn below it.
    """
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        cells[0] = row[0].ljust(widths[0])
        lines.append("  ".join(cells))
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def facts(named: Mapping[str, str]) -> str:
    """Lay out named facts, one a line."""
    width = max(len(name) for name in named)
    return "\n".join(f"{name.ljust(width)}  {text}" for name, text in named.items())


def number(value: float | None) -> str:
    """Write a number with as many digits as carry meaning."""
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def comparison_text(comparison: Comparison, machine: Mapping[str, str]) -> str:
    """Write the whole comparison: facts, table, notes."""
    pace, named = comparison.pace, dict(machine)
    for contestant in comparison.contestants:
        properties = contestant.server_properties
        said = (str(properties.get(key, "")) for key in ("product", "version", "platform"))
        where = f"{contestant.target.host}:{contestant.target.port}"
        named[contestant.label] = f"{' '.join(word for word in said if word)} at {where}"
    rounds = "1 round" if pace.rounds == 1 else f"{pace.rounds} rounds"
    notes = [
        f"median of {rounds} of {pace.seconds:g} s, brokers in turn; "
        f"ratios above 1: {comparison.contestants[0].label} is ahead",
        *_widest_spread(comparison),
        *comparison.notes,
        *_failures(comparison),
    ]
    return "\n".join([facts(named), "", comparison_table(comparison), "", *notes])


def comparison_table(comparison: Comparison) -> str:
    """Write the table: a row per measure, a column per broker, a ratio per broker but the first."""
    labels = [contestant.label for contestant in comparison.contestants]
    head = ["", "", "unit", *labels, *(f"x {label}" for label in labels[1:])]
    lines = [head]
    for row in comparison.rows:
        ratios = [number(row.ratio(index)) for index in range(1, len(labels))]
        disk = "disk" if row.scenario.on_disk else ""
        cells = [_cell(cell) for cell in row.cells]
        lines.append([row.scenario.title, disk, row.measure.unit, *cells, *ratios])
    return columns(lines)


def comparison_json(comparison: Comparison, machine: Mapping[str, str]) -> dict[str, object]:
    """Make the comparison's JSON: all values of all rounds, and no password."""
    pace = comparison.pace
    return {
        "machine": dict(machine),
        "seconds": pace.seconds,
        "rounds": pace.rounds,
        "quick": pace.quick,
        "brokers": [
            {
                "label": each.label,
                "address": f"{each.target.host}:{each.target.port}",
                "server_properties": {k: str(v) for k, v in each.server_properties.items()},
            }
            for each in comparison.contestants
        ],
        "rows": [_row_json(comparison, row) for row in comparison.rows],
        "notes": [*comparison.notes, *_failures(comparison)],
    }


def _row_json(comparison: Comparison, row: Row) -> dict[str, object]:
    brokers: dict[str, object] = {}
    for index, (contestant, cell) in enumerate(zip(comparison.contestants, row.cells, strict=True)):
        brokers[contestant.label] = {
            "median": cell.median,
            "values": cell.values,
            "failures": cell.failures,
            "ratio": row.ratio(index),
        }
    return {
        "scenario": row.scenario.name,
        "title": row.scenario.title,
        "on_disk": row.scenario.on_disk,
        "unit": row.measure.unit,
        "lower_is_better": row.measure.lower_is_better,
        "brokers": brokers,
    }


def _cell(cell: Cell) -> str:
    if not cell.values:
        return "fails"
    return number(cell.median) + ("!" if cell.failures else "")


def _widest_spread(comparison: Comparison) -> list[str]:
    spreads = [
        (cell.spread, f"{row.scenario.name} in {row.measure.unit}, {contestant.label}")
        for row in comparison.rows
        for contestant, cell in zip(comparison.contestants, row.cells, strict=True)
        if len(cell.values) > 1
    ]
    if not spreads:
        return []
    widest, where = max(spreads)
    return [f"widest spread between rounds: {widest:.0%} of the median ({where})"]


def _failures(comparison: Comparison) -> list[str]:
    found: list[str] = []
    for row in comparison.rows:
        for contestant, cell in zip(comparison.contestants, row.cells, strict=True):
            for reason in cell.failures:
                line = f"failed: {row.scenario.name}, {contestant.label}: {reason}"
                if line not in found:
                    found.append(line)
    return found
