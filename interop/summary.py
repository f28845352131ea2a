"""`python -m interop summary FILE ...`: results as a table for a README.

    python -m interop summary interop/results/*.json --into README.md

puts it between the lines `<!-- interop: begin -->` and `<!-- interop: end -->` of that file.
"""

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

BEGIN: Final = "<!-- interop: begin -->"
END: Final = "<!-- interop: end -->"


def main(words: Sequence[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m interop summary", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="made by --json")
    parser.add_argument("--into", type=Path, metavar="FILE", help="a Markdown file with the marks")
    options = parser.parse_args(words)
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in options.files]
    text = table(runs)
    if options.into is None:
        print(text)
    else:
        options.into.write_text(put(options.into.read_text(encoding="utf-8"), text))
    return 0


def table(runs: Sequence[dict[str, Any]]) -> str:
    """The Markdown table: a row for each client, a column for each broker."""
    brokers = [broker for run in runs for broker in run["brokers"]]
    date = max(str(run["date"])[:10] for run in runs)
    clients: dict[str, str] = {}
    for broker in brokers:
        for client in broker["clients"]:
            clients.setdefault(client["client"], client["version"])
    heads = [broker["name"] for broker in brokers]
    lines = [f"| {date} | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for name, version in clients.items():
        cells = [_cell(broker, name) for broker in brokers]
        lines.append(f"| {name} {version} | {' | '.join(cells)} |")
    lines.append(f"| rules, as expected | {' | '.join(map(_rules, brokers))} |")
    return "\n".join(lines)


def put(text: str, between: str) -> str:
    """`text` with what stands between the marks replaced. Raises ValueError without marks."""
    if BEGIN not in text or END not in text:
        raise ValueError(f"no {BEGIN} and {END} there")
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    return pattern.sub(lambda _: f"{BEGIN}\n{between}\n{END}", text)


def _cell(broker: dict[str, Any], name: str) -> str:
    for client in broker["clients"]:
        if client["client"] == name:
            results = [answer["result"] for answer in client["answers"]]
            asked = len(results) - results.count("skip")
            return f"{results.count('pass')} of {asked}"
    return "-"


def _rules(broker: dict[str, Any]) -> str:
    results = [rule["result"] for rule in broker["rules"]]
    asked = len(results) - results.count("elsewhere")
    return f"{results.count('keeps') + results.count('deviates')} of {asked}" if asked else "-"
