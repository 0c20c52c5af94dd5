"""What happens, when: the lives of the streams and the spells of faults, all from one seed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from benchmarks.clouds import down
from exporter.model import State
from exporter.providers import codes as catalogue
from exporter.simulator.types import Script

LIVE_SECONDS, DOWN_SECONDS, SHORTEST = 240.0, 120.0, 25.0

# Kinds of the simulator's faults, put upon one stream's calls, one listing's, or a whole account's.
CALL_KINDS = (
    "hang", "delay", "reset", "close", "cut", "code", "code", "html", "redirect", "status", "value", "unknown",
    "missing", "nan", "huge_int", "surrogate", "document", "deep", "huge", "duplicate_keys", "truncated", "empty",
    "text", "utf8",
)  # fmt: skip
ACCOUNT_KINDS = ("dead", "hang", "throttle", "skew", "html", "code")
SPELL_SECONDS = {"call": 40.0, "account": 50.0}


class Life(Script):
    """The states of a stream over a whole campaign; Unix seconds as the world's clock tells them."""

    __slots__ = ("edges", "lived")

    def __init__(self, edges: Sequence[float], lived: Sequence[State]) -> None:
        super().__init__((State.INACTIVE, State.ACTIVE))
        object.__setattr__(self, "edges", tuple(edges))
        object.__setattr__(self, "lived", tuple(lived))

    edges: tuple[float, ...]
    lived: tuple[State, ...]

    def state(self, now: float) -> State:
        """Return the state at a time."""
        return self.lived[max(0, bisect_right(self.edges, now) - 1)]

    def started(self, now: float) -> float:
        """Return when the present state began."""
        return self.edges[max(0, bisect_right(self.edges, now) - 1)]

    def always(self, live: bool, begin: float, end: float) -> bool:
        """Whether the stream was live, or was not, at every moment between two times."""
        first = max(0, bisect_right(self.edges, begin) - 1)
        last = bisect_right(self.edges, end)
        return all((state is State.ACTIVE) == live for state in self.lived[first:last])

    def downs(self, end: float) -> Iterator[tuple[float, float]]:
        """Yield the spans in which the stream was not live; changes between two ways of that do not part them."""
        began: float | None = None
        for edge, state in zip(self.edges, self.lived, strict=True):
            if state is State.ACTIVE and began is not None:
                yield began, edge
                began = None
            elif state is not State.ACTIVE and began is None:
                began = edge
        if began is not None:
            yield began, end


def life(provider: str, chance: Random, begin: float, seconds: float) -> Life:
    """Draw a stream's life."""
    edges, lived, at = [begin], [_other(provider, chance, None)], begin
    while True:
        mean = LIVE_SECONDS if lived[-1] is State.ACTIVE else DOWN_SECONDS
        at += SHORTEST + chance.expovariate(1 / mean)
        if at >= begin + seconds:
            return Life(edges, lived)
        edges.append(at)
        lived.append(_other(provider, chance, lived[-1]))


def _other(provider: str, chance: Random, state: State | None) -> State:
    live = chance.random() < 2 / 3 if state is None else state is not State.ACTIVE and chance.random() < 0.9
    return State.ACTIVE if live else chance.choice(down(provider))


@dataclass(frozen=True, slots=True)
class Spell:
    """A fault that lasts: Unix seconds, and the simulator's kind or one of our own (`dead`)."""

    begin: float
    end: float
    kind: str
    code: str = ""
    seconds: float = 0.0


class Spells:
    """The faults of one stream, listing or account, one after another."""

    __slots__ = ("_begins", "spells")

    def __init__(self, spells: Sequence[Spell]) -> None:
        self.spells = spells
        self._begins = [spell.begin for spell in spells]

    def at(self, now: float) -> Spell | None:
        """Return the fault that holds at a time."""
        place = bisect_right(self._begins, now) - 1
        return self.spells[place] if place >= 0 and now < self.spells[place].end else None

    def within(self, begin: float, end: float) -> Iterator[tuple[float, float]]:
        """Yield the spans of these faults that touch a span of time."""
        for spell in self.spells:
            if spell.end > begin and spell.begin < end:
                yield spell.begin, spell.end


def spells(provider: str, chance: Random, begin: float, seconds: float, share: float, of: str) -> Spells:
    """Draw faults that hold for a share of the time.

    Args:
        provider: Whose codes they use.
        chance: Random numbers.
        begin: When the first may begin, in Unix seconds.
        seconds: How long the campaign lasts; the last faults end before it does.
        share: Part of the time with a fault.
        of: `call` or `account`.
    """
    if share <= 0:
        return Spells(())
    long = SPELL_SECONDS[of]
    gap = long * (1 - share) / share
    kinds = CALL_KINDS if of == "call" else ACCOUNT_KINDS
    made: list[Spell] = []
    at = begin + chance.expovariate(1 / gap) * (chance.random() > share)
    while at < begin + seconds:
        end = min(begin + seconds, at + chance.expovariate(1 / long))
        kind = chance.choice(kinds)
        made.append(Spell(at, end, kind, chance.choice(failures(provider)), chance.choice((-3600.0, 3600.0))))
        at = end + chance.expovariate(1 / gap)
    return Spells(made)


_FAILURES: dict[str, list[str]] = {}


def failures(provider: str) -> list[str]:
    """Return the catalogued codes of a provider that are failures, throttling and clock left out."""
    if provider not in _FAILURES:
        entries = catalogue.load(provider).entries()
        wanted = {e.code for e in entries if e.reason not in (None, "throttled", "clock") and e.state is None}
        _FAILURES[provider] = sorted(wanted)
    return _FAILURES[provider]
