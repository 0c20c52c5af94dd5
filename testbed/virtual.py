"""Time that passes only when nothing else can happen."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Never waits: tells the loop how long it would have."""

    advance: Callable[[float], None]

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if not events and timeout is not None and timeout > 0:
            self.advance(timeout)
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer as soon as nothing is left to do."""

    def __init__(self) -> None:
        self._now = 1000.0
        selector = _Selector()
        selector.advance = self._advance
        super().__init__(selector)

    def _advance(self, seconds: float) -> None:
        # A hair more than asked for, as real selectors do, or float rounding would never let a timer ring.
        self._now += seconds + 1e-9

    def hold(self, seconds: float) -> None:
        """Let so much time pass in which nothing happens, as work does that does not yield."""
        self._now += seconds

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now

    def run_in_executor(self, _executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        """Run what would go to a thread here and now: virtual time does not wait for threads."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
