"""Finds what is late: its turn has not come for so long that nothing is known of it any more."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from math import inf
from typing import Generic, NamedTuple, TypeVar

from exporter.addresses import PlaybackSettings
from exporter.fields import counted, number
from exporter.playback.queue import Queue, Standing

T = TypeVar("T", bound=Hashable)


class Late(NamedTuple):
    """How late an entry is.

    Attributes:
        seconds: For how long its turn has not come.
        ended: How many seconds ago work on it last ended; None if none has.
    """

    seconds: float
    ended: float | None


class Lateness(Generic[T]):
    """Tells of each entry that is late, again and again until it is not; nothing is late while nobody wants to know.

    Args:
        patience: Returns after how many seconds an entry is late, counted from when work on it last ended, or from when
            it was new or somebody wanted to know again.
        tell: Takes an entry that is late; returns the seconds after which it is told again, or None if nobody wants to
            know any more.
        time: The event loop's clock.
    """

    def __init__(
        self, patience: Callable[[T], float], tell: Callable[[T, Late], float | None], time: Callable[[], float]
    ) -> None:
        self._patience = patience
        self._tell = tell
        self._time = time
        self._new: dict[T, float] = {}
        self._ended: dict[T, float] = {}
        self._began = -inf
        self._looks: Queue[T] = Queue(self._look, lambda _: "", time)

    def keep(self, entries: Iterable[T]) -> None:
        """Watch these from now on, by what `patience` says now."""
        now = self._time()
        self._new = {entry: self._new.get(entry, now) for entry in entries}
        self._ended = {entry: when for entry, when in self._ended.items() if entry in self._new}
        self._looks.keep(())
        self._looks.keep(self._new)

    def begin(self) -> None:
        """Take it that somebody wants to know again."""
        self._began = self._time()
        self._looks.run(True)

    def ended(self, entry: T) -> None:
        """Take it that work on an entry has ended."""
        if entry in self._new:
            self._ended[entry] = self._time()

    async def close(self) -> None:
        """Tell nothing any more."""
        await self._looks.close()

    async def _look(self, entry: T) -> float:
        now, ended = self._time(), self._ended.get(entry)
        seconds = now - max(self._new[entry] if ended is None else ended, self._began)
        left = self._patience(entry) - seconds
        if left > 0:
            return left
        again = self._tell(entry, Late(seconds, None if ended is None else now - ended))
        if again is None:
            self._looks.run(False)
        return again or 0.0


def why_late(seconds: float, host: str, standing: Standing, waiting: int, settings: PlaybackSettings) -> str:
    """Say why the check of an address is late, and what to do.

    Args:
        seconds: For how long its turn has not come.
        host: Its host.
        standing: How things stand for it.
        waiting: How many requests to its host wait for their turn.
        settings: How addresses are checked.
    """
    under_way = standing.under_way or 0.0
    slow = 2 * under_way >= seconds
    late = f"its turn has not come for {seconds:,.0f} s"
    if slow:
        late = f"its check has not ended for {under_way:,.0f} s"
    elif standing.under_way is not None:
        late = f"its turn came only after {seconds - under_way:,.0f} s"
    share = f"{number(standing.entries)} addresses of {host} share" if standing.entries > 1 else f"{host} gets"
    if waiting and 2 * waiting >= standing.busy:
        return f"{late}: {share} {counted(settings.rate, 'request')} a second; raise playback.rate or playback.interval"
    if slow:
        return f"{late}: {host} is that slow"
    if standing.full:
        return (
            f"{late}: servers are so slow that the exporter has as many checks under way as it makes at once; "
            "raise playback.interval, or divide the streams into shards"
        )
    took = standing.seconds
    each = f", and one takes {took:.{0 if took >= 10 else 1}f} s" if took >= 0.05 else ""
    return (
        f"{late}: {share} {counted(settings.concurrency, 'check')} at once{each}; "
        "raise playback.concurrency or playback.interval"
    )
