"""`python -m interop differential`: two brokers, the same random scripts."""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from interop.address import parse
from interop.brokers import NoBrokerHere, located
from interop.differential.compare import Difference, Pair
from interop.differential.generate import generate
from interop.differential.shrink import shrink
from interop.script.language import Step, show_step
from interop.script.language import parse as parse_script
from interop.wire.connection import Refused

DEFAULT_URL: Final = "amqp://guest:guest@127.0.0.1:5672/"
TELL_EVERY_S: Final = 10.0


def main(words: Sequence[str]) -> int:
    """Run the command; 0 if the brokers were the same to their clients, 1 if not."""
    options = _parser().parse_args(words)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started ends with us
    try:
        with located([options.url, options.against]) as urls:
            return _play(Pair(*map(parse, urls)), options)
    except (OSError, Refused, NoBrokerHere, ValueError) as error:
        print(f"no broker: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _play(pair: Pair, options: argparse.Namespace) -> int:
    try:
        if options.script is not None:
            steps = parse_script(options.script.read_text(encoding="utf-8"))
            return _tell(pair.differ(steps), "script")
        return _run(pair, options)
    finally:
        pair.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m interop differential",
        description="Play random scripts on two brokers and compare all that a client can see.",
    )
    parser.add_argument("--url", default=DEFAULT_URL, help=f"ours (default {DEFAULT_URL})")
    parser.add_argument(
        "--against",
        default="rabbitmq",
        metavar="URL",
        help="theirs, the reference (default rabbitmq: the installed one, started for this)",
    )
    parser.add_argument("--count", type=int, default=200, help="how many scripts (default 200)")
    parser.add_argument("--seed", type=int, default=1, help="of the first script (default 1)")
    parser.add_argument("--script", type=Path, metavar="FILE", help="play this script instead")
    parser.add_argument("--no-shrink", action="store_true", help="show differences as found")
    parser.add_argument(
        "--show-unstable", action="store_true", help="also show what differed, but not every time"
    )
    parser.add_argument("--stop-after", type=int, default=5, help="differences (default 5)")
    return parser


def _run(pair: Pair, options: argparse.Namespace) -> int:
    """Play seed after seed; shrink and print what differs."""
    started = told = time.monotonic()
    found = unstable = steps_played = 0
    seed = options.seed
    while seed < options.seed + options.count and found < options.stop_after:
        steps = generate(seed)
        steps_played += len(steps)
        once = pair.play(steps)
        if once is not None:
            difference = pair.differ(steps)
            if difference is None:
                unstable += 1
                if options.show_unstable:
                    print(f"\nseed {seed} differed once:\n{once.text()}", file=sys.stderr)
            else:
                found += 1
                _report(pair, seed, steps, difference, shrinks=not options.no_shrink)
        seed += 1
        if time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            print(f"... {seed - options.seed} scripts, {found} differ", file=sys.stderr)
    count = seed - options.seed
    seconds = time.monotonic() - started
    print(
        f"{count} scripts (seeds {options.seed} to {seed - 1}), {steps_played} steps in "
        f"{seconds:.0f} s: {found} differ; {unstable} differed, but not every time"
    )
    return 1 if found else 0


def _report(
    pair: Pair, seed: int, steps: list[Step], difference: Difference, *, shrinks: bool
) -> None:
    if shrinks:

        def differs(shorter: Sequence[Step]) -> int | None:
            again = pair.differ(shorter, 2)
            return None if again is None else again.index

        steps = shrink(steps, differs)
        difference = pair.differ(steps) or difference
    print(f"\nseed {seed} differs:\n")
    print("\n".join(f"    {show_step(step)}" for step in steps))
    print("\nours is -, theirs is +:\n")
    print(difference.text(), flush=True)


def _tell(difference: Difference | None, what: str) -> int:
    if difference is None:
        print(f"{what}: no difference")
        return 0
    print(difference.text())
    return 1
