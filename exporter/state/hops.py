"""Where one hop says that a stream is live and another one that it is not. Nothing here reads a clock.

Hops are compared in two ways: a cloud with what viewers get of the same stream, and the providers that carry streams
with the same label `group`. A disagreement counts once both sides were asked anew since it began, so longer than the
slower one takes to notice a change. Times are in monotonic seconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Final

from exporter.model import State
from exporter.schedule import Verdicts
from exporter.state.playback import Checks, down_at, viewers_get
from exporter.state.record import Key, Record

GROUP: Final = "group"
"""The label that says which streams of several providers are the same to viewers."""

Live = bool | None
"""Whether a hop has the stream; None while nobody knows."""


def live_in(state: State) -> Live:
    """Return whether a cloud has a stream, by its state."""
    return None if state is State.UNKNOWN else state is State.ACTIVE


@dataclass(slots=True)
class Word:
    """What a hop last said for certain.

    Attributes:
        live: Whether it has the stream.
        since: Since when it has said so.
        lost: Since when nobody knows. Unless that is for long, it has said the same all the time.
    """

    live: Live = None
    since: float = -inf
    lost: float | None = None

    def take(self, live: Live, now: float, patience: float) -> None:
        """Take what it says now; after more than `patience` seconds of doubt, it begins anew."""
        if live is None:
            self.lost = now if self.lost is None else self.lost
            return
        if live is not self.live or (self.lost is not None and now - self.lost > patience):
            self.live, self.since = live, now
        self.lost = None


@dataclass(slots=True)
class Compared:
    """A stream that is compared.

    Attributes:
        cloud: What its cloud says.
        addresses: What viewers get, by the address's name.
        checked: When each address was last checked.
    """

    record: Record
    cloud: Word
    addresses: dict[str, Word] = field(default_factory=dict)
    checked: dict[str, float] = field(default_factory=dict)

    def disagrees(self, checks: Checks) -> bool | None:
        """Return whether viewers get nothing of what its cloud calls live; None if one of them is unknown."""
        cloud, viewers = live_in(self.record.shown), viewers_get(checks)
        if cloud is None or viewers is None:
            return None
        if viewers or not cloud:
            return False
        down = down_at(checks)
        began = max(self.cloud.since, min(self.addresses[name].since for name in down))
        return min(self.record.answered_mono, max(self.checked[name] for name in down)) > began


@dataclass(slots=True)
class Side:
    """The streams of a group at one provider, and what those say together that are expected now.

    Attributes:
        live: Whether one of them is live.
        since: Since when they have said so.
        asked: Since when all that must say so have said it again.
        expected: Since when one of them is expected, if that has changed; infinity while none is.
    """

    streams: list[Compared] = field(default_factory=list)
    live: Live = None
    since: float = -inf
    asked: float = -inf
    expected: float = -inf

    def look(self, verdicts: Verdicts, now: float) -> None:
        """See what they say."""
        told = [one for one in self.streams if verdicts.of(one.record.key).expected]
        if not told:
            self.expected = inf
            return
        self.expected = now if self.expected == inf else self.expected
        says = {live_in(one.record.shown) for one in told}
        self.live = True if True in says else None if None in says else False
        if self.live:  # one is enough
            told = [one for one in told if one.record.shown is State.ACTIVE]
            self.since = min(one.cloud.since for one in told)
            self.asked = max(one.record.answered_mono for one in told)
        else:
            self.since = max(one.cloud.since for one in told)
            self.asked = min(one.record.answered_mono for one in told)

    def disagrees(self, other: Side) -> bool | None:
        """Return whether one side is live and the other one is not; None if one of them is unknown."""
        if self.live is None or other.live is None:
            return None
        began = max(each for side in (self, other) for each in (side.since, side.expected))
        return self.live is not other.live and min(self.asked, other.asked) > began


@dataclass(slots=True)
class Group:
    """Streams of several providers that are the same to viewers, by provider; `looked` is when that was looked at."""

    sides: dict[str, Side] = field(default_factory=lambda: defaultdict(Side))
    looked: float = -inf

    def disagrees(self, provider: str, verdicts: Verdicts, now: float) -> Iterator[bool | None]:
        """Yield whether a provider's side disagrees with each other one that has streams which are expected now."""
        if self.looked != now:  # once for all rows of a document
            self.looked = now
            for side in self.sides.values():
                side.look(verdicts, now)
        own = self.sides[provider]
        yield from (own.disagrees(side) for side in self.sides.values() if side is not own and side.expected < inf)


class Hops:
    """The streams that have addresses, a group, or both, by their keys; no others are known here."""

    def __init__(self) -> None:
        self.streams: dict[Key, Compared] = {}
        self._groups: dict[Key, Group] = {}
        self._patience = 0.0

    def watch(self, records: Iterable[Record], patience: float, *, whole: bool) -> None:
        """Watch only these streams; what is known of those that were there before stays known.

        Args:
            records: The streams.
            patience: For how many seconds a hop may be unknown without beginning anew.
            whole: Whether these are all streams; else a group's others may be live, and none is compared.
        """
        groups: dict[str, Group] = defaultdict(Group)
        streams: dict[Key, Compared] = {}
        for record in records:
            group = record.stream.labels.get(GROUP) if whole else None
            if not group and not record.stream.playback:
                continue
            known = self.streams.get(record.key)
            if known is None or known.record is not record:
                known = Compared(record, Word(live_in(record.shown), record.answered_mono))
            streams[record.key] = known
            if group:
                groups[group].sides[record.key[0]].streams.append(known)
        several = [group for group in groups.values() if len(group.sides) > 1]
        self._groups = {one.record.key: group for group in several for side in group.sides.values()
                        for one in side.streams}  # fmt: skip
        self.streams = {key: one for key, one in streams.items() if one.record.stream.playback or key in self._groups}
        self._patience = patience

    def turned(self, record: Record, now: float) -> None:
        """Take it that the state shown of a stream has changed."""
        self.streams[record.key].cloud.take(live_in(record.shown), now, self._patience)

    def played(self, record: Record, name: str, up: bool | None, now: float, *, anew: bool) -> None:
        """Take what a check of an address found; `anew` if nothing is known of it before."""
        one = self.streams[record.key]
        word = Word() if anew else one.addresses[name]
        word.take(up, now, self._patience)
        one.addresses[name], one.checked[name] = word, now

    def disagree(self, record: Record, checks: Checks, verdicts: Verdicts, now: float) -> bool | None:
        """Return whether a stream, whose checks count that are given, is live at one hop and not at another.

        Returns:
            None if nobody knows, or if there is nothing to compare.
        """
        told = [self.streams[record.key].disagrees(checks)] if checks else []
        group = self._groups.get(record.key)
        if group is not None and verdicts.of(record.key).expected:
            told += group.disagrees(record.key[0], verdicts, now)
        if not told or record.shown is State.UNKNOWN:
            return None
        return True if True in told else None if None in told else False
