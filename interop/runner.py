"""One client as a subprocess: scenario names go in as arguments, answers come back as lines.

The process is started as `start... SCENARIO SCENARIO ...` with INTEROP_URL (where to connect) and
INTEROP_PREFIX (how every name that it creates begins) in its environment. Its standard output:

    {"client": "pika", "version": "1.4.4"}                     first, when it is ready to begin
    {"scenario": "hello", "result": "pass", "reason": "", "ms": 12}   one per scenario, in order

Rule 1. The scenario under way is the first one without an answer: what goes wrong is its failure.
Rule 2. A process that dies, hangs, or answers out of order is killed with all its children, and a
        new one is started for the scenarios that are left. So one bad scenario is one red cell.
Rule 3. A process that never says its first line fails all that is left: it would do so forever.
Rule 4. After SLOW_MAX failures in a row that waited for half their limit or more, the rest fails
        untried: a broker that no longer answers would take its time with every one of them.

Lines that are not JSON objects are noise. The last of them, or of standard error, explain a crash.
"""

import asyncio
import contextlib
import json
import os
import signal
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from interop.manifest import ROOT, Client
from interop.results import FAIL, RESULTS, Answer, Column, one_line
from interop.scenarios import Scenario

# A client that watches the limit itself gives a better reason than we can, and cleans up.
GRACE_S: Final = 8.0
EXIT_S: Final = 5.0  # from the last answer, or the end of output, to the end of the process
SLOW_MAX: Final = 5
LINE_BYTES_MAX: Final = 1 << 20
NOISE_LINES: Final = 20
REST_MAX: Final = 4096  # characters kept of a line of standard error that has no end yet

OnAnswer = Callable[[Answer], None]


class ClientProcess:
    """A running client: messages out of it, noise aside."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._noise: deque[str] = deque(maxlen=NOISE_LINES)
        self._stderr = asyncio.create_task(self._keep_stderr())

    @classmethod
    async def start(
        cls, client: Client, url: str, prefix: str, scenarios: Sequence[Scenario]
    ) -> "ClientProcess":
        """Start `client` on `scenarios`. Raises OSError if it cannot be started."""
        process = await asyncio.create_subprocess_exec(
            *client.command(),
            *(scenario.name for scenario in scenarios),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env=_environment(client, url, prefix),
            limit=LINE_BYTES_MAX,
            start_new_session=True,
        )
        return cls(process)

    async def message(self, within_s: float) -> dict[str, object] | None:
        """The next JSON object that it writes, or None at the end of its output.

        Raises TimeoutError if none came within the time (s).
        """
        assert self._process.stdout is not None
        async with asyncio.timeout(within_s):
            while line := await self._process.stdout.readline():
                text = line.decode("utf-8", "replace").strip()
                try:
                    message = json.loads(text)
                except ValueError:
                    message = None
                if isinstance(message, dict):
                    return message
                self._remember(text)
        return None

    async def end(self) -> str:
        """Wait for the process to end, kill what does not; returns how it ended, for people."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EXIT_S):
                await self._process.wait()
                await self._stderr
        code = self._process.returncode
        await self.kill()
        if code is None:
            return "its output ended, but it did not"
        how = f"exit code {code}" if code >= 0 else f"signal {-code}"
        return f"{how}: {self._noise[-1]}" if self._noise else how

    async def kill(self) -> None:
        """Kill the process and its children; does nothing to those that have ended."""
        assert self._process.stdout is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):  # a child in a session of its own lives on
            async with asyncio.timeout(EXIT_S):
                await self._process.wait()
                while await self._process.stdout.read(65536):
                    pass
                await self._stderr
        self._stderr.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._stderr

    async def _keep_stderr(self) -> None:
        assert self._process.stderr is not None
        # Read, not readline: a line without an end must not stop the client.
        rest = ""
        while data := await self._process.stderr.read(65536):
            *lines, rest = (rest + data.decode("utf-8", "replace")).split("\n")
            for line in lines:
                self._remember(line)
            rest = rest[-REST_MAX:]
        self._remember(rest)

    def _remember(self, line: str) -> None:
        if line.strip():
            self._noise.append(line.strip())


class _Record:
    """Puts the answers into the column, and tells who wants to hear of each."""

    def __init__(self, column: Column, on_answer: OnAnswer) -> None:
        self.column = column
        self.slow_in_a_row = 0
        self._on_answer = on_answer

    def answer(self, scenario: Scenario, answer: Answer) -> None:
        """One answer has come."""
        is_slow = answer.result == FAIL and answer.ms >= scenario.limit_s * 1000 / 2
        self.slow_in_a_row = self.slow_in_a_row + 1 if is_slow else 0
        self.column.answers.append(answer)
        self._on_answer(answer)

    def fail_all(self, scenarios: Sequence[Scenario], reason: str) -> None:
        """None of these can be played, for one reason."""
        for scenario in scenarios:
            self.answer(scenario, Answer(scenario.name, FAIL, one_line(reason)))


async def play(
    client: Client,
    url: str,
    prefix: str,
    scenarios: Sequence[Scenario],
    on_answer: OnAnswer,
    column: Column,
    *,
    grace_s: float = GRACE_S,
) -> None:
    """Play `scenarios` with `client` against the broker at `url`.

    Fills `column` with exactly one answer for each; `on_answer` hears each as it comes. A client
    has `grace_s` over a scenario's limit to say itself that the time was up.
    """
    record = _Record(column, on_answer)
    waiting = list(scenarios)
    while waiting:
        if record.slow_in_a_row >= SLOW_MAX:
            record.fail_all(waiting, f"not tried after {SLOW_MAX} slow failures in a row")
            break
        try:
            process = await ClientProcess.start(client, url, prefix, waiting)
        except OSError as error:
            record.fail_all(waiting, f"did not start: {error}")
            break
        try:
            waiting = await _listen(process, client, waiting, record, grace_s)
        finally:
            await process.kill()


async def _listen(
    process: ClientProcess,
    client: Client,
    waiting: list[Scenario],
    record: _Record,
    grace_s: float,
) -> list[Scenario]:
    """Take the answers of one process; returns the scenarios that are left when it is lost."""
    try:
        hello = await process.message(client.start_limit_s)
        trouble = "" if hello is not None else await process.end()
    except (TimeoutError, ValueError) as error:
        hello, trouble = None, str(error) or f"not ready within {client.start_limit_s:g} s"
    if hello is None or "client" not in hello:
        record.fail_all(waiting, f"did not start: {trouble or f'its first line was {hello}'}")
        return []
    record.column.version = str(hello.get("version", ""))
    for index, scenario in enumerate(waiting):
        answer, is_lost = await _answer(process, scenario, grace_s)
        record.answer(scenario, answer)
        if is_lost or record.slow_in_a_row >= SLOW_MAX:
            return waiting[index + 1 :]
    await process.end()
    return []


async def _answer(
    process: ClientProcess, scenario: Scenario, grace_s: float
) -> tuple[Answer, bool]:
    """Wait for the answer to `scenario`. Returns it, and whether the process is lost."""
    limit_ms = int(scenario.limit_s * 1000)
    try:
        message = await process.message(scenario.limit_s + grace_s)
    except TimeoutError:
        reason = f"no answer within its {scenario.limit_s:g} s; killed"
        return Answer(scenario.name, FAIL, reason, limit_ms), True
    except ValueError:  # what asyncio raises for a line over the limit
        return Answer(scenario.name, FAIL, f"a line of over {LINE_BYTES_MAX} bytes"), True
    if message is None:
        reason = f"the client ended before it answered ({await process.end()})"
        return Answer(scenario.name, FAIL, one_line(reason)), True
    result = message.get("result")
    if message.get("scenario") != scenario.name or result not in RESULTS:
        reason = f"the client broke the protocol: it answered {json.dumps(message)}"
        return Answer(scenario.name, FAIL, one_line(reason)), True
    reason = one_line(str(message.get("reason") or ""))
    if result != RESULTS[0] and not reason:
        reason = "the client gave no reason"
    ms = message.get("ms")
    return Answer(scenario.name, str(result), reason, ms if isinstance(ms, int) else 0), False


def _environment(client: Client, url: str, prefix: str) -> dict[str, str]:
    """This process's environment plus the manifest's and the question (the URL has a password
    in it, and arguments can be read by every user of the machine)."""
    own = {name: client.fill(value) for name, value in client.env.items()}
    return {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        **own,
        "INTEROP_URL": url,
        "INTEROP_PREFIX": prefix,
    }
