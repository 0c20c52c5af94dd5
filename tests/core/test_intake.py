"""Bodies as they come in: how much of them is held at a time, and by whom."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from exporter.providers.interface import MEBIBYTE, TransportError
from exporter.transport.aside import Reader, at_once
from exporter.transport.intake import SMALL, Intake
from exporter.transport.unpacking import Oversized


class Sender:
    """Sends a body in parts; knows how much of it has been taken."""

    def __init__(self, body: bytes, part: int = 8 << 10) -> None:
        self._parts = [body[start : start + part] for start in range(0, len(body), part)]
        self.taken = 0

    async def __call__(self) -> AsyncIterator[bytes]:
        """Yield the parts."""
        for part in self._parts:
            yield part
            self.taken += len(part)
            await asyncio.sleep(0)


async def settled() -> None:
    """Let everything happen that can."""
    for _ in range(1000):
        await asyncio.sleep(0)


LARGE = {"plain": (b"x" * (SMALL + 1), ""), "packed": (gzip.compress(b"x" * (SMALL + 1)), "gzip")}


@pytest.mark.parametrize("form", LARGE)
def test_large_bodies_come_in_one_after_the_other(form: str) -> None:
    """A second large body waits until the first is let go, and small ones wait for neither."""
    body, encoding = LARGE[form]

    async def main() -> None:
        intake = Intake(at_once)
        first = await intake.take(Sender(body)(), encoding, MEBIBYTE)
        sender = Sender(body)
        second = asyncio.create_task(intake.take(sender(), encoding, MEBIBYTE))
        await settled()
        assert not second.done()
        assert sender.taken <= SMALL
        for small in (b"x" * SMALL, b""):
            assert (await intake.take(Sender(small)(), "", MEBIBYTE)).body == small
        assert (await intake.take(Sender(gzip.compress(b"{}"))(), " GZIP", MEBIBYTE)).body == b"{}"
        first.permit.give_back()
        first.permit.give_back()  # more than once does no harm
        assert len((await second).body) == SMALL + 1

    asyncio.run(main())


def _cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()


@pytest.mark.parametrize("end", [_cancelled, None], ids=["cancelled while it waits", "too large"])
def test_who_fails_does_not_keep_the_others_out(end: Callable[[asyncio.Task[Any]], None] | None) -> None:
    """A call that is given up, or whose body is refused, lets the next large body in."""

    async def main() -> None:
        intake = Intake(at_once)
        first = await intake.take(Sender(b"x" * 2 * SMALL)(), "", MEBIBYTE)
        second = asyncio.create_task(intake.take(Sender(b"x" * 2 * SMALL)(), "", SMALL + 1))
        await settled()
        if end is not None:
            end(second)
        first.permit.give_back()
        with pytest.raises((asyncio.CancelledError, Oversized)):
            await second
        assert len((await intake.take(Sender(b"x" * 2 * SMALL)(), "", MEBIBYTE)).body) == 2 * SMALL

    asyncio.run(main())


def test_what_is_broken_fails_in_the_thread_as_it_does_here() -> None:
    """A large body whose compression is broken is a failure of its call alone, and the thread goes on."""

    async def main() -> None:
        reader = Reader()
        try:
            intake = Intake(reader)
            packed = gzip.compress(b"x" * MEBIBYTE)
            with pytest.raises(TransportError, match="ends early"):
                await intake.take(Sender(packed[:-1])(), "gzip", MEBIBYTE)
            taken = await intake.take(Sender(packed)(), "gzip", MEBIBYTE)
            assert len(taken.body) == MEBIBYTE
        finally:
            reader.close()

    asyncio.run(main())
