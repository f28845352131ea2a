"""What channels of a connection share: room in its outbox, consumers that wait, and being dirty."""

import pytest
from librt.strings import BytesWriter

from amqpd.session.link import Link
from tests.core.fakes import FakeConsumer
from tests.session.fakes import Bench


class Waiting(FakeConsumer):
    """A consumer that notes when it is resumed."""

    def __init__(self) -> None:
        super().__init__()
        self.resumed = 0

    def resume(self) -> None:
        """See Consumer."""
        self.resumed += 1


@pytest.fixture
def bench() -> Bench:
    """A vhost whose connections have little room."""
    return Bench(outbox_bytes=100)


def filled(link: Link, count: int) -> BytesWriter:
    """Put so many bytes into the outbox, and return it."""
    link.outbox.write(bytes(count))
    return link.outbox


def test_a_link_knows_its_peer(bench: Bench) -> None:
    link = bench.link()
    assert link.name == "10.0.0.1:40001 -> 10.0.0.2:5672"
    assert (link.id, link.user, link.vhost) == (1, "guest", bench.vhost)
    assert link.reading and not link.congested and not link.wants_turn and not link.has_published
    assert link.exclusive_queues == {} and link.stalled == []


# -- room ------------------------------------------------------------------------------------------


def test_an_outbox_below_its_bound_has_room(bench: Bench) -> None:
    link, consumer = bench.link(), Waiting()
    assert link.has_room(filled(link, 99), consumer)
    assert not link.wants_turn and link.stalled == []


def test_a_full_outbox_asks_for_another_turn(bench: Bench) -> None:
    link, consumer = bench.link(), Waiting()
    assert not link.has_room(filled(link, 100), consumer)
    assert link.wants_turn
    assert link.stalled == [consumer] and consumer.will_resume


def test_a_consumer_waits_once(bench: Bench) -> None:
    link, consumer = bench.link(), Waiting()
    out = filled(link, 100)
    link.has_room(out, consumer)
    link.has_room(out, consumer)
    assert link.stalled == [consumer]


def test_a_congested_link_has_no_room_and_wants_no_turn(bench: Bench) -> None:
    link, consumer = bench.link(), Waiting()
    link.congested = True
    assert not link.has_room(link.outbox, consumer)
    assert link.stalled == [consumer] and not link.wants_turn


def test_what_is_held_back_is_bounded_too_but_asks_for_no_turn(bench: Bench) -> None:
    """It would be asked for again and again until the sync comes."""
    link, consumer = bench.link(), Waiting()
    held = BytesWriter()
    held.write(bytes(100))
    assert not link.has_room(held, consumer)
    assert link.stalled == [consumer] and not link.wants_turn
    link.after_hold()
    assert link.wants_turn and bench.dirty == [link]


def test_after_a_hold_nobody_waits_for(bench: Bench) -> None:
    link = bench.link()
    link.after_hold()
    assert not link.wants_turn and bench.dirty == [link]


def test_after_a_hold_of_a_congested_link(bench: Bench) -> None:
    link, consumer = bench.link(), Waiting()
    link.congested = True
    link.has_room(link.outbox, consumer)
    link.after_hold()
    assert not link.wants_turn


def test_stalled_consumers_go_on(bench: Bench) -> None:
    link = bench.link()
    consumers = [Waiting(), Waiting()]
    out = filled(link, 100)
    for consumer in consumers:
        link.has_room(out, consumer)
    link.resume_stalled()
    assert [consumer.resumed for consumer in consumers] == [1, 1]
    assert not any(consumer.will_resume for consumer in consumers)
    assert link.stalled == [] and not link.wants_turn


def test_a_consumer_may_stall_again_while_it_goes_on(bench: Bench) -> None:
    link = bench.link()

    class Again(Waiting):
        """Finds no room again."""

        def resume(self) -> None:
            super().resume()
            link.has_room(link.outbox, self)

    consumer = Again()
    link.has_room(filled(link, 100), consumer)
    link.resume_stalled()
    assert consumer.resumed == 1
    assert link.stalled == [consumer] and link.wants_turn


# -- credit ----------------------------------------------------------------------------------------


def test_consumers_with_credit_again_go_on_later(bench: Bench) -> None:
    link, consumer = bench.link(), Waiting()
    link.resume_later(consumer)
    link.resume_later(consumer)
    assert consumer.resumed == 0 and consumer.will_resume
    link.resume_consumers()
    link.resume_consumers()
    assert consumer.resumed == 1 and not consumer.will_resume


def test_a_ready_consumer_needs_no_resuming(bench: Bench) -> None:
    link, consumer = bench.link(), Waiting()
    consumer.is_ready = True
    link.resume_later(consumer)
    link.resume_consumers()
    assert consumer.resumed == 0


def test_a_stalled_consumer_waits_in_one_place(bench: Bench) -> None:
    link, consumer = bench.link(), Waiting()
    link.has_room(filled(link, 100), consumer)
    link.resume_later(consumer)
    link.resume_consumers()
    assert consumer.resumed == 0
    link.resume_stalled()
    assert consumer.resumed == 1


def test_going_on_may_give_others_credit(bench: Bench) -> None:
    link, last = bench.link(), Waiting()

    class First(Waiting):
        """Lets another one go on."""

        def resume(self) -> None:
            link.resume_later(last)

    link.resume_later(First())
    link.resume_consumers()
    assert last.resumed == 1


# -- collect ---------------------------------------------------------------------------------------


def test_a_dirty_link_is_in_the_list_once(bench: Bench) -> None:
    link, other = bench.link(), bench.link()
    link.mark_dirty()
    other.mark_dirty()
    link.mark_dirty()
    assert bench.dirty == [link, other]
    assert link.is_dirty


def test_taking_empties_the_outbox_and_counts(bench: Bench) -> None:
    link = bench.link()
    assert link.take() == b""
    filled(link, 7)
    assert link.take() == bytes(7)
    assert link.take() == b""
    filled(link, 3)
    link.take()
    assert link.sent_bytes == 10
