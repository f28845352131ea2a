"""`python -m interop rules`: which rules do brokers keep?"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from interop.address import Address, parse
from interop.brokers import NoBrokerHere, located
from interop.probe import NoBroker, probe
from interop.rules import book, table
from interop.rules.judge import FAILS, Verdict, judge
from interop.script.language import show_step
from interop.script.player import play_script

DEFAULT_URL: Final = "amqp://guest:guest@127.0.0.1:5672/"


def main(words: Sequence[str]) -> int:
    """Run the command; 0 if no rule failed."""
    options = _parser().parse_args(words)
    try:
        if options.record is not None:
            with located([options.url[0]]) as (url,):
                _record(options.record, parse(url))
            return 0
        rules = book.select(book.load(), options.rules)
        if options.list:
            print("\n".join(f"{rule.name}  {rule.level}  {rule.words}" for rule in rules))
            return 0
        return _run(rules, options.url or [DEFAULT_URL])
    except (book.BadBook, NoBrokerHere, NoBroker, ValueError) as error:
        print(f"interop: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m interop rules", description="Which rules of AMQP and RabbitMQ are kept?"
    )
    parser.add_argument("rules", nargs="*", metavar="RULE", help="only these (patterns)")
    parser.add_argument(
        "--url", action="append", default=[], metavar="URL", help=f"(default {DEFAULT_URL})"
    )
    parser.add_argument("--list", action="store_true", help="show the rules, and stop")
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="fill in what the broker answers to rules without expectations, for people to read",
    )
    return parser


def _run(rules: list[book.Rule], urls: list[str]) -> int:
    failed = False
    with located(urls) as known:
        for url in known:
            address = parse(url)
            broker = probe(address)
            verdicts = ask(rules, address)
            failed = failed or any(verdict.result == FAILS for verdict in verdicts)
            print(table.render(f"{broker} at {address.shown()}", verdicts), flush=True)
    return 1 if failed else 0


def ask(rules: Sequence[book.Rule], address: Address) -> list[Verdict]:
    """The verdict on each rule at one broker."""
    verdicts = []
    for count, rule in enumerate(rules, 1):
        verdicts.append(judge(rule, address))
        if sys.stderr.isatty():
            print(f"\r{count}/{len(rules)} rules", end="", file=sys.stderr)
    return verdicts


def _record(path: Path, address: Address) -> None:
    """Write the answers of a broker into a file of rules, where a script has none yet."""
    text = path.read_text(encoding="utf-8")
    lines = []
    for block in text.split("\n== "):
        block = block.removeprefix("== ")
        lines += _recorded(book.parse(f"== {block}", path.name)[0], block, address)
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _recorded(rule: book.Rule, block: str, address: Address) -> list[str]:
    if rule.elsewhere or any(expected.lines for expected in rule.script):
        return [f"== {block.rstrip()}", ""]
    steps = [expected.step for expected in rule.script]
    outcomes = play_script(address, "interop.record.", steps)
    head = [line for line in block.splitlines() if line.strip() and not book.is_step(line)]
    lines = [f"== {head[0]}", *head[1:]]
    for outcome in outcomes:
        lines += [show_step(outcome.step), *(f"    {line}" for line in outcome.lines)]
    return [*lines, ""]
