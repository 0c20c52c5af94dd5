"""What all checks hold and read at once is bounded, and large playlists are no trouble for others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from exporter.playback.body import HERE, LARGE, MOST_HELD, SMALL, Body, Held
from testbed.virtual import run


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
