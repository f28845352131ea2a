"""Whatever clients say, the broker answers with documented errors, and no other client notices.

What is asserted at each step is in `arena` and `listener`. `pytest tests/fuzz --fuzz-seconds 300`
looks for faults as long as that; a failure names its seed.
"""

import random
import time
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pamqp import base, commands

from amqpd.limits import Limits
from tests.fuzz import pieces
from tests.fuzz.arena import LIMITS, Arena, hold
from tests.fuzz.mutation import mutate, mutate_at_random
from tests.peers import codec

pytestmark = pytest.mark.filterwarnings("ignore:This command is deprecated")

SEEDS = 100  # in the suite
ROUNDS = 5  # conversations that one broker lives through, or pairs of them


def fuzz(seed: int) -> None:
    """Let one broker live through some rounds of conversations, all drawn from a seed."""
    rng = random.Random(seed)
    limits = Limits(**rng.choice(LIMITS))
    arena = Arena(limits, seed)
    for _ in range(ROUNDS):
        conversations = []
        for _ in range(rng.choice([1, 1, 2, 3])):
            conversation = pieces.conversation(rng, limits, rng.choice([10, 30, 60, 100]))
            for _ in range(rng.choice([0, 0, 0, 0, 1, 1, 2, 5])):
                mutate_at_random(conversation, rng)
            conversations.append(conversation)
        hold(arena, conversations, rng)
    arena.close()


def run(seed: int) -> None:
    """Fuzz with a seed and name it in what fails."""
    try:
        fuzz(seed)
    except BaseException as failure:
        failure.add_note(f"replay: pytest tests/fuzz --fuzz-seconds 0 --fuzz-seed {seed}")
        raise


def test_whatever_clients_say_nobody_else_notices(
    fuzz_seconds: float | None, fuzz_seed: int | None
) -> None:
    if fuzz_seconds is None and fuzz_seed is None:
        for seed in range(SEEDS):
            run(seed)
        return
    seed = fuzz_seed if fuzz_seed is not None else random.SystemRandom().randrange(1 << 32)
    until = time.monotonic() + (fuzz_seconds or 0)
    first = seed
    while True:
        run(seed)
        seed += 1
        if time.monotonic() >= until:
            break
    print(f"{seed - first} seeds from {first}")


# -- driven by Hypothesis, which makes what fails small --------------------------------------------

LIMITS_OF_ALL = Limits()
with warnings.catch_warnings(action="ignore"):  # of pamqp, about recover-async
    CATALOG = sorted({pieces.piece(random.Random(seed)) for seed in range(400)}, key=len)
POLITE = [
    codec.PROTOCOL_HEADER,
    codec.method_frame(
        0, codec.make(commands.Connection.StartOk, mechanism="PLAIN", response="\0guest\0guest")
    ),
    codec.method_frame(0, codec.make(commands.Connection.TuneOk, channel_max=9, frame_max=4096)),
    codec.method_frame(0, codec.make(commands.Connection.Open, virtual_host="/")),
    codec.method_frame(1, commands.Channel.Open()),
    codec.method_frame(2, commands.Channel.Open()),
    *pieces.furniture(random.Random(0)),
]
PLACES = st.integers(0, 1 << 20)


@settings(max_examples=150)
@given(
    said=st.lists(st.sampled_from(CATALOG), max_size=15),
    changes=st.lists(st.tuples(PLACES, PLACES, PLACES, PLACES), max_size=4),
    cuts=st.lists(PLACES, max_size=6),
)
def test_any_change_to_any_conversation_is_survived(
    said: list[bytes], changes: list[tuple[int, int, int, int]], cuts: list[int]
) -> None:
    conversation = POLITE + said
    for kind, at, place, seed in changes:
        mutate(conversation, kind, at, place, seed)
    say_in_pieces(b"".join(conversation), cuts)


@settings(max_examples=100)
@given(data=st.binary(max_size=200), cuts=st.lists(PLACES, max_size=4), state=st.integers(0, 6))
def test_any_octets_at_any_step_of_the_handshake_are_survived(
    data: bytes, cuts: list[int], state: int
) -> None:
    say_in_pieces(b"".join(POLITE[:state]) + data, cuts)


def say_in_pieces(data: bytes, cuts: list[int]) -> None:
    """Let one client say this in an arena of its own, in reads that end at the cuts."""
    arena = Arena(LIMITS_OF_ALL)
    victim = arena.enter()
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in zip(places, places[1:], strict=False):
        victim.say(data[start:end])
        arena.look()
    arena.close()


# -- some things that chance should not be left to find --------------------------------------------


def test_a_client_that_goes_away_at_any_octet_leaves_nothing_behind() -> None:
    rng = random.Random(5)
    data = b"".join(POLITE + [pieces.piece(rng) for _ in range(60)])
    arena = Arena(LIMITS_OF_ALL)
    ends = sorted({*range(0, 900, 7), *(rng.randrange(len(data)) for _ in range(150)), len(data)})
    for end in ends:
        arena.enter().say(data[:end])
        arena.look()
        arena.clear()
    arena.close()


TABLE_METHODS = (
    codec.make(commands.Queue.Declare, queue="q0"),
    codec.make(commands.Queue.Declare, queue="new"),
    codec.make(commands.Exchange.Declare, exchange="x0", exchange_type="direct"),
    codec.make(commands.Exchange.Declare, exchange="new", exchange_type="topic"),
    codec.make(commands.Queue.Bind, queue="q0", exchange="x0"),
    codec.make(commands.Queue.Bind, queue="q0", exchange="x2"),
    codec.make(commands.Queue.Unbind, queue="q0", exchange="x0"),
    codec.make(commands.Exchange.Bind, source="x2", destination="x0"),
    codec.make(commands.Exchange.Unbind, source="x2", destination="x0"),
    codec.make(commands.Basic.Consume, queue="q0"),
)


@pytest.mark.parametrize("method", TABLE_METHODS, ids=lambda method: method.name)
@pytest.mark.parametrize(
    "key", ["n", "x-max-length", "alternate-exchange", "x-priority", "x-match"]
)
@pytest.mark.parametrize("tag", ["A", "F"])
def test_tables_as_deep_as_they_may_be_are_no_trouble(
    method: base.Frame, key: str, tag: str
) -> None:
    arena = Arena(LIMITS_OF_ALL)
    victim = arena.enter()
    victim.say(b"".join(POLITE))
    payload = codec.encode_method(method)[:-4]
    for depth in (125, 126, 127, 128, 500):
        table = pieces.nested(depth, tag, key)
        for channel in (1, 2):  # what the first one made, the second one compares
            victim.say(codec.frame(codec.METHOD, channel, payload + table))
            arena.look()
            victim.say(victim.answers(random.Random(0)))
            arena.look()
    code, text = victim.listener.closes[-1]
    assert code == 501
    assert text.startswith("FRAME_ERROR - cannot decode")
    arena.close()


@pytest.mark.parametrize("tag", ["A", "F"])
@pytest.mark.parametrize("exchange", ["x2", "x0", ""])
@pytest.mark.parametrize("key", ["n", "CC", "BCC"])
def test_headers_as_deep_as_they_may_be_are_no_trouble(exchange: str, tag: str, key: str) -> None:
    arena = Arena(LIMITS_OF_ALL)
    victim = arena.enter()
    bind = codec.make(commands.Queue.Bind, queue="q0", exchange="x2")
    bind_all = codec.encode_method(bind)[:-4] + pieces.nested(125, tag, "n")
    victim.say(b"".join(POLITE) + codec.frame(codec.METHOD, 1, bind_all))
    publish = codec.make(commands.Basic.Publish, exchange=exchange, routing_key="q0")
    for depth in (100, 126, 127, 500):
        properties = b"\x20\x00" + pieces.nested(depth, tag, key)
        content = codec.content_frames(1, properties, b"body", 0)
        victim.say(codec.method_frame(1, publish) + content)
        arena.look()
        victim.say(victim.answers(random.Random(0)))
        arena.look()
    arena.close()
