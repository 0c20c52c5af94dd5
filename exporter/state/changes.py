"""The latest changes since the start, of streams and of their addresses: definite ones, and losses of knowledge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Final, NamedTuple

from exporter.state.course import Shown, definite
from exporter.state.record import Change, Key, Record

MOST_CHANGES: Final = 100  # of each of the kinds
MOST_NAMES: Final = 5
TOGETHER_SECONDS: Final = 60


class RecentChange(NamedTuple):
    """A stream or an address that changed, or several of an account that became unknown, or known again, in a minute.

    Attributes:
        at: When, in Unix seconds; the last of several.
        old: What was shown before; after a time in which nobody knew, what was shown before that.
        evidence: As in `Change`; of the last of several.
        names: The streams, the first `MOST_NAMES` of them.
        times: How many changes there were.
        expected: Whether the stream, the last of several, was expected then; for an address, or was live.
        playback: The address of these streams that changed, by its name; empty if they changed themselves.
    """

    at: float
    provider: str
    account: str
    old: Shown
    new: Shown
    evidence: str
    names: tuple[str, ...]
    times: int = 1
    expected: bool = True
    playback: str = ""

    def watched(self, records: Mapping[Key, Record]) -> RecentChange | None:
        """Return it with those of its streams that are among these and have the address; None without any."""
        known = [(name, records.get((self.provider, name))) for name in self.names]
        names = tuple(name for name, record in known if record is not None and record.has(self.playback))
        return self._replace(names=names) if names else None


class RecentChanges:
    """Keeps the latest changes.

    Definite ones are kept apart from the others, so that an outage of an account, in which thousands of streams become
    unknown, makes nobody forget which stream went down; and those of addresses apart from those of streams.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[bool, bool], dict[object, RecentChange]] = defaultdict(dict)
        self._numbers = count()

    def __iter__(self) -> Iterator[RecentChange]:
        """Yield them, the latest first."""
        every = [one for kept in self._kept.values() for one in reversed(kept.values())]
        yield from sorted(every, key=lambda one: -one.at)

    def add(self, change: Change, settled: Shown, account: str, cause: str, *, expected: bool) -> None:
        """Add a change.

        Args:
            change: What is shown, and was.
            settled: What was the last that was definite, before.
            account: The stream's account.
            cause: What those have in common that are told together.
            expected: As in `RecentChange`.
        """
        # Down after live and a time of doubt is a change from live to down.
        doubt = not definite(change.new) or change.new is settled
        one = RecentChange(change.at, change.provider, account, change.old if doubt else settled, change.new,
                           change.evidence, (change.stream,), 1, expected, change.playback)  # fmt: skip
        kept = self._kept[doubt, change.playback != ""]
        kind: object = next(self._numbers)
        if doubt:
            kind = (one.at // TOGETHER_SECONDS, one.provider, account, one.old, one.new, one.playback, cause)
        known = kept.pop(kind, None)
        if known is not None:
            names = tuple(dict.fromkeys(known.names + one.names))[:MOST_NAMES]
            one = one._replace(names=names, times=known.times + 1)
        kept[kind] = one
        if len(kept) > MOST_CHANGES:
            del kept[next(iter(kept))]

    def keep(self, records: Mapping[Key, Record]) -> None:
        """Forget streams that are not among these, and addresses that they no longer have."""
        for which, kept in self._kept.items():
            left = ((kind, one.watched(records)) for kind, one in kept.items())
            self._kept[which] = {kind: one for kind, one in left if one is not None}
