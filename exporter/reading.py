"""One thread for what takes too long on the event loop: large answers are unpacked and read there, one at a time."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

Aside = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Does a piece of work somewhere, and returns or raises what it does."""


async def at_once(work: Callable[[], T]) -> T:
    """Do a piece of work here and now: for those who have no loop to keep free."""
    return work()


def _uncollected(work: Callable[[], T]) -> T:
    """Do a piece of work without the garbage collector: to go through a large document holds the event loop."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        return work()
    finally:
        if enabled:
            gc.enable()


class Reader:
    """Does pieces of work in a thread of its own, in the order in which they come.

    One thread for all accounts, so that what several large answers need is never needed at once. What it is given must
    be bounded, and must let other threads run: a call into C that goes on for long holds the event loop, too.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader")

    async def __call__(self, work: Callable[[], T]) -> T:
        """Do a piece of work in the thread; return or raise what it does."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, _uncollected, work)

    def close(self) -> None:
        """Begin nothing more; a piece of work under way ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)
