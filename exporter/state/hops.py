"""Where one hop says that a stream is live and another one that it is not. Nothing here reads a clock.

Hops are compared in two ways: a cloud with what viewers get of the same stream, and the providers that carry streams
with the same label `group`. A disagreement counts once both sides were asked anew since it began, so longer than the
slower one takes to notice a change.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Final

from exporter.model import State
from exporter.schedule import Expectation
from exporter.state.playback import viewers_get
from exporter.state.record import Key, Record

GROUP: Final = "group"
"""The label that says which streams of several providers are the same to viewers."""

Live = bool | None
"""Whether a hop has the stream; None while nobody knows."""


def live_in(state: State) -> Live:
    """Return whether a cloud has a stream, by its state."""
    return None if state is State.UNKNOWN else state is State.ACTIVE


@dataclass(slots=True)
class Disagreement:
    """One side says live, the other one not; times in monotonic seconds.

    Attributes:
        began: Since when; None while they do not disagree.
        lost: Since when a side is unknown. If that is not for long, it is the same disagreement afterwards.
        lasts: Whether both sides were asked anew since it began.
        looked: When that was last looked at.
    """

    began: float | None = None
    lost: float | None = None
    lasts: bool = False
    looked: float | None = None

    def see(self, one: Live, other: Live, now: float, patience: float) -> None:
        """Take what the sides say; a disagreement ends if a side is unknown for longer than `patience` seconds."""
        if one is False or other is True:
            self.end()
        elif one is None or other is None:
            self.lost = now if self.lost is None else self.lost
        else:
            if self.began is None or (self.lost is not None and now - self.lost > patience):
                self.began, self.lasts = now, False
            self.lost = None

    def end(self) -> None:
        """Forget it."""
        self.began, self.lost, self.lasts = None, None, False

    def confirm(self, asked: float) -> None:
        """Take when the side that was asked longer ago was asked last."""
        self.lasts = self.lasts or (self.began is not None and asked > self.began)


@dataclass(slots=True)
class Viewed:
    """A stream that has addresses.

    Attributes:
        checked: When each address was last checked, in monotonic seconds.
        doubt: The cloud says live, viewers get nothing.
    """

    record: Record
    checked: dict[str, float] = field(default_factory=dict)
    doubt: Disagreement = field(default_factory=Disagreement)

    def told(self, state: State, now: float, patience: float) -> bool | None:
        """Return whether the cloud, which says this, disagrees with what viewers get; None if one is unknown."""
        record = self.record
        checks = record.checks(now)
        cloud, viewers = live_in(state), viewers_get(check for _, check in checks)
        self.doubt.see(cloud, viewers, now, patience)
        if cloud is None or viewers is None:
            return None
        if self.doubt.began is not None:
            down = [self.checked[name] for name, check in checks if check is not None and check.up is False]
            self.doubt.confirm(min(record.answered_mono, max(down)))
        return self.doubt.lasts


@dataclass(slots=True)
class Side:
    """The streams of a group at one provider.

    Attributes:
        records: The streams, each with the number of its schedule.
        counts: For each schedule, how many are live, are not, and are unknown.
    """

    records: dict[Record, int] = field(default_factory=dict)
    counts: dict[int, Counter[Live]] = field(default_factory=lambda: defaultdict(Counter))

    def add(self, record: Record, schedule: int) -> None:
        """Add a stream that follows a schedule."""
        self.records[record] = schedule
        self.counts[schedule][live_in(record.shown)] += 1

    def says(self, expected: Sequence[Expectation]) -> list[Live]:
        """Return whether one of the streams expected now is live; nothing if none is expected."""
        counts = [counts for schedule, counts in self.counts.items() if expected[schedule].expected]
        found = {live for one in counts for live, count in one.items() if count}
        if not found:
            return []
        return [True if True in found else None if None in found else False]

    def asked(self, expected: Sequence[Expectation], *, live: bool) -> float:
        """Return since when it has said so: its newest word of a live stream, its oldest word of those that are not."""
        told = [one for one, schedule in self.records.items() if expected[schedule].expected]
        if live:
            return max(one.answered_mono for one in told if one.shown is State.ACTIVE)
        return min(one.answered_mono for one in told)


@dataclass(slots=True)
class Group:
    """Streams of several providers that are the same to viewers.

    Attributes:
        sides: Its streams by provider.
        says: What each side says that has streams which are expected now.
        doubts: For two providers, that the first one's is live and the second one's is not.
    """

    sides: dict[str, Side] = field(default_factory=lambda: defaultdict(Side))
    says: dict[str, Live] = field(default_factory=dict)
    doubts: dict[tuple[str, str], Disagreement] = field(default_factory=lambda: defaultdict(Disagreement))

    def see(self, expected: Sequence[Expectation], now: float, patience: float) -> None:
        """Compare the sides, if one says something else than before."""
        says = {provider: live for provider, side in self.sides.items() for live in side.says(expected)}
        if says == self.says:
            return
        self.says = says
        for one, other in permutations(self.sides, 2):
            if one in says and other in says:
                self.doubts[one, other].see(says[one], says[other], now, patience)
            else:
                self.doubts[one, other].end()

    def told(self, provider: str, expected: Sequence[Expectation], now: float) -> Iterator[bool | None]:
        """Yield for each other side whether a provider's disagrees with it; None if one of them is unknown."""
        if provider not in self.says:
            return
        own = self.says[provider]
        for other, theirs in self.says.items():
            if other == provider:
                continue
            if own is None or theirs is None:
                yield None
            else:
                live, gone = (provider, other) if own else (other, provider)
                yield own is not theirs and self._lasts(live, gone, expected, now)

    def _lasts(self, live: str, gone: str, expected: Sequence[Expectation], now: float) -> bool:
        doubt = self.doubts[live, gone]
        # All rows of a document are made for the same moment.
        if not doubt.lasts and doubt.looked != now:
            doubt.looked = now
            asked = self.sides[live].asked(expected, live=True), self.sides[gone].asked(expected, live=False)
            doubt.confirm(min(asked))
        return doubt.lasts

    def keep(self, before: Group) -> None:
        """Take over what is known of sides that have the same streams as before."""
        old = before.sides
        same = {
            name for name, side in self.sides.items() if name in old and side.records.keys() == old[name].records.keys()
        }
        self.doubts.update({pair: doubt for pair, doubt in before.doubts.items() if same.issuperset(pair)})


class Hops:
    """The streams that have addresses, a group, or both; no others are known here.

    Attributes:
        keys: All of them.
        viewed: Those that have addresses.
    """

    def __init__(self) -> None:
        self.keys: frozenset[Key] = frozenset()
        self.viewed: dict[Key, Viewed] = {}
        self._groups: dict[str, Group] = {}
        self._group_of: dict[Key, Group] = {}
        self._numbers: Mapping[Key, int] = {}
        self._patience = 0.0

    def watch(self, records: Iterable[Record], numbers: Mapping[Key, int], patience: float, *, whole: bool) -> None:
        """Watch only these streams; what is compared as before goes on.

        Args:
            records: The streams.
            numbers: Which schedule each of them follows; 0 if it is not there.
            patience: For how many seconds a side may be unknown without ending a disagreement.
            whole: Whether these are all streams; else a group's others may be live, and none is compared.
        """
        viewed: dict[Key, Viewed] = {}
        groups: dict[str, Group] = defaultdict(Group)
        for record in records:
            if record.stream.playback:
                viewed[record.key] = self._viewed(record)
            if whole and (name := record.stream.labels.get(GROUP)):
                groups[name].sides[record.key[0]].add(record, numbers.get(record.key, 0))
        self.viewed, before = viewed, self._groups
        self._groups = {name: group for name, group in groups.items() if len(group.sides) > 1}
        for name in self._groups.keys() & before.keys():
            self._groups[name].keep(before[name])
        sides = [(group, side) for group in self._groups.values() for side in group.sides.values()]
        self._group_of = {record.key: group for group, side in sides for record in side.records}
        self.keys = frozenset(self.viewed.keys() | self._group_of.keys())
        self._numbers, self._patience = numbers, patience

    def _viewed(self, record: Record) -> Viewed:
        """Return what is known, unless no address is left that brought viewers nothing."""
        known = self.viewed.get(record.key)
        if known is None or known.record is not record:
            return Viewed(record)
        if all(check.up is not False for check in record.playback.values()):
            known.doubt.end()
        return known

    def turned(self, record: Record, old: State, expected: Sequence[Expectation], now: float) -> None:
        """Take it that the state shown of a stream has changed."""
        if (viewed := self.viewed.get(record.key)) is not None:
            viewed.told(record.shown, now, self._patience)
        if (group := self._group_of.get(record.key)) is not None:
            counts = group.sides[record.key[0]].counts[self._number(record)]
            counts[live_in(old)] -= 1
            counts[live_in(record.shown)] += 1
            group.see(expected, now, self._patience)

    def played(self, record: Record, name: str, now: float) -> bool:
        """Take it that an address was checked; return whether the comparison may have come out otherwise by that."""
        viewed = self.viewed[record.key]
        viewed.checked[name] = now
        before = viewed.doubt.lasts
        viewed.told(record.shown, now, self._patience)
        return viewed.doubt.lasts is not before

    def disagree(self, record: Record, state: State, expected: Sequence[Expectation], now: float) -> bool | None:
        """Return whether a stream, whose cloud says this, is live at one hop and not at another; None if unknown."""
        told: list[bool | None] = []
        if (viewed := self.viewed.get(record.key)) is not None:
            told.append(viewed.told(state, now, self._patience))
        if (group := self._group_of.get(record.key)) is not None and expected[self._number(record)].expected:
            group.see(expected, now, self._patience)
            told += group.told(record.key[0], expected, now)
        if not told or state is State.UNKNOWN:
            return None
        return True if True in told else None if None in told else False

    def _number(self, record: Record) -> int:
        return self._numbers.get(record.key, 0)
