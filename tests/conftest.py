"""Options and fixtures of the whole suite: at which distances scenarios run, and the `peer`.

    --distance=memory,sim,socket,rabbitmq      default: memory
    --sim-seeds=N  --sim-seed=S                how many seeds, or this one alone
    --amqp-url=URL --rabbitmqctl=PATH          the broker of distance rabbitmq, and its users

Modules of amqpd are imported when a distance first needs them, so that the suite can be run against
RabbitMQ alone.
"""

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.register_assert_rewrite("tests.peers")

DISTANCES = ("memory", "sim", "socket", "rabbitmq")
SEED = "sim-seed-"


def pytest_addoption(parser: pytest.Parser) -> None:
    """See pytest."""
    group = parser.getgroup("scenarios")
    group.addoption("--distance", default="memory", help=f"of {','.join(DISTANCES)}")
    group.addoption("--sim-seeds", type=int, default=3, help="how many seeds (default 3)")
    group.addoption("--sim-seed", type=int, default=None, help="this seed alone")
    group.addoption("--amqp-url", default="amqp://guest:guest@127.0.0.1:5672/")
    group.addoption("--rabbitmqctl", default="", help="makes the users that scenarios need")
    crash = parser.getgroup("crash")
    crash.addoption("--crash-rounds", type=int, default=20, help="kill -9 so often (default 20)")
    crash.addoption("--crash-seed", type=int, default=1, help="when and where (default 1)")
    crash.addoption("--crash-seeds", type=int, default=200, help="simulated crashes (default 200)")
    crash.addoption("--restart-command", default="", help="restarts the broker at --amqp-url")
    crash.addoption("--store-seed", type=int, default=None, help="this simulated crash alone")


def pytest_configure(config: pytest.Config) -> None:
    """See pytest."""
    config.addinivalue_line(
        "markers", "distances(*names, why=...): the only distances at which a scenario can run"
    )
    config.addinivalue_line("markers", "limits(**bounds): of the broker that a scenario runs on")
    unknown = set(_chosen(config)) - set(DISTANCES)
    if unknown:
        raise pytest.UsageError(f"--distance: {', '.join(sorted(unknown))} is unknown")


def _chosen(config: pytest.Config) -> list[str]:
    return str(config.getoption("--distance")).split(",")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a scenario at each chosen distance that it can run at."""
    if "peer" not in metafunc.fixturenames:
        return
    config = metafunc.config
    chosen = _chosen(config)
    mark = metafunc.definition.get_closest_marker("distances")
    able = [name for name in chosen if mark is None or name in mark.args]
    ids = []
    for name in able:
        if name != "sim":
            ids.append(name)
        elif config.getoption("--sim-seed") is not None:
            ids.append(f"{SEED}{config.getoption('--sim-seed')}")
        else:
            ids += [f"{SEED}{seed}" for seed in range(config.getoption("--sim-seeds"))]
    if ids:
        metafunc.parametrize("peer", ids, indirect=True)
    else:
        assert mark is not None
        skip = pytest.mark.skip(reason=f"{mark.kwargs['why']}: only {', '.join(mark.args)}")
        metafunc.parametrize("peer", [pytest.param("", marks=skip)], ids=chosen[:1], indirect=True)


@pytest.fixture
def peer(request: pytest.FixtureRequest, profile: Any) -> Iterator[Any]:
    """A broker at some distance; everything that the scenario leaves there is removed."""
    made = request.getfixturevalue("make_peer")()
    yield made
    made.close()


@pytest.fixture
def limits() -> Any:
    """Limits of the broker in memory; a scenario module may override it. None = the defaults."""
    return None


@pytest.fixture
def profile() -> Any:
    """Which RabbitMQ the broker in memory is like; a scenario may override it."""
    return None


@pytest.fixture
def make_peer(request: pytest.FixtureRequest, limits: Any, profile: Any) -> Callable[[], Any]:
    """How the `peer` of this scenario is made."""
    distance = request.node.callspec.params["peer"]
    if distance == "rabbitmq":
        rabbit = request.getfixturevalue("rabbitmq")
        return lambda: _rabbit_peer(rabbit)
    if distance == "socket":
        broker = request.getfixturevalue("embedded")
        return lambda: _socket_peer(broker)
    if distance == "memory":
        from tests.peers.memory import MemoryPeer

        return lambda: MemoryPeer(limits, profile=profile)
    from tests.peers.sim import SimPeer

    return lambda: SimPeer(int(distance.removeprefix(SEED)), limits, profile)


def _socket_peer(broker: Any) -> Any:
    from tests.peers.sockets import SocketPeer

    def administer(change: Callable[[Any], object]) -> None:
        from amqpd.server.clock import now_ms

        broker.call(lambda server: change(server.broker.directory(now_ms())))

    return SocketPeer(broker.host, broker.port, secrets.token_hex(4), administer)


def _rabbit_peer(rabbit: Any) -> Any:
    from tests.peers.rabbit import RabbitPeer

    return RabbitPeer(
        rabbit.host,
        rabbit.port,
        secrets.token_hex(4),
        rabbit.oracle,
        rabbit.has_accounts,
        rabbit.rabbitmqctl,
    )


@pytest.fixture(scope="session")
def embedded() -> Iterator[Any]:
    """amqpd behind a socket, for all scenarios at that distance."""
    from tests.peers.embedded import embedded as make

    with make() as broker:
        yield broker


@pytest.fixture(scope="session")
def rabbitmq(pytestconfig: pytest.Config) -> Iterator[Any]:
    """The broker of distance rabbitmq, with the users that scenarios need."""
    from tests.peers.rabbit import RabbitMQ

    rabbit = RabbitMQ(pytestconfig.getoption("--amqp-url"), pytestconfig.getoption("--rabbitmqctl"))
    rabbit.prepare()
    yield rabbit
    rabbit.clean()
