"""Pacing, back-off and breaker: arithmetic on a time that is handed in (monotonic seconds)."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from exporter.window import WINDOW, window

# Calls that wait for their turn make good a late wake-up of up to this many seconds, at twice the pace at most.
CATCH_UP = 0.5
# Parts of small quotas take turns by the clock: a call may be late by half of the 40 ms, clocks differ by the rest.
TURN = 0.02
# How long calls are remembered: a throttling answer may come late, and counts against the second before its call.
REMEMBERED = 4.0

# After throttling the rate stays level for LEVEL seconds and then grows, slowly at first: it has doubled after
# GROWTH more seconds, and is back from the lowest rate to the limit within 13 seconds in all.
LEVEL = 8.5
GROWTH = 1.3
# A throttling answer ends the second in which the provider's count was full; growth only just went beyond the limit.
PAUSE = 1.0
SHORT_PAUSE = 0.5
# The next rate as a part of what was let through, and the cut to make while that is not known.
MEASURED_SHARE = 0.97
CUT = 0.85
LEAST_SHARE = 1 / 32
LEAST_RATE = 0.5
# A throttled rate is forgotten after so many seconds without throttling.
FORGET_SECONDS = 60.0
# After a pause in demand longer than this, calls begin again near the rate that was throttled last.
LULL = 1.0


def paced(rate: float) -> float:
    """Return the calls per second that an allowed rate comes to over a long time."""
    most, seconds = window(rate)
    return most / seconds


@dataclass(frozen=True, slots=True)
class Part:
    """Which of `count` equal parts of a quota is ours, counted from 0; the others keep theirs elsewhere.

    A part of one call a second or more holds in every second by itself. Of smaller parts many might meet in the same
    second: they take turns by the clock, each at its own time.
    """

    index: int = 0
    count: int = 1

    def of(self, rate: float) -> float:
        """Return our part of a rate, in calls per second."""
        part = rate / self.count
        return part if part >= 1 else math.floor(rate) / self.count if rate >= 1 else part

    def of_all(self, rates: Mapping[str, float]) -> dict[str, float]:
        """Return our part of each action's rate."""
        return {action: self.of(rate) for action, rate in rates.items()}

    def late(self, limit: float, unix: float) -> tuple[float, float]:
        """Return how long ago the last turn of a part of so many calls per second began, and its turns' distance."""
        gap = WINDOW / limit
        return (unix - self.index * gap / self.count) % gap, gap


WHOLE = Part()


@dataclass(slots=True)
class Slowdown:
    """What throttling has shown of a provider's present limit.

    Attributes:
        rate: Calls per second that it seems to let through.
        since: Monotonic seconds from which the recovery counts.
        cut: A refusal of a call that was sent before this time tells nothing new.
        resumed: When the present demand began, if that was later than the throttling.
    """

    rate: float
    since: float
    cut: float
    resumed: float = float("-inf")

    def grown(self, elapsed: float) -> float:
        """Return the calls per second after so many seconds without throttling."""
        return self.rate * (1 + (max(0.0, elapsed - LEVEL) / GROWTH) ** 3)

    def tried(self, now: float) -> float:
        """Return the seconds of recovery that calls have put to the test; the rest passed without calls."""
        return min(now - self.since, now - self.resumed + LEVEL - LULL)


class Pace:
    """The rate allowed for one action, for all accounts that the provider counts as one.

    Calls are spaced evenly, and no window of one second holds more than the limit. A throttling answer halves the
    rate; further ones bring it to what the provider lets through. It is back within 15 seconds after the last.
    """

    __slots__ = ("_ahead", "_from", "_part", "_paused_until", "_refused", "_sent", "_slow", "_whole", "limit")

    shared: ClassVar[bool] = False
    """Whether other exporters keep it too: then `reserve` comes before `wait`."""

    sequence: int = 0
    """What tells the last call taken from all others of the account; 0 where only this process needs to tell."""

    def __init__(self, limit: float, full_until: float = float("-inf")) -> None:
        """Begin with no call made, or as if the second before a time had been full: another process may have called."""
        self.limit = limit
        self._whole = window(limit)
        self._part, self._ahead = WHOLE, 0.0
        self._slow: Slowdown | None = None
        self._paused_until = float("-inf")
        # The next call is due one gap later. At rates below one the gap is longer than the second that counts.
        self._from = full_until - max(0.0, self._whole[1] / self._whole[0] - WINDOW)
        self._sent: deque[float] = deque()
        self._refused: deque[float] = deque()

    def _window(self, now: float) -> tuple[int, float]:
        slow = self._slow
        if slow is None:
            return self._whole
        if now - max(self._from, self._paused_until) > LULL + WINDOW / slow.rate:
            slow.resumed = now
        rate = slow.grown(slow.tried(now))
        if rate >= self.limit or now - slow.since > FORGET_SECONDS:
            self._slow = None
            return self._whole
        # Rounded up, unlike the limit: an estimate need not hold in every second, and low rates must stay usable.
        most = min(max(1, math.ceil(rate)), self._whole[0])
        return most, WINDOW * max(1.0, most / rate)

    def _due(self, gap: float) -> float:
        return max(self._from + gap, self._paused_until)

    def rate(self, now: float) -> float:
        """Return the calls per second allowed at this time, in steps of a second, so that two looks in a row agree."""
        if self._slow is None:
            return self.limit
        return min(self.limit, self._slow.grown(math.floor(now - self._slow.since)))

    async def reserve(self, waiting: int) -> None:
        """Make sure that the next calls may go out, where that is asked of others; so many wait."""

    def wait(self, now: float) -> float:
        """Return the seconds until the next call may go out; 0 means now."""
        most, seconds = self._window(now)
        sent = self._sent
        while sent and sent[0] <= now - max(seconds, REMEMBERED):
            sent.popleft()
        full = sent[-most] + seconds if len(sent) >= most else now
        due = max(full, self._due(seconds / most))
        if self._part.count == 1 or self.limit >= 1:
            return max(now, due) - now
        return self._turn(max(now, due - TURN, self._paused_until)) - now

    def _turn(self, at: float) -> float:
        """Return when the next turn of our part comes, from a time on; a turn lasts for `TURN` seconds."""
        late, gap = self._part.late(self.limit, at + self._ahead)
        return at if late <= TURN else at + gap - late

    def take(self, now: float, queued: bool = False) -> None:
        """Count a call that goes out at this time; one that had to queue makes good a late wake-up."""
        most, seconds = self._window(now)
        gap = seconds / most
        due = self._due(gap)
        self._from = max(max(due, now - CATCH_UP) if queued else now, now - gap / 2)
        self._sent.append(now)

    def throttled(self, now: float, retry_after: float | None = None, sent: float | None = None) -> None:
        """Lower the rate after a throttling answer, and wait as long as the provider asks.

        Calls that were in flight together are refused together; they count as one refusal.

        Args:
            now: When the answer came.
            retry_after: Seconds that the provider asks to wait.
            sent: When its call went out; taken to be now if it is not known.
        """
        sent = now if sent is None else sent
        while self._refused and self._refused[0] < now - 2 * REMEMBERED:
            self._refused.popleft()
        self._refused.append(sent)
        if self._slow is None or sent > self._slow.cut:
            self._slow = self._slowed(now, sent)
        if retry_after is not None:
            self._paused_until = max(self._paused_until, now + retry_after)
        self._slow.since = max(self._slow.since, self._paused_until)

    def _slowed(self, now: float, sent: float) -> Slowdown:
        """Return the slowdown after a refusal that tells something new, and begin a pause."""
        slow, pause = self._slow, PAUSE
        if slow is None:
            rate = self.limit / 2
        else:
            through = MEASURED_SHARE * self._through(sent)
            if slow.tried(sent) > LEVEL:
                # Growth found the provider's limit: it is what came through in the second before.
                pause = SHORT_PAUSE
                rate = min(through, slow.grown(slow.tried(sent)))
            else:
                rate = min(through, CUT * slow.rate)
            # Few calls may have come through because few were made.
            rate = max(rate, slow.rate / 2)
        least = max(self.limit * LEAST_SHARE, min(self.limit / 2, LEAST_RATE))
        until = max(now, sent + pause)
        self._paused_until = max(self._paused_until, until)
        return Slowdown(min(max(rate, least), self.limit), until, until)

    def _through(self, sent: float) -> int:
        """Return how many calls of the second before a call were let through."""
        return _within(self._sent, sent - 1.0, sent) - _within(self._refused, sent - 1.0, sent)

    def change(self, limit: float) -> None:
        """Keep another limit from now on; what was used and the throttling in force stay."""
        self.limit = limit
        self._whole = window(limit)

    def align(self, part: Part, ahead: float) -> None:
        """Keep a part of the quota; Unix time is so many seconds ahead of monotonic time."""
        self._part, self._ahead = part, ahead

    def absorb(self, other: Pace, now: float) -> None:
        """Take over the calls and the throttling of another pace: both are of one quota from now on."""
        self._sent = deque(sorted((*self._sent, *other._sent)))
        self._refused = deque(sorted((*self._refused, *other._refused)))
        self._from = max(self._from, other._from)
        self._paused_until = max(self._paused_until, other._paused_until)
        if other._slow is not None and other.rate(now) < self.rate(now):
            self._slow = replace(other._slow)

    def settled(self, now: float) -> bool:
        """Whether nothing that was sent or throttled matters any more: a pace that begins now would be the same."""
        _, seconds = self._window(now)
        recent = self._sent and self._sent[-1] > now - seconds
        return not recent and self._due(0.0) + seconds <= now and self.rate(now) >= self.limit


def _within(times: deque[float], start: float, end: float) -> int:
    """Return how many of the times lie strictly between two; they are nearly in order."""
    ordered = sorted(times)
    return bisect_left(ordered, end) - bisect_right(ordered, start)


class Breaker:
    """Holds back an account's calls after rounds in which nothing was answered.

    It opens after `bad_rounds` rounds in a row that tried and got no answer at all. Open, it lets one trial pass per
    round; the first answer closes it.
    """

    __slots__ = ("_bad", "bad_rounds")

    def __init__(self, bad_rounds: int = 3) -> None:
        self.bad_rounds = bad_rounds
        self._bad = 0

    @property
    def open(self) -> bool:
        """Whether calls are held back."""
        return self._bad >= self.bad_rounds

    def answered(self) -> None:
        """Count an answer that shows that the account works."""
        self._bad = 0

    def failed(self) -> None:
        """Count a round that tried and got no such answer."""
        self._bad += 1
