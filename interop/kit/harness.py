"""A Python client's main loop: scenario names in, one line of JSON per scenario out.

A client is some modules of functions, each named as its scenario with underscores for hyphens,
and a `play` that prepares what they take as argument, calls one, and cleans up. A scenario
without a function is skipped; `skips` says why.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, Final

from interop.address import parse
from interop.kit.case import Case
from interop.kit.check import Failed
from interop.results import FAIL, PASS, SKIP, one_line
from interop.scenarios import CATALOGUE, Scenario

# Each client has its own kind of session as argument, synchronous or not; only its `play` knows.
Function = Callable[[Any], Any]
Play = Callable[[Function, Case], None]
_FOREVER: Final = "this client does not do it"


def main(
    client: str,
    version: str,
    modules: Sequence[ModuleType],
    skips: Mapping[str, str],
    play: Play,
) -> None:
    """Play the scenarios named on the command line, in order."""
    _say({"client": client, "version": version})
    address = parse(os.environ["INTEROP_URL"])
    prefix = os.environ["INTEROP_PREFIX"]
    catalogue = {scenario.name: scenario for scenario in CATALOGUE}
    for name in sys.argv[1:]:
        began = time.monotonic()
        scenario = catalogue.get(name, Scenario("", name, ""))
        function = _find(modules, name)
        if function is None:
            result, reason = SKIP, skips.get(name, _FOREVER)
        else:
            result, reason = _result(play, function, Case(scenario, address, prefix))
        ms = round((time.monotonic() - began) * 1000)
        _say({"scenario": name, "result": result, "reason": reason, "ms": ms})


def explain(error: BaseException, file: str) -> str:
    """The reason for people: what, and which line of the scenario's `file` it came from."""
    text = str(error) if isinstance(error, Failed) else _named(error)
    frames = traceback.extract_tb(error.__traceback__)
    here = [frame for frame in frames if frame.filename == file]
    where = f" [{os.path.basename(file)}:{here[-1].lineno}]" if here else ""
    return one_line(text) + where


def _find(modules: Sequence[ModuleType], scenario: str) -> Function | None:
    for module in modules:
        function: Function | None = getattr(module, scenario.replace("-", "_"), None)
        if function is not None:
            return function
    return None


def _result(play: Play, function: Function, case: Case) -> tuple[str, str]:
    try:
        play(function, case)
    except Exception as error:  # whatever a library raises is the scenario's failure
        return FAIL, explain(error, function.__code__.co_filename)
    return PASS, ""


def _named(error: BaseException) -> str:
    """A library's exception with its type: the text alone is often empty or a bare number."""
    text = str(error) or ("time was up" if isinstance(error, TimeoutError) else "")
    return f"{type(error).__name__}: {text}" if text else repr(error)


def _say(message: Mapping[str, object]) -> None:
    print(json.dumps(message), flush=True)
