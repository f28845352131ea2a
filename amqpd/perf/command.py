"""The command line of `amqpd perf`."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from amqpd.perf.connection import BrokerError
from amqpd.perf.fairness import FairnessOptions, fairness_text, measure_fairness
from amqpd.perf.hash import hash_text, measure_hash
from amqpd.perf.idle import measure_idle
from amqpd.perf.load import run_load
from amqpd.perf.machine import describe_machine, filesystem
from amqpd.perf.options import add_load_options, load_options
from amqpd.perf.render import comparison_json, comparison_text, facts
from amqpd.perf.scenario import SCENARIOS, Pace, choose
from amqpd.perf.spawn import SpawnedAmqpd
from amqpd.perf.start import measure_start
from amqpd.perf.store import PARTS, StoreOptions, choose_parts, measure_store
from amqpd.perf.table import Comparison, Contestant, contest, distinguish
from amqpd.perf.target import Target, parse_url
from amqpd.perf.topic import measure_topic, topic_text

Arguments = argparse.Namespace

QUICK: Final = Pace(seconds=1.0, rounds=1, quick=True)
STANDARD: Final = Pace()


def main(argv: Sequence[str]) -> int:
    """Run one subcommand. Returns the process's exit code: 0, or 1 with one line on stderr."""
    args = build_parser().parse_args(argv)
    run: Callable[[Arguments], int] = args.run
    try:
        return run(args)
    except (BrokerError, OSError, ValueError) as error:
        print(f"amqpd perf: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def build_parser() -> argparse.ArgumentParser:
    """Describe all subcommands and their options."""
    parser = argparse.ArgumentParser(prog="amqpd perf", description="Measures AMQP 0-9-1 brokers.")
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(name: str, text: str, run: Callable[[Arguments], int]) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        return added

    load = command("load", "one load on one broker; prints one JSON object", _load)
    add_load_options(load)
    table = command("table", "all scenarios against amqpd and others in alternation", _table)
    _add_brokers(table)
    names = ", ".join(scenario.name for scenario in SCENARIOS)
    table.add_argument("--only", default="", metavar="NAMES", help=f"some of: {names}")
    table.add_argument("--seconds", type=float, help=f"per run (default {STANDARD.seconds:g})")
    table.add_argument("--rounds", type=int, help=f"per scenario (default {STANDARD.rounds})")
    table.add_argument("--quick", action="store_true", help="one round of a second each")
    start = command("start", "time from start to AMQP answering, memory at rest", _start)
    start.add_argument("--rounds", type=int, default=5)
    idle = command("idle", "memory of an idle connection with one channel", _idle)
    idle.add_argument("--connections", type=int, default=1000)
    idle.add_argument("--url", help="a running broker instead of an amqpd of this installation")
    idle.add_argument("--pid", type=int, help="the process id of that broker")
    topic = command("topic", "time of one route among topic bindings, in-process", _topic)
    topic.add_argument("--bindings", type=int, default=100_000)
    hashing = command("hash", "time of one route to one of many queues, in-process", _hash)
    hashing.add_argument("--queues", type=int, default=100)
    fairness = command("fairness", "latency of quiet connections beside greedy ones", _fairness)
    _add_brokers(fairness)
    fairness.add_argument("--seconds", type=float, default=FairnessOptions.seconds)
    fairness.add_argument("--clients", type=int, default=FairnessOptions.clients)
    fairness.add_argument("--interval", type=float, default=FairnessOptions.interval_s)
    fairness.add_argument("--messages", type=int, default=FairnessOptions.messages)
    store = command("store", "the durable store: many publishers, many queues, a long one", _store)
    store.add_argument("--messages", type=int, default=StoreOptions.messages, help="that wait")
    store.add_argument("--size", type=int, default=StoreOptions.size, help="of those, body bytes")
    store.add_argument("--seconds", type=float, default=StoreOptions.seconds, help="per run")
    store.add_argument("--only", default="", metavar="PARTS", help=f"some of: {', '.join(PARTS)}")
    store.add_argument("--data-root", metavar="DIR", help="where the data goes (not a tmpfs)")
    for added in (table, start, idle, topic, hashing, fairness, store):
        added.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    return parser


def _add_brokers(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    option(
        "--url",
        action="append",
        default=[],
        metavar="[LABEL=]URL",
        help="another broker, amqp://user:password@host:port/vhost; may be given again",
    )
    option("--no-amqpd", action="store_true", help="start none; the first --url is compared")
    option("--data-root", metavar="DIR", help="where amqpd's data goes (a disk, not a tmpfs)")


@contextmanager
def _contestants(args: Arguments) -> Iterator[list[Contestant]]:
    """Start an amqpd unless told not to, greet the other brokers, and clean up in the end."""
    with ExitStack() as stack:
        found: list[Contestant] = []
        if not args.no_amqpd:
            amqpd = stack.enter_context(SpawnedAmqpd(args.data_root))
            found.append(contest(amqpd.target, "amqpd", amqpd))
        for given in args.url:
            label, target = parse_labelled(given)
            found.append(contest(target, label))
        if not found:
            raise ValueError("with --no-amqpd there must be a --url")
        yield found


def parse_labelled(given: str) -> tuple[str, Target]:
    """Read `[LABEL=]URL`. Returns (label or "", target)."""
    label, equals, url = given.partition("=")
    if equals and "://" not in label:
        return label, parse_url(url)
    return "", parse_url(given)


def choose_pace(args: Arguments) -> Pace:
    """Make the pace of a comparison: quick or standard, with what was said in particular."""
    base = QUICK if args.quick else STANDARD
    seconds = base.seconds if args.seconds is None else args.seconds
    rounds = base.rounds if args.rounds is None else args.rounds
    if seconds <= 0 or rounds < 1:
        raise ValueError("--seconds and --rounds must be positive")
    return Pace(seconds, rounds, base.quick)


def _load(args: Arguments) -> int:
    print(json.dumps(run_load(load_options(args))))
    return 0


def _table(args: Arguments) -> int:
    pace, scenarios, machine = choose_pace(args), choose(args.only), describe_machine()
    with _contestants(args) as contestants:
        for each in contestants:
            if each.amqpd:
                machine["data"] = f"on {filesystem(each.amqpd.directory)}"
        comparison = Comparison(contestants, pace)
        comparison.measure(scenarios)
    print(comparison_text(comparison, machine))
    _write_json(args, comparison_json(comparison, machine))
    return 1 if any(cell.failures for row in comparison.rows for cell in row.cells) else 0


def _start(args: Arguments) -> int:
    machine, measured = describe_machine(), measure_start(args.rounds)
    print(f"{facts(machine)}\n\n{measured.text()}")
    _write_json(args, {"machine": machine, **measured.json()})
    return 0


def _idle(args: Arguments) -> int:
    if bool(args.url) != bool(args.pid):
        raise ValueError("--url and --pid go together")
    machine = describe_machine()
    if args.url:
        measured = measure_idle(parse_url(args.url), args.pid, args.connections)
    else:
        with SpawnedAmqpd() as amqpd:
            measured = measure_idle(amqpd.target, amqpd.pid, args.connections)
    print(f"{facts(machine)}\n\n{measured.text()}")
    _write_json(args, {"machine": machine, **measured.json()})
    return 0


def _topic(args: Arguments) -> int:
    routings = measure_topic(args.bindings)
    print(topic_text(routings))
    _write_json(args, {"routings": [vars(each) for each in routings]})
    return 0


def _hash(args: Arguments) -> int:
    choices = measure_hash(args.queues)
    print(hash_text(choices))
    _write_json(args, {"choices": [vars(each) for each in choices]})
    return 0


def _fairness(args: Arguments) -> int:
    options = FairnessOptions(args.clients, args.interval, args.seconds, args.messages)
    machine = describe_machine()
    with _contestants(args) as contestants:
        measured = {
            each.label: measure_fairness(each.target, options) for each in distinguish(contestants)
        }
    print(f"{facts(machine)}\n\n{fairness_text(measured)}")
    brokers = {label: [phase.json() for phase in phases] for label, phases in measured.items()}
    _write_json(args, {"machine": machine, "brokers": brokers})
    return 0


def _store(args: Arguments) -> int:
    options = StoreOptions(args.seconds, args.messages, args.size, choose_parts(args.only))
    machine = describe_machine()
    with SpawnedAmqpd(args.data_root) as amqpd:
        machine["data"] = f"on {filesystem(amqpd.directory)}"
        text, found = measure_store(amqpd, options)
    print(f"{facts(machine)}\n\n{text}")
    _write_json(args, {"machine": machine, **found})
    return 0


def _write_json(args: Arguments, numbers: dict[str, object]) -> None:
    if args.json:
        Path(args.json).write_text(json.dumps(numbers, indent=2) + "\n")
