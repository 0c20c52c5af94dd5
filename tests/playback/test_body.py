"""What all checks hold and read at once is bounded, and large playlists are no trouble for others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from zlib import crc32

import pytest

from exporter.playback.body import HERE, LARGE, MOST_HELD, SMALL, Body, Held
from testbed.virtual import run
from tests.playback.rig import FLV_HEAD, flv_tag

SOUND, NO_MEDIA = flv_tag(8, 40, b"\xaf\x01sound"), flv_tag(18, 0, b"onMetaData")


async def slowly(work: Callable[[], Any]) -> Any:
    """Do a piece of work that takes a second."""
    await asyncio.sleep(1)
    return work()


def body(held: Held) -> Body:
    """Return what takes a body for five seconds."""
    return Body(held, asyncio.get_running_loop().time, 5.0)


def test_what_all_hold_is_bounded_and_a_small_playlist_is_always_taken() -> None:
    """Large ones wait for others; what is freed can be held again."""

    async def main() -> None:
        held = Held(slowly, asyncio.get_running_loop().time)
        large = [body(held) for _ in range(5)]
        taken = [one(bytes(8 << 20)) for one in large]
        assert taken == [True, True, True, True, False]
        assert "too many large playlists" in str(large[-1].failed)
        small = body(held)
        assert small(bytes(SMALL))
        assert not small(b"x")
        for one in (*large, small):
            one.free()
        assert held.size == 0
        assert body(held)(bytes(MOST_HELD))

    run(main())


def test_parts_of_a_playlist_are_held_once() -> None:
    """However many parts it comes in, so much of it is held as is more than each may hold."""

    async def main() -> None:
        held = Held(slowly, asyncio.get_running_loop().time)
        one = body(held)
        for part, size in ((SMALL - 1, 0), (11, 10), (7, 17), (0, 17)):
            assert one(bytes(part))
            assert held.size == size
        one.free()
        one.free()
        assert held.size == 0

    run(main())


def taken(*parts: tuple[float, bytes], longest: float = 100.0) -> tuple[Body, list[bool]]:
    """Hand a body these parts, each at a time; return it, and whether more was wanted after each."""
    now, wanted = [0.0], []
    one = Body(Held(slowly, lambda: now[0]), lambda: now[0], longest)
    for now[0], part in parts:
        wanted.append(one(part))
    return one, wanted


def test_flv_without_sound_and_pictures_is_silent_once_nothing_of_it_waits_to_be_taken() -> None:
    """After ten seconds from its begin, or from its last sound, and half a second in which what had come is taken."""
    first = (0.0, FLV_HEAD)
    data = [(when, NO_MEDIA) for when in (9.9, 10.0, 10.4)]
    one, wanted = taken(first, *data, (10.5, NO_MEDIA))
    assert (one.silent, wanted) == (True, [True] * 4 + [False])
    one, wanted = taken(first, *data, (10.5, SOUND), (20.5, NO_MEDIA), (20.9, NO_MEDIA), (21.0, NO_MEDIA))
    assert (one.silent, wanted) == (True, [True] * 7 + [False])
    one, _ = taken(first, *data, (10.5, SOUND[:15]), (40.0, b""), (41.0, b""))
    assert not one.silent, "a tag is under way"


def test_a_body_is_late_after_as_long_as_it_may_take() -> None:
    """From its first part on, however long that one took to come."""
    one, wanted = taken((50.0, b"#EXT"), (54.9, b"M3U"), longest=5.0)
    assert (one.late, wanted) == (False, [True, True])
    one, wanted = taken((50.0, b"#EXT"), (55.0, b"M3U"), longest=5.0)
    assert (one.late, wanted) == (True, [True, False])
    one, wanted = taken((0.0, FLV_HEAD + SOUND), (24.9, SOUND), (25.0, SOUND), longest=5.0)
    assert (one.late, wanted) == (True, [True, True, False]), "FLV has a time of its own"


def test_flv_is_known_by_its_first_bytes_and_not_kept() -> None:
    """Its checksum tells whether the very same has come before."""
    one, wanted = taken((0.0, b"F"), (0.1, b"LV" + FLV_HEAD[3:]), (0.2, SOUND))
    assert one.flv is not None
    assert (one.flv.tags, bytes(one.kept), one.checksum, wanted) == (1, b"", crc32(FLV_HEAD + SOUND), [True] * 3)
    one, wanted = taken((0.0, b"FLW"), (0.1, FLV_HEAD))
    assert (one.flv, bytes(one.kept), one.checksum) == (None, b"FLW" + FLV_HEAD, 0)


def test_large_playlists_are_read_one_after_the_other_and_none_waits_for_much() -> None:
    """A short one is read at once, one of usual size beside a large one, and between two large ones there is a rest."""
    done: list[tuple[str, float]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        held, start = Held(slowly, loop.time), loop.time()

        async def read(name: str, size: int) -> None:
            await held.read(bytearray(size), lambda: done.append((name, round(loop.time() - start, 3))))

        sizes = {"large": LARGE + 1, "larger": LARGE + 2, "usual": HERE[0] + 1, "usual too": LARGE, "short": HERE[0]}
        sizes["last"] = HERE[0] + 2
        await asyncio.gather(*(read(name, size) for name, size in sizes.items()))

    run(main())
    assert dict(done) == {"short": 0.0, "large": 1.0, "usual": 1.0, "usual too": 2.0, "larger": 3.0, "last": 3.0}


@pytest.mark.parametrize(
    ("body", "seconds"),
    [(b"\n" * 300, 0), (b"\n" * 301, 1), (b"\r" * 301, 1), (b"\r\n" * 150, 0), (b"\r\n" * 151, 1)],
    ids=["300", "301", "301 others", "300 of both", "302 of both"],
)
def test_many_short_lines_are_read_beside_the_event_loop(body: bytes, seconds: int) -> None:
    """It is lines that take time: three hundred are read here, whichever way they end."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await Held(slowly, loop.time).read(bytearray(body), lambda: "read") == "read"
        assert round(loop.time() - began, 3) == seconds

    run(main())
