"""What counts as wrong, measured from outside: by the world's truth and the network's log, never by an exporter's word.

- **False down**: a scrape shows 0 for a stream that was live at every moment from the sending of the last finished
  attempt at it until the scrape ended. So an answer may be overtaken while it travels, and a stream whose turn has
  not come may keep its answer, at most `max_age`; but no failure and no answer older than the last attempt may show 0.
  A connection that broke before an answer may be tried once more, and both are one attempt.
  (An answer younger than `reuse` may serve another scrape although a listing has passed by the stream since.)
- **False up**: the same for 1 and a stream that was not live.
- **Missed down**: a stream was down, and nothing was wrong with it, its account or our clock, for `PATIENCE` seconds
  on end, and no scrape in that time showed 0. Streams that come and go with reloads are left out, and
  clouds of which several processes know only their own streams.
- **Detection delay**: from the first moment at which a stream was down and could be asked, to the end of the first
  scrape that showed 0.
- **Calls against quota**: most calls that arrived in any one second, over what the configuration keeps.
- **Deadline miss**: a scrape that ended after its deadline; Prometheus never sees it.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from statistics import median

from benchmarks.faults.clouds import COMING_AND_GOING, Clouds
from benchmarks.faults.exporters import BUDGET, CALL_SECONDS, MAX_AGE, REUSE, Shown
from testbed.provider import busiest

PATIENCE = 45.0
HAIR = 0.001


@dataclass(slots=True)
class Verdict:
    """The figures of one exporter in one campaign."""

    name: str
    scrapes: int = 0
    deadline_misses: int = 0
    false_downs: int = 0
    false_ups: int = 0
    absent: int = 0
    samples: int = 0
    missed_downs: int = 0
    clouds: set[str] = field(default_factory=set)
    downs: int = 0
    quota: float = 0.0
    calls: int = 0
    delays: list[float] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)

    @property
    def delay_median(self) -> float:
        """Seconds."""
        return median(self.delays) if self.delays else float("nan")

    @property
    def delay_p95(self) -> float:
        """Seconds."""
        ranked = sorted(self.delays)
        return ranked[min(len(ranked) - 1, int(len(ranked) * 0.95))] if ranked else float("nan")

    @property
    def known(self) -> float:
        """Share of the samples that could be there and were."""
        return self.samples / max(1, self.samples + self.absent)


class Judge:
    """Watches the scrapes of one exporter."""

    def __init__(self, name: str, clouds: Clouds) -> None:
        self.verdict = Verdict(name)
        self._clouds = clouds
        self._zeros: dict[str, list[float]] = {key: [] for key in clouds.lives}

    def scraped(self, started: float, ended: float, shown: Shown) -> None:
        """Judge one scrape (Unix seconds)."""
        self.verdict.scrapes += 1
        if ended > started + BUDGET + HAIR:
            self.verdict.deadline_misses += 1
            return
        self.verdict.samples += len(shown)
        self.verdict.absent += len(self._clouds.lives) - len(shown)
        for key, value in shown.items():
            if not value:
                self._zeros[key].append(ended)
            if self._false(key, bool(value), started, ended):
                self.verdict.false_ups += value
                self.verdict.false_downs += 1 - value
                if len(self.verdict.examples) < 5:
                    self.verdict.examples.append(f"{key} {value} at {ended - self._clouds.begin:.3f}")

    def _false(self, key: str, live: bool, started: float, ended: float) -> bool:
        asked = self._clouds.tried.get(key, 0.0)
        listed = min(self._clouds.listed.get(key, 0.0), started - REUSE)
        since = max(asked, listed)
        if ended - since > MAX_AGE + CALL_SECONDS + REUSE:
            return True
        return self._clouds.lives[key].always(not live, since, ended)

    def over(self, kept: dict[tuple[str, str], float]) -> Verdict:
        """Judge what only the whole campaign shows."""
        end = self._clouds.begin + self._clouds.seconds
        for key, life in self._clouds.lives.items():
            if int(key[-2:]) >= COMING_AND_GOING:
                for began, ended in life.downs(end):
                    self._missed(key, began, ended)
        self.verdict.calls = self._clouds.calls
        self.verdict.quota = max(
            (busiest(times) / kept[where] for where, times in self._clouds.arrivals.items() if where in kept), default=0
        )
        return self.verdict

    def _missed(self, key: str, began: float, ended: float) -> None:
        spans = list(self._clouds.chaos.reachable(key, began, ended))
        if not spans:
            return
        self.verdict.downs += 1
        self.verdict.clouds.add(key.partition("/")[0])
        zeros = self._zeros[key]
        first = bisect_left(zeros, began)
        if first < len(zeros) and zeros[first] <= ended + BUDGET:
            self.verdict.delays.append(max(0.0, zeros[first] - spans[0][0]))
        for begin, end in spans:
            place = bisect_left(zeros, begin)
            if end - begin >= PATIENCE and not (place < len(zeros) and zeros[place] <= begin + PATIENCE):
                self.verdict.missed_downs += 1
                if len(self.verdict.examples) < 10:
                    at = begin - self._clouds.begin
                    self.verdict.examples.append(f"{key} missed from {at:.1f} to {at + end - begin:.1f}")
