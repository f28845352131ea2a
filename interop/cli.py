"""The command line: `python -m interop [--url URL ...]`, and `python -m interop install`.

Exit codes: 0 nothing failed; 1 a scenario failed or a broker did not answer; 2 the question made
no sense, or no client can run here; 130 interrupted.
"""

import argparse
import asyncio
import json
import os
import secrets
import sys
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from interop import manifest, report, runner, summary
from interop.address import Address, parse
from interop.brokers import BROKERS, NoBrokerHere, located
from interop.differential import command as differential
from interop.install import NotInstalled, install
from interop.junit import as_junit
from interop.manifest import BadManifest, Client
from interop.page import as_page
from interop.probe import NoBroker, probe
from interop.recorder import recording
from interop.results import FAIL, Answer, Column, Matrix
from interop.rules import command as rules_command
from interop.rules.book import Rule
from interop.rules.book import load as load_rules
from interop.rules.command import ask
from interop.scenarios import Scenario, select

DEFAULT_URL: Final = "amqp://guest:guest@127.0.0.1:5672/"
# Commands with options of their own.
OTHERS: Final = {
    "differential": differential.main,
    "rules": rules_command.main,
    "summary": summary.main,
}
GREEN: Final = 0
FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130
LISTENED_MAX: Final = 8  # failures of one client that are played again, to hear the wire
LISTENED_MS: Final = 6000  # what failed by silence says nothing the second time, either


def main(words: Sequence[str], clients_folder: Path = manifest.CLIENTS) -> int:
    """Run the command line `words` with the clients in a folder; returns the exit code."""
    if words and words[0] in OTHERS:
        return OTHERS[words[0]](words[1:])
    options = _parser().parse_args(words)
    try:
        names = [*options.names, *options.client]
        clients = _select_clients(manifest.load_all(clients_folder), names)
        scenarios = select(options.scenario)
        for url in options.url or []:
            if url not in BROKERS:
                parse(url)
        is_part = bool(names or options.scenario)
        rules = [] if options.no_rules or (is_part and not options.rules) else load_rules()
    except (BadManifest, ValueError) as error:  # BadBook is a ValueError
        return _complain(str(error))
    if options.list:
        print(_listing(clients, scenarios))
        return GREEN
    if options.command == "install":
        return _install(clients, names)
    try:
        return _run(options, clients, scenarios, rules)
    except NoBrokerHere as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m interop",
        description="Run real AMQP clients against a broker and show what works.",
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=["run", "install"],
        default="run",
        help="run the scenarios (default), or install the clients into .interop/",
    )
    # "install pika" reads better than "install --client pika"; both work.
    parser.add_argument("names", nargs="*", metavar="CLIENT", help="the same as --client")
    parser.add_argument(
        "--url",
        action="append",
        metavar="URL",
        help=f"the broker; may be given several times (default {DEFAULT_URL})",
    )
    parser.add_argument(
        "--client", action="append", default=[], metavar="NAME", help="only this client (repeat)"
    )
    parser.add_argument(
        "--scenario",
        action="append",
        default=[],
        metavar="NAME",
        help="only this scenario, or those that match a pattern like 'tx-*' (repeat)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="the same as JUnit XML")
    parser.add_argument("--html", type=Path, metavar="FILE", help="the same as a page")
    parser.add_argument(
        "--rules", action="store_true", help="the rules, too, where clients are named"
    )
    parser.add_argument(
        "--no-rules", action="store_true", help="only the clients (so too if some are named)"
    )
    parser.add_argument("--list", action="store_true", help="list scenarios and clients, and stop")
    return parser


def _select_clients(clients: list[Client], names: Sequence[str]) -> list[Client]:
    known = [client.name for client in clients]
    for name in names:
        if name not in known:
            raise ValueError(f"no client is called {name} (there are {', '.join(known)})")
    return [client for client in clients if not names or client.name in names]


def _run(
    options: argparse.Namespace,
    clients: Sequence[Client],
    scenarios: Sequence[Scenario],
    rules: Sequence[Rule],
) -> int:
    """Play everything, print each matrix as it is complete, write the files."""
    absent = {client.name: client.missing() for client in clients if client.missing()}
    present = [client for client in clients if client.name not in absent]
    if not present:
        return _complain("\n".join(f"{name}: {reason}" for name, reason in absent.items()))
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    matrices = []
    asked = options.url or [DEFAULT_URL]
    with located(asked) as urls:
        for word, url in zip(asked, urls, strict=True):
            address = parse(url)
            matrix = Matrix(address.shown(), "")
            matrices.append(matrix)
            try:
                asyncio.run(_play(matrix, address, present, scenarios, rules))
            finally:  # an interrupted run shows what it has found so far
                if word in BROKERS:
                    matrix.name = f"{word} (says {matrix.broker})" if matrix.broker else word
                print(report.render(matrix, scenarios, absent=absent, colour=colour), flush=True)
    _write(options, matrices)
    return GREEN if all(matrix.is_green() for matrix in matrices) else FAILED


def _write(options: argparse.Namespace, matrices: Sequence[Matrix]) -> None:
    """Write the files that were asked for."""
    date = datetime.now(UTC).isoformat(timespec="seconds")
    if options.json is not None:
        text = json.dumps(report.as_json(matrices, date=date), indent=1, ensure_ascii=False)
        options.json.write_text(text + "\n", encoding="utf-8")
    if options.junit is not None:
        options.junit.write_text(as_junit(matrices), encoding="utf-8")
    if options.html is not None:
        options.html.write_text(as_page(matrices, date=date), encoding="utf-8")


async def _play(
    matrix: Matrix,
    address: Address,
    clients: Sequence[Client],
    scenarios: Sequence[Scenario],
    rules: Sequence[Rule],
) -> None:
    """Fill one broker's matrix; the clients take turns, so that none disturbs another's timing."""
    try:
        matrix.broker = str(probe(address))
    except NoBroker as error:
        matrix.error = str(error)
        return
    run = secrets.token_hex(4)
    for client in clients:
        asked = [scenario for scenario in scenarios if client.plays(scenario.group)]
        if not asked:
            continue
        prefix = f"interop.{run}.{client.name}"
        print(f"{client.name} ", end="", file=sys.stderr, flush=True)
        column = Column(client.name)
        matrix.columns.append(column)
        await runner.play(client, address.url(), prefix, asked, _show_progress, column)
        print(file=sys.stderr, flush=True)
        failed = [a.scenario for a in column.answers if a.result == FAIL and a.ms < LISTENED_MS]
        await _listen(matrix, address, client, [s for s in asked if s.name in failed], prefix)
    if rules:
        print(f"{len(rules)} rules", file=sys.stderr, flush=True)
        matrix.verdicts = await asyncio.to_thread(ask, rules, address)


async def _listen(
    matrix: Matrix, address: Address, client: Client, scenarios: Sequence[Scenario], prefix: str
) -> None:
    """Play what failed once more, and keep what was said on the wire."""
    if address.tls:
        return
    for scenario in scenarios[:LISTENED_MAX]:
        async with recording(address) as (through, dialogue):
            again = Column(client.name)
            await runner.play(
                client, through.url(), f"{prefix}.again", [scenario], lambda _: None, again
            )
            matrix.dialogues[client.name, scenario.name] = dialogue.text()


def _show_progress(answer: Answer) -> None:
    """One character per scenario, as pytest does: a dot, F or s."""
    mark = {"pass": ".", "fail": "F", "skip": "s"}[answer.result]
    print(mark, end="", file=sys.stderr, flush=True)


def _install(clients: Sequence[Client], names: Sequence[str]) -> int:
    """Install each client; one that fails does not keep the others from being installed.

    A client whose language is not on the machine is a failure only if it was asked for by name.
    """
    code = GREEN
    for client in clients:
        try:
            print(f"{client.name}: {install(client)}", flush=True)
        except NotInstalled as error:
            print(f"{client.name}: {error}", file=sys.stderr)
            if names or not client.missing().startswith("needs "):
                code = FAILED
    return code


def _listing(clients: Sequence[Client], scenarios: Sequence[Scenario]) -> str:
    lines = ["Scenarios:"]
    group = ""
    for scenario in scenarios:
        if scenario.group != group:
            group = scenario.group
            lines.append(f"  {group}:")
        lines += [f"    {scenario.name} (within {scenario.limit_s:g} s)"]
        lines += textwrap.wrap(
            scenario.expectation, 90, initial_indent=" " * 8, subsequent_indent=" " * 8
        )
    lines += ["Clients:"]
    for client in clients:
        lines.append(f"    {client.name} ({client.language}): {client.missing() or 'ready'}")
    return "\n".join(lines)


def _complain(text: str) -> int:
    print(text, file=sys.stderr)
    return USAGE
