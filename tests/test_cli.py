"""The command line: what starts, what is said, and with which code it ends."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import amqpd
from amqpd.cli import program, version_line
from amqpd.config.environment import SHORTHANDS


def run(*words: str, **environ: str) -> Result:
    """Run `amqpd WORDS` in this process, in a clean environment."""
    ours: dict[str, str | None] = {
        name: None for name in os.environ if name.startswith(("AMQPD_", "RABBITMQ_"))
    }
    return CliRunner().invoke(program, list(words), env=ours | environ, prog_name="amqpd")


def checked(*words: str, **environ: str) -> str:
    """What `amqpd --check WORDS` says about settings that are sound."""
    result = run(*words, "--check", **environ)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*words: str, **environ: str) -> str:
    """The one line that settings which are not sound get."""
    result = run(*words, "--check", **environ)
    assert result.exit_code == 1
    assert result.output.startswith("amqpd: ") and result.output.count("\n") == 1
    return result.output.removeprefix("amqpd: ").rstrip()


def test_the_version_tells_how_it_runs() -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.output == f"{version_line()}\n"
    assert re.fullmatch(
        rf"amqpd {re.escape(amqpd.__version__)} \({amqpd.build()}, cpython 3\.[0-9.]+\S*, "
        r"(?:uvloop [0-9.]+|asyncio)\)\n",
        result.output,
    )


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["serve", "--help"]])
def test_the_help_names_all_options(words: list[str]) -> None:
    result = run(*words)
    assert result.exit_code == 0
    names = [name for name in SHORTHANDS if name != "store"]  # --memory turns it on
    for name in (*names, "memory", "config", "set", "check"):
        assert f"--{name.replace('_', '-')}" in result.output
    assert "An option wins over an environment variable" in result.output


def test_amqpd_alone_is_serve() -> None:
    assert checked() == checked("serve")
    assert "listeners: amqp://127.0.0.1:5672\n" in checked()
    assert "users: guest\n" in checked()
    assert "the settings are sound\n" in checked()


def test_options_are_settings() -> None:
    said = checked(
        *("--bind", "127.0.0.1", "--bind", "::1", "--port", "7", "--tls-port", "8"),
        *("--user", "al:secret", "--user", "bo:secret", "--vhost", "v", "--vhost", "w"),
        *("--data-dir", "/d", "--set", "heartbeat = 9", "--loop", "asyncio"),
    )
    assert (
        "listeners: amqp://127.0.0.1:7, amqp://::1:7, amqps://127.0.0.1:8, amqps://::1:8\n" in said
    )
    assert "users: al, bo\n" in said
    assert "vhosts: /, v, w\n" in said
    assert "data: /d\n" in said


def test_short_options_have_variables() -> None:
    assert "amqp://127.0.0.1:7\n" in checked(AMQPD_PORT="7")
    assert "amqp://127.0.0.1:8\n" in checked("--port", "8", AMQPD_PORT="7")
    assert "users: al\n" in checked(AMQPD_USER="al:secret")
    assert "data: /d\n" in checked(AMQPD_DATA_DIR="/d")


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    path.write_text("listeners.tcp.default = 7\nnet_ticktime = 5\n")
    for result in (run("--config", str(path), "--check"), run("--check", AMQPD_CONFIG=str(path))):
        assert result.exit_code == 0
        assert f"configuration: {path}\nlisteners: amqp://*:7\n" in result.stdout
        assert result.stderr == (
            f"amqpd: warning: known to RabbitMQ and without effect here: net_ticktime ({path}:2)\n"
        )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port", "x"], 'option --port: "x": expected a whole number from 0 to 65535'),
        (["--user", "al"], "option --user: expected NAME:PASSWORD"),
        (["--set", "heartbeat"], 'option --set: expected KEY=VALUE, not "heartbeat"'),
        (["--set", "hart=1"], 'option --set: unknown key "hart"'),
        (["--config", "/gone"], "cannot read /gone: No such file or directory"),
        (["--tls-port", "-1"], 'option --tls-port: "-1": expected a whole number from 0 to 65535'),
    ],
)
def test_a_mistake_is_one_line_and_code_1(words: list[str], message: str) -> None:
    assert refused(*words) == message


def test_an_unknown_option_or_command_is_code_2() -> None:
    for word in ("--bogus", "bogus"):
        result = run(word)
        assert result.exit_code == 2
        assert "Traceback" not in result.output


def test_perf_has_its_own_command_line() -> None:
    with pytest.raises(SystemExit) as ended:
        program.main(["perf", "--help"], prog_name="amqpd", standalone_mode=False)
    assert ended.value.code == 0


def environment() -> dict[str, str]:
    """This process's environment for a child that imports the same amqpd and logs at once."""
    path = os.pathsep.join(filter(None, sys.path))
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def command(*words: str) -> list[str]:
    """The words that start the program."""
    return [sys.executable, "-m", "amqpd", *words]


def test_a_broker_starts_says_so_and_stops_at_sigterm(tmp_path: Path) -> None:
    words = command("--port", "0", "--data-dir", str(tmp_path / "data"))
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env=environment(), cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "Server startup complete" in line:
                break
        process.send_signal(signal.SIGTERM)
        said += process.stdout.read()
    assert process.returncode == 0, said
    assert f"amqpd {amqpd.__version__} build={amqpd.build()} loop=" in said
    assert "guest/guest" in said and "loopback" in said
    assert re.search(r"listening on 127\.0\.0\.1:[1-9][0-9]*", said)
    assert str(tmp_path / "data") in said


@pytest.mark.parametrize("fault", ["key", "port", "certificate"])
def test_what_keeps_it_from_starting_is_one_line(tmp_path: Path, fault: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words, message = {
            "key": (["--set", "hearbeat=1"], 'unknown key "hearbeat" (did you mean "heartbeat"?)'),
            "port": (["--port", str(port)], f"127.0.0.1:{port}"),
            "certificate": (["--tls-port", "0", "--tls-cert", "/gone.pem"], "/gone.pem"),
        }[fault]
        words = ["--port", "0", "--data-dir", str(tmp_path), *words]
        result = subprocess.run(
            command(*words), capture_output=True, text=True, env=environment(), cwd=tmp_path
        )
    assert result.returncode == 1
    assert result.stderr.startswith("amqpd: ") and result.stderr.count("\n") == 1
    assert message in result.stderr
    assert "Traceback" not in result.stdout + result.stderr


def test_starting_loads_little() -> None:
    """What the command line needs is not the whole standard library: a start takes 300 ms."""
    code = "import sys, amqpd.cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True
    ).stdout.split()
    heavy = {"asyncio", "ssl", "structlog", "pamqp", "uvloop", "importlib.metadata", "difflib"}
    assert heavy & set(loaded) == set()
