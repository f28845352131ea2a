"""The command line: `amqpd` alone serves, as `amqpd serve` does.

Every option ends as assignments of the configuration (`amqpd.config`), where option, environment
and file meet; nothing is decided here. Modules that only one command needs are imported by it, so
that `amqpd --version` and the start of a broker load no more than they use.
"""

import os
import sys
from collections.abc import Sequence
from typing import Final

import click

import amqpd
from amqpd.config.environment import shorthand
from amqpd.config.load import Loaded, load
from amqpd.config.syntax import Assignment, ConfigError, split_key
from amqpd.server.settings import Settings

OWN_OPTIONS: Final = ("--help", "-h", "--version")

FAILED: Final = 1  # could not start; wrong options are click's 2

PRECEDENCE: Final = """\
An option wins over an environment variable, that over the configuration file, and that over the
default. Every setting of the file can be an option, --set KEY=VALUE, and a variable: heartbeat is
AMQPD_HEARTBEAT, listeners.tcp.1 is AMQPD_LISTENERS_TCP_1; --port is AMQPD_PORT, and so on. Of
RabbitMQ's variables RABBITMQ_DEFAULT_USER, _PASS and _VHOST, RABBITMQ_NODE_PORT,
RABBITMQ_NODE_IP_ADDRESS, RABBITMQ_NODENAME, RABBITMQ_CONFIG_FILE and _FILES, RABBITMQ_MNESIA_DIR,
RABBITMQ_LOGS, RABBITMQ_LOG and RABBITMQ_LOG_BASE are heeded."""


class Program(click.Group):
    """The commands; what does not start with the name of one belongs to `serve`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `serve` in front of options that are its own."""
        if not args or (args[0] not in self.commands and args[0] not in OWN_OPTIONS):
            if not args or args[0].startswith("-"):
                args = ["serve", *args]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, and the options of `serve` because they are amqpd's own."""
        self.format_commands(ctx, formatter)
        serving = self.commands["serve"]
        rows = [row for p in serving.params if (row := p.get_help_record(ctx)) is not None]
        rows += [
            row
            for p in self.get_params(ctx)
            if p.name == "version" and (row := p.get_help_record(ctx)) is not None
        ]
        with formatter.section("Options"):
            formatter.write_dl(rows)


def version_line() -> str:
    """What is installed: version, how it runs, on which Python and event loop."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 (start-up time)

    try:
        loop = f"uvloop {version('uvloop')}"
    except PackageNotFoundError:
        loop = "asyncio"
    python = f"{sys.implementation.name} {'.'.join(map(str, sys.version_info[:3]))}"
    return f"amqpd {amqpd.__version__} ({amqpd.build()}, {python}, {loop})"


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(version_line())
        ctx.exit()


@click.group(
    cls=Program, epilog=PRECEDENCE, context_settings={"help_option_names": ["--help", "-h"]}
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Say which version this is and how it runs, and exit.",
)
def program() -> None:
    """amqpd is an AMQP 0-9-1 message broker that RabbitMQ clients use unchanged.

    Start it by `amqpd`, without anything. It then listens on 127.0.0.1, port 5672, and lets guest
    log in with the password guest, from this machine only. Ctrl-C stops it.
    """


@program.command(epilog=PRECEDENCE)
@click.option("--config", metavar="FILE", help="Configuration file, or a folder of *.conf files.")
@click.option(
    "--bind", metavar="ADDR", multiple=True, help="Address to listen on; * is every one. Repeat."
)
@click.option("--port", metavar="N", help="Port for AMQP; 0 is any free one.  [default: 5672]")
@click.option("--tls-port", metavar="N", help="Port for AMQP over TLS.  [default: none]")
@click.option("--tls-cert", metavar="FILE", help="Certificate of the server (PEM).")
@click.option("--tls-key", metavar="FILE", help="Its private key, if not in the same file.")
@click.option("--tls-ca", metavar="FILE", help="Whose client certificates to trust (PEM).")
@click.option("--data-dir", metavar="DIR", help="Where data is kept.  [default: amqpd-data]")
@click.option("--memory", "store", flag_value="memory", default=None, help="Keep nothing on disk.")
@click.option(
    "--sync", metavar="on|off", help="Whether confirms wait for the disk's sync.  [default: on]"
)
@click.option(
    "--user",
    metavar="NAME:PASSWORD",
    multiple=True,
    help="An administrator for every vhost, instead of guest. Repeat for more.",
)
@click.option("--vhost", metavar="NAME", multiple=True, help="A vhost besides /. Repeat for more.")
@click.option(
    "--definitions",
    metavar="FILE",
    help="RabbitMQ's definitions, imported at the start and at SIGHUP; a file or a folder.",
)
@click.option(
    "--rabbitmq-version",
    metavar="VERSION",
    help="Which RabbitMQ to be like: 3.13, 4.0 or 4.3.  [default: 3.13]",
)
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning, error or none.")
@click.option("--log-format", metavar="FORM", help="plaintext (key=value) or json.")
@click.option("--log-file", metavar="FILE", help="Log there instead of to standard output.")
@click.option("--loop", metavar="NAME", help="auto, uvloop or asyncio.  [default: auto]")
@click.option(
    "--set", "assigned", metavar="KEY=VALUE", multiple=True, help="Any setting of the file. Repeat."
)
@click.option("--check", is_flag=True, help="Say whether the settings are sound, and exit.")
def serve(
    config: str | None,
    assigned: tuple[str, ...],
    check: bool,
    **short: str | tuple[str, ...] | None,
) -> None:
    """Start the broker; it runs until Ctrl-C or SIGTERM. This is what `amqpd` alone does."""
    try:
        loaded = load(_assignments(assigned, short), config or "", os.environ)
    except ConfigError as error:
        click.echo(f"amqpd: {error}", err=True)
        raise SystemExit(FAILED) from None
    for warning in loaded.warnings:
        click.echo(f"amqpd: warning: {warning}", err=True)
    if check:
        click.echo(_summary(loaded))
        return
    from amqpd.server.run import run  # noqa: PLC0415 (start-up time: not for --check)

    raise SystemExit(run(loaded.settings))


def _assignments(
    assigned: Sequence[str], short: dict[str, str | tuple[str, ...] | None]
) -> list[Assignment]:
    """The options that are given, in the terms of the configuration; short ones are stronger."""
    found: list[Assignment] = []
    for pair in assigned:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f'option --set: expected KEY=VALUE, not "{pair}"')
        found.append(Assignment(split_key(key.strip()), value.strip(), "option --set"))
    for name, given in short.items():
        origin = f"option --{name.replace('_', '-')}"
        if name == "bind" and isinstance(given, tuple):
            given = ",".join(given) or None
        for value in (given,) if isinstance(given, str) else given or ():
            found += shorthand(name, value, origin)
    return found


def _summary(loaded: Loaded) -> str:
    settings = loaded.settings
    where = ", ".join(
        f"{'amqps' if item.tls else 'amqp'}://{item.host or '*'}:{item.port}"
        for item in settings.listeners
    )
    return "\n".join(
        [
            f"configuration: {loaded.path or 'no file'}",
            f"listeners: {where}",
            f"data: {'in memory' if settings.in_memory else settings.data_dir}",
            f"vhosts: {', '.join(settings.vhosts)}",
            f"users: {', '.join(user.name for user in settings.users)}",
            *([f"definitions: {settings.definitions}"] if settings.definitions else []),
            "the settings are sound",
        ]
    )


@program.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def perf(words: tuple[str, ...]) -> None:
    """Measure a broker, this one or any other: `amqpd perf --help`."""
    from amqpd.perf.command import main as measure  # noqa: PLC0415 (start-up time: only here)

    raise SystemExit(measure(words))


@program.command("export-definitions")
@click.argument("file", metavar="[FILE]", default="-")
@click.option("--config", metavar="FILE", help="Configuration file, for the data directory.")
@click.option("--data-dir", metavar="DIR", help="Where the data is.  [default: amqpd-data]")
def export_definitions(file: str, config: str | None, data_dir: str | None) -> None:
    """Write the definitions of a stopped broker's data to FILE, as RabbitMQ reads them.

    Users, vhosts, permissions, parameters, policies, queues, exchanges and bindings, in RabbitMQ's
    JSON; without FILE to standard output. The data is only read. While a broker runs on it, it is
    locked, and nothing is written.
    """
    from amqpd.definitions_command import (  # noqa: PLC0415 (start-up time: only here)
        export_definitions as export,
    )

    raise SystemExit(export(_settings_of(config, data_dir), file, _complain))


@program.command("import-definitions")
@click.argument("file", metavar="FILE")
@click.option("--config", metavar="FILE", help="Configuration file, for the data directory.")
@click.option("--data-dir", metavar="DIR", help="Where the data is.  [default: amqpd-data]")
def import_definitions(file: str, config: str | None, data_dir: str | None) -> None:
    """Put the definitions in FILE, or a folder of files, into a stopped broker's data.

    FILE is what `amqpd export-definitions` or RabbitMQ wrote. It is merged with what is there:
    nothing is deleted, and if anything in it is wrong nothing is changed. While a broker runs on
    the data, it is locked; let the broker import instead: amqpd serve --definitions FILE, and a
    SIGHUP when the file has changed.
    """
    from amqpd.definitions_command import (  # noqa: PLC0415 (start-up time: only here)
        import_definitions as put,
    )

    raise SystemExit(put(_settings_of(config, data_dir), file, _complain))


def _complain(text: str) -> None:
    click.echo(text, err=True)


def _settings_of(config: str | None, data_dir: str | None) -> Settings:
    """The settings of a command that works on a data directory."""
    try:
        options = shorthand("data_dir", data_dir, "option --data-dir") if data_dir else []
        return load(options, config or "", os.environ).settings
    except ConfigError as error:
        click.echo(f"amqpd: {error}", err=True)
        raise SystemExit(FAILED) from None


@program.group()
def store() -> None:
    """Check, repair or print a data directory that no broker has."""


@store.command("check")
@click.argument("directory", metavar="DIR")
def store_check(directory: str) -> None:
    """Say what DIR holds; code 1 if it is damaged, 2 if it cannot be read. Changes nothing."""
    from amqpd.store_command import check  # noqa: PLC0415 (start-up time: only here)

    raise SystemExit(check(directory, click.echo))


@store.command("repair")
@click.argument("directory", metavar="DIR")
def store_repair(directory: str) -> None:
    """Set what is damaged in DIR aside in quarantine files, and keep everything else."""
    from amqpd.store_command import repair  # noqa: PLC0415 (start-up time: only here)

    raise SystemExit(repair(directory, click.echo))


@store.command("dump")
@click.argument("directory", metavar="DIR")
def store_dump(directory: str) -> None:
    """Print every record in DIR, one a line, without the bodies. Changes nothing."""
    from amqpd.store_command import dump  # noqa: PLC0415 (start-up time: only here)

    raise SystemExit(dump(directory, click.echo))


def main() -> int:
    """Run the command line; the entry point of the program."""
    program.main(prog_name="amqpd")
    return 0
