"""All streams counted by their standing, and the headline."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from exporter.fields import counted
from exporter.status.standing import RANK, Standing
from exporter.status.wording import by_state


@dataclass(slots=True)
class Tally:
    """Streams by standing: those that are expected, and those that are not."""

    expected: Counter[Standing] = field(default_factory=Counter)
    others: Counter[Standing] = field(default_factory=Counter)

    def add(self, standing: Standing, *, expected: bool) -> None:
        """Count a stream."""
        (self.expected if expected else self.others)[standing] += 1

    @property
    def worst(self) -> Standing:
        """The worst standing of those expected, else off air; unknown without any stream."""
        if self.expected:
            return min(self.expected, key=RANK.__getitem__)
        return Standing.OFF_AIR if self.others else Standing.UNKNOWN

    def verdict(self) -> str:
        """Say what is wrong: `2 down, 1 unknown`; else that all is well, and what is not expected."""
        if troubles := by_state(self.expected - Counter({Standing.ACTIVE: self.expected[Standing.ACTIVE]})):
            return ", ".join(troubles)
        return "; ".join(part for part in (self._good_news(), ", ".join(self._aside())) if part)

    def summary(self) -> list[str]:
        """Say how many are live of those expected, `28 of 31 expected streams live`, and what the verdict left out."""
        live = self.expected[Standing.ACTIVE] + self.expected[Standing.DEGRADED]
        told = f"{live:,} of {counted(self.expected.total(), self._noun)} live"
        return [told, *(self._aside() if self.worst not in _WELL else [])]

    @property
    def _noun(self) -> str:
        return "expected stream" if self.others else "stream"

    def _good_news(self) -> str:
        total = self.expected.total()
        if not total:
            return "No stream is expected now" if self.others else "No streams"
        return f"The {self._noun} is live" if total == 1 else f"All {total:,} {self._noun}s are live"

    def _aside(self) -> list[str]:
        """Say how many are not expected: `3 off air`, `1 live (not expected)`."""
        named = {Standing.OFF_AIR: "off air", Standing.ACTIVE: "live (not expected)",
                 Standing.UNKNOWN: "unknown (not expected)"}  # fmt: skip
        return [f"{self.others[one]:,} {words}" for one, words in named.items() if self.others[one]]


_WELL = (Standing.ACTIVE, Standing.OFF_AIR)
