"""Pacing, back-off and breaker: arithmetic on a time that is handed in (monotonic seconds)."""

from __future__ import annotations

from collections import deque

# A call may reach the provider later than the one behind it by what the network varies. Counting windows of 1.04
# seconds instead of one leaves 40 ms for that, and still uses 96 % of the rate.
WINDOW = 1.04
# Calls that wait for their turn make good a late wake-up of up to this many seconds, at twice the pace at most.
CATCH_UP = 0.5
RECOVERY_STEP = 0.1
RECOVERY_SECONDS = 5.0
LEAST_SHARE = 1 / 32


def window(rate: float) -> tuple[int, float]:
    """Return how many calls may go out in how many seconds, so that no second holds more calls than the rate."""
    most = max(1, int(rate))
    return most, WINDOW * max(1.0, most / rate)


def paced(rate: float) -> float:
    """Return the calls per second that a kept rate comes to over a long time."""
    most, seconds = window(rate)
    return most / seconds


class Pace:
    """The rate kept for one action of one account.

    Calls are spaced evenly, and no window of one second holds more than the kept rate. A throttling answer halves the
    rate; it comes back in steps of a tenth of the limit every five seconds.
    """

    __slots__ = ("_base", "_due", "_halved", "_held_until", "_sent", "_whole", "limit")

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._base = limit
        self._halved = float("-inf")
        self._held_until = float("-inf")
        self._due = float("-inf")
        self._sent: deque[float] = deque()
        self._whole = window(limit)

    def _window(self, now: float) -> tuple[int, float]:
        return self._whole if self._base >= self.limit else window(self.rate(now))

    def rate(self, now: float) -> float:
        """Return the calls per second kept at this time."""
        if self._base >= self.limit:
            return self.limit
        steps = int((now - self._halved) / RECOVERY_SECONDS)
        rate = min(self.limit, self._base + steps * RECOVERY_STEP * self.limit)
        if rate >= self.limit:
            self._base = self.limit
        return rate

    def wait(self, now: float) -> float:
        """Return the seconds until the next call may go out; 0 means now."""
        most, seconds = self._window(now)
        sent = self._sent
        while sent and sent[0] <= now - seconds:
            sent.popleft()
        full = sent[-most] + seconds if len(sent) >= most else now
        return max(now, full, self._due, self._held_until) - now

    def take(self, now: float, queued: bool = False) -> None:
        """Count a call that goes out at this time; one that had to queue makes good what its wake-up was late."""
        most, seconds = self._window(now)
        gap = seconds / most
        base = max(self._due, now - CATCH_UP) if queued else now
        self._due = max(base + gap, now + gap / 2)
        self._sent.append(now)

    def capacity(self, now: float, until: float) -> int:
        """Return how many calls could go out between two times."""
        span = until - now - self.wait(now)
        return int(span * paced(self.rate(now))) + 1 if span >= 0 else 0

    def throttled(self, now: float, retry_after: float | None = None) -> None:
        """Halve the rate after a throttling answer, and wait as long as the provider asks.

        Calls that were in flight together are refused together; they count as one refusal.
        """
        if now - self._halved >= 1.0:
            self._base = max(self.rate(now) / 2, self.limit * LEAST_SHARE)
            self._halved = now
            self._due = max(self._due, now + 1 / self._base)
        if retry_after is not None:
            self._held_until = max(self._held_until, now + retry_after)

    def change(self, limit: float) -> None:
        """Keep another limit from now on; what was used and the throttling in force stay."""
        if limit != self.limit:
            self._base = limit * min(1.0, self._base / self.limit)
            self.limit = limit
            self._whole = window(limit)


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
