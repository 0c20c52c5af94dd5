"""Decompression: whole bodies, whatever members they have, and never more than allowed."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest

from exporter.model import Reason
from exporter.providers.interface import MEBIBYTE, TransportError
from exporter.transport.unpacking import IN_STEP, MOST_MEMBERS, OUT_STEP, Oversized, Unpacker, unpack

BODY = b'{"a":1}'


def bare(body: bytes) -> bytes:
    """Compress without zlib's frame."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        (BODY, ""),
        (BODY, "identity"),
        (gzip.compress(BODY), "gzip"),
        (gzip.compress(BODY), "x-gzip"),
        (zlib.compress(BODY), "deflate"),
        (bare(BODY), "deflate"),
        (gzip.compress(BODY[:3]) + gzip.compress(BODY[3:]), "gzip"),
        (gzip.compress(BODY) + gzip.compress(b""), "gzip"),
        (b"".join(gzip.compress(BODY[i : i + 1]) for i in range(len(BODY))), "gzip"),
    ],
)
def test_a_body_comes_out_as_it_was(raw: bytes, encoding: str) -> None:
    """Each encoding gives the same bytes, and all members of a gzip body together are the body."""
    assert unpack(raw, encoding, MEBIBYTE) == BODY


@pytest.mark.parametrize("size", [0, 1, OUT_STEP - 1, OUT_STEP, OUT_STEP + 1, 3 * OUT_STEP, MEBIBYTE])
@pytest.mark.parametrize("level", [0, 1, 9])
def test_steps_lose_nothing(size: int, level: int) -> None:
    """Bodies at and beyond the size of a step come out whole, one byte less than they have is refused."""
    body = (b"0123456789" * (size // 10 + 1))[:size]
    packed = gzip.compress(body, level)
    assert unpack(packed, "gzip", size) == body
    if size:
        with pytest.raises(Oversized):
            unpack(packed, "gzip", size - 1)


def test_members_at_any_place_of_a_step_are_found() -> None:
    """A member may end at any byte of what is put in at once."""
    for gap in range(24):
        first = gzip.compress(b"x" * (IN_STEP - 40 + gap), 0)
        assert unpack(first + gzip.compress(b"end"), "gzip", MEBIBYTE)[-3:] == b"end"


@pytest.mark.parametrize("step", [1, 7, IN_STEP, 1 << 20])
def test_a_body_may_come_in_parts_of_any_size(step: int) -> None:
    """What is put in bit by bit comes out whole, in steps that are never longer than they may be."""
    body = bytes(range(256)) * 300 + bytes(2 * OUT_STEP)
    for raw, encoding in ((gzip.compress(body) + gzip.compress(b"end"), "gzip"), (bare(body + b"end"), "deflate")):
        unpacker = Unpacker(encoding)
        pieces = [piece for at in range(0, len(raw), step) for piece in unpacker.feed(raw[at : at + step])]
        unpacker.end()
        assert b"".join(pieces) == body + b"end"
        assert max(map(len, pieces)) <= OUT_STEP


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        (BODY, "br"),
        (BODY, "gzip, gzip"),
        (BODY, "gzip"),
        (BODY, "deflate"),
        (gzip.compress(BODY)[:-1], "gzip"),
        (gzip.compress(BODY)[:-9], "gzip"),
        (gzip.compress(BODY) + b"x", "gzip"),
        (gzip.compress(BODY) + b"\0" * 8, "gzip"),
        (gzip.compress(BODY) + gzip.compress(BODY)[:-1], "gzip"),
        (zlib.compress(BODY) + b"x", "deflate"),
        (bare(BODY) + b"x", "deflate"),
        (bare(BODY)[:-2], "deflate"),
        (zlib.compress(BODY) + zlib.compress(BODY), "deflate"),
        (gzip.compress(b"") * (MOST_MEMBERS + 1), "gzip"),
    ],
)
def test_what_is_broken_or_goes_on_is_malformed(raw: bytes, encoding: str) -> None:
    """A body that ends early, goes on after its end, or is compressed otherwise is none."""
    with pytest.raises(TransportError) as caught:
        unpack(raw, encoding, MEBIBYTE)
    assert caught.value.reason is Reason.MALFORMED
    assert not isinstance(caught.value, Oversized)


def test_a_bomb_stops_at_what_is_allowed() -> None:
    """Sixty-four MiB in 64 KiB cost no more memory than is allowed, in one member or in several."""
    bomb = gzip.compress(bytes(32 * MEBIBYTE))
    for raw in (bomb + bomb, gzip.compress(b"x" * 1000) + bomb):
        tracemalloc.start()
        try:
            with pytest.raises(Oversized, match="larger than 1024 KiB"):
                unpack(raw, "gzip", MEBIBYTE)
            assert tracemalloc.get_traced_memory()[1] <= 3 * MEBIBYTE
        finally:
            tracemalloc.stop()
