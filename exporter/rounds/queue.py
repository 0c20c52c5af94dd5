"""The calls of one round that wait for their turn. Nothing here waits itself."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from exporter.rounds.plan import Query


class CallQueue:
    """Calls by action, in the order in which they are to be made.

    Attributes:
        listings: Listing calls that wait or are under way; each may bring more calls.
    """

    def __init__(self) -> None:
        self.listings = 0
        self._waiting: dict[str, deque[Query]] = {}
        self._claimed: Counter[str] = Counter()
        self._refused: set[str] = set()

    def add(self, queries: Iterable[Query]) -> None:
        """Queue calls behind all others of their actions."""
        for query in queries:
            self._waiting.setdefault(query.api.action, deque()).append(query)
            self.listings += query.page > 0

    def add_first(self, query: Query) -> None:
        """Queue a call for one stream ahead of all others of its action."""
        queue = self._waiting.setdefault(query.api.action, deque())
        # The plan may have queued the same call with the inputs that a list told: take that one.
        queue.appendleft(next((one for one in queue if one.streams == query.streams and not one.page), query))

    def choose(self) -> str | None:
        """Return an action with a call that no worker has claimed yet."""
        for action, queue in self._waiting.items():
            if len(queue) > self._claimed[action] and action not in self._refused:
                return action
        return None

    def claim(self, action: str) -> None:
        """Note that a worker waits for a turn of an action."""
        self._claimed[action] += 1

    def unclaim(self, action: str) -> None:
        """Note that it waits no longer."""
        self._claimed[action] -= 1

    def refuse(self, action: str) -> None:
        """Make no more calls of an action: its turns would come after the deadline."""
        if action not in self._refused:
            self._refused.add(action)
            self.listings -= sum(query.page > 0 for query in self._waiting.get(action, ()))

    def take(self, action: str) -> Query | None:
        """Return the next call of an action, which no longer waits."""
        queue = self._waiting.get(action)
        return queue.popleft() if queue else None

    def waits(self, action: str) -> bool:
        """Whether calls of an action wait, so that one more is sure to be taken soon."""
        return bool(self._waiting.get(action)) and action not in self._refused

    def left(self) -> int:
        """Return how many streams still wait for their turn."""
        return sum(map(self._streams, self._waiting))

    def left_by_quota(self) -> int:
        """Return how many of them wait because the quota had no turn left."""
        return sum(map(self._streams, self._refused))

    def _streams(self, action: str) -> int:
        return sum(len(query.streams) for query in self._waiting.get(action, ()))
