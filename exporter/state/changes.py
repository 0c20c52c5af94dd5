"""The latest changes of streams since the start: each of a definite state, and losses of knowledge by the account."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterator
from typing import Final, NamedTuple

from exporter.model import State

MOST_CHANGES: Final = 100  # of each of the two kinds
MOST_NAMES: Final = 5
TOGETHER_SECONDS: Final = 60


class RecentChange(NamedTuple):
    """A stream that changed, or streams of one account that became unknown, or known again, in the same minute.

    Attributes:
        at: When, in Unix seconds; the last of several.
        old: The state before; after a time of UNKNOWN, the one before that.
        evidence: The API's action, the fault's reason, or `max_age`.
        names: The streams, the first `MOST_NAMES` of them.
        times: How many changes there were.
        expected: Whether the stream, the last of several, was expected then.
    """

    at: float
    provider: str
    account: str
    old: State
    new: State
    evidence: str
    names: tuple[str, ...]
    times: int = 1
    expected: bool = True


class RecentChanges:
    """Keeps the latest changes.

    Those between definite states are kept apart from the others, so that an outage of an account, in which thousands of
    streams become unknown, makes nobody forget which stream went down.
    """

    def __init__(self) -> None:
        self._definite: deque[RecentChange] = deque(maxlen=MOST_CHANGES)
        self._others: dict[tuple[object, ...], RecentChange] = {}

    def __iter__(self) -> Iterator[RecentChange]:
        """Yield them, the latest first."""
        yield from sorted([*self._definite, *self._others.values()], key=lambda one: -one.at)

    def add(self, one: RecentChange) -> None:
        """Add a change of one stream."""
        if State.UNKNOWN not in (one.old, one.new):
            self._definite.append(one)
            return
        kind = (one.at // TOGETHER_SECONDS, *one[1:6])
        known = self._others.pop(kind, None)
        if known is not None:
            names = tuple(dict.fromkeys(known.names + one.names))[:MOST_NAMES]
            one = one._replace(names=names, times=known.times + 1)
        self._others[kind] = one
        if len(self._others) > MOST_CHANGES:
            del self._others[next(iter(self._others))]

    def keep(self, watched: Container[tuple[str, str]]) -> None:
        """Forget streams that are not among these (provider, name) pairs."""
        definite = [one for one in self._definite if (one.provider, one.names[0]) in watched]
        self._definite = deque(definite, maxlen=MOST_CHANGES)
        self._others = {
            kind: one._replace(names=names)
            for kind, one in self._others.items()
            if (names := tuple(name for name in one.names if (one.provider, name) in watched))
        }
