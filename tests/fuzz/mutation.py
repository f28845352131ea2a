"""What goes wrong with a conversation on its way: single changes to a list of pieces."""

import random
import struct
from collections.abc import Callable

from tests.fuzz.pieces import any_frame, hostile_table

Pieces = list[bytes]
INTERESTING = (0, 1, 7, 8, 127, 128, 255, 256, 4088, 4096, 4097, 32767, 32768, 65535, 1 << 24)
HUGE = (0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def _flip_bit(pieces: Pieces, at: int, place: int, rng: random.Random) -> None:
    _set(pieces, at, place, lambda octet: octet ^ 1 << rng.randrange(8))


def _set_octet(pieces: Pieces, at: int, place: int, rng: random.Random) -> None:
    _set(pieces, at, place, lambda octet: rng.randrange(256))


def _set(pieces: Pieces, at: int, place: int, change: Callable[[int], int]) -> None:
    data = bytearray(pieces[at])
    if data:
        data[place % len(data)] = change(data[place % len(data)])
        pieces[at] = bytes(data)


def _cut_off(pieces: Pieces, at: int, place: int, rng: random.Random) -> None:
    pieces[at] = pieces[at][: place % (len(pieces[at]) + 1)]


def _take_out(pieces: Pieces, at: int, place: int, rng: random.Random) -> None:
    start = place % (len(pieces[at]) + 1)
    pieces[at] = pieces[at][:start] + pieces[at][start + rng.randrange(1, 9) :]


def _put_in(pieces: Pieces, at: int, place: int, rng: random.Random) -> None:
    start = place % (len(pieces[at]) + 1)
    pieces[at] = pieces[at][:start] + rng.randbytes(rng.randrange(1, 9)) + pieces[at][start:]


def _wrong_size(pieces: Pieces, at: int, place: int, rng: random.Random) -> None:
    if len(pieces[at]) > 7:
        size = rng.choice([*INTERESTING, *HUGE])
        pieces[at] = pieces[at][:3] + struct.pack(">I", size) + pieces[at][7:]


def _wrong_number(pieces: Pieces, at: int, place: int, rng: random.Random) -> None:
    width = rng.choice([2, 4, 8])
    start = place % (len(pieces[at]) + 1)
    number = rng.choice([*INTERESTING, *HUGE, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
    octets = (number & ((1 << 8 * width) - 1)).to_bytes(width, "big")
    pieces[at] = pieces[at][:start] + octets + pieces[at][start + width :]


def _wrong_channel(pieces: Pieces, at: int, place: int, rng: random.Random) -> None:
    if len(pieces[at]) > 7:
        channel = struct.pack(">H", rng.choice([0, 1, 2, 3, 256, 65535]))
        pieces[at] = pieces[at][:1] + channel + pieces[at][3:]


def _say_twice(pieces: Pieces, at: int, place: int, rng: random.Random) -> None:
    pieces.insert(place % (len(pieces) + 1), pieces[at])


def _leave_out(pieces: Pieces, at: int, place: int, rng: random.Random) -> None:
    del pieces[at]


def _swap(pieces: Pieces, at: int, place: int, rng: random.Random) -> None:
    other = place % len(pieces)
    pieces[at], pieces[other] = pieces[other], pieces[at]


def _break_up(pieces: Pieces, at: int, place: int, rng: random.Random) -> None:
    """Put another piece between the frames of this one, or into one."""
    start = place % (len(pieces[at]) + 1)
    if rng.random() < 0.7 and len(pieces[at]) > 7:  # where its first frame ends
        start = int.from_bytes(pieces[at][3:7], "big") + 8
    inner = rng.choice(pieces)
    pieces[at] = pieces[at][:start] + inner + pieces[at][start:]


def _end_early(pieces: Pieces, at: int, place: int, rng: random.Random) -> None:
    pieces[at] = pieces[at][: place % (len(pieces[at]) + 1)]
    del pieces[at + 1 :]


def _strange_frame(pieces: Pieces, at: int, place: int, rng: random.Random) -> None:
    pieces.insert(at, any_frame(rng, 1))


def _hostile_tail(pieces: Pieces, at: int, place: int, rng: random.Random) -> None:
    """Put a hostile table where a method's arguments end, with the size set right."""
    data = pieces[at]
    if len(data) > 12:
        payload = data[7:-5] + hostile_table(rng)
        pieces[at] = data[:3] + struct.pack(">I", len(payload)) + payload + b"\xce"


MUTATIONS = (
    _flip_bit,
    _flip_bit,
    _set_octet,
    _cut_off,
    _take_out,
    _put_in,
    _wrong_size,
    _wrong_number,
    _wrong_channel,
    _say_twice,
    _leave_out,
    _swap,
    _break_up,
    _end_early,
    _strange_frame,
    _hostile_tail,
)


def mutate(pieces: Pieces, kind: int, at: int, place: int, seed: int) -> None:
    """Change a conversation in place; any numbers will do."""
    if pieces:
        rng = random.Random(seed)
        MUTATIONS[kind % len(MUTATIONS)](pieces, at % len(pieces), place, rng)


def mutate_at_random(pieces: Pieces, rng: random.Random) -> None:
    """Change a conversation in place, seldom in its handshake."""
    first = 0 if rng.random() < 0.2 else 6
    at = rng.randrange(first, max(len(pieces), first + 1))
    mutate(pieces, rng.randrange(1 << 16), at, rng.randrange(1 << 16), rng.randrange(1 << 32))
