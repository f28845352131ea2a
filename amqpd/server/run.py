"""The process: which loop, which signals, and the first lines that a person sees."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

import amqpd
from amqpd.server.logs import Logs
from amqpd.server.process import (
    allow_many_sockets,
    collect_less_often,
    keep_freed_memory,
    share_the_interpreter,
)
from amqpd.server.server import Server
from amqpd.server.settings import Settings
from amqpd.server.startup import StartupError

# What testcontainers and many scripts wait for, as RabbitMQ's last line of its start.
COMPLETE: Final = "Server startup complete"

LOGINS_MAX: Final = 10  # users that the log names at the start


def loop_factory(choice: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """The maker of the loop that is wanted. Raises StartupError if it is not to be had."""
    if choice not in ("auto", "uvloop", "asyncio"):
        raise StartupError(f"the loop is auto, uvloop or asyncio, not '{choice}'")
    if choice != "asyncio":
        try:
            import uvloop  # noqa: PLC0415 - an extra that may be missing
        except ImportError:
            if choice == "uvloop":
                raise StartupError("uvloop is not installed: pip install uvloop") from None
        else:
            return uvloop.new_event_loop
    return asyncio.new_event_loop


def run(settings: Settings) -> int:
    """Serve until a signal. Returns the exit code; what keeps it from starting is one line."""
    try:
        make_loop = loop_factory(settings.loop)
        allow_many_sockets()
        keep_freed_memory()
        share_the_interpreter()
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(serve(settings))
    except StartupError as error:
        print(f"amqpd: {error}", file=sys.stderr)
        return 1
    return 0


async def serve(settings: Settings) -> None:
    """Start, say so, stop at SIGTERM or SIGINT.

    SIGHUP opens the log anew and imports the configured definitions again. A second SIGTERM or
    SIGINT waits for clients no longer. Raises StartupError.
    """
    log = Logs(settings.log)
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    server = Server(settings, log)

    def stop() -> None:
        if stopped.is_set():
            server.cut()
        stopped.set()

    reloads: set[asyncio.Task[None]] = set()  # the loop itself holds tasks weakly

    def hang_up() -> None:
        log.reopen()
        if settings.definitions:
            task = loop.create_task(server.reload_definitions())
            reloads.add(task)
            task.add_done_callback(reloads.discard)

    introduce(settings, log)
    await server.start()
    name_logins(server, log)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    try:
        log.event("info", COMPLETE, {})
        collect_less_often()
        await stopped.wait()
        log.event("info", "stopping", {"connections": len(server.broker.connections)})
        await server.stop()
        log.event("info", "stopped", {"longest_turn_ms": server.turns.longest_ms})
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)
        log.close()


def introduce(settings: Settings, log: Logs) -> None:
    """Say what starts, how it runs, and where the data is."""
    loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    python = ".".join(map(str, sys.version_info[:3]))
    log.event(
        "info",
        f"amqpd {amqpd.__version__}",
        {"build": amqpd.build(), "loop": loop, "python": python, "pid": os.getpid()},
    )
    if settings.in_memory:
        log.event("info", "data: in memory, gone at a stop", {})
    else:
        fields = {"data_dir": os.path.abspath(settings.data_dir), "sync": settings.syncing}
        log.event("info", "data: on disk", fields)


def name_logins(server: Server, log: Logs) -> None:
    """Say who may log in; not all, if they are many."""
    users = server.broker.users
    for name in list(users.users)[:LOGINS_MAX]:
        local = name in server.settings.limits.loopback_users
        guest = name == "guest" and users.authenticate("guest", "guest")
        log.event(
            "info",
            f"login: {'guest/guest' if guest else name}",
            {"from": "loopback only" if local else "anywhere"},
        )
    if len(users.users) > LOGINS_MAX:
        log.event("info", f"login: {len(users.users) - LOGINS_MAX} more users", {})
