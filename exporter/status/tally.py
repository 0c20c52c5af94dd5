"""All streams counted by their standing, and the headline."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from exporter.status.standing import RANK, Standing
from exporter.status.wording import by_state, counted


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
        """Say what is wrong, then what is only worth knowing: `2 down, 1 unknown; 3 off air`."""
        return "; ".join(part for part in (self._main(), ", ".join(self._aside())) if part)

    def live(self) -> str:
        """Say how many are live of those expected: `28 of 31 expected streams live`."""
        live = self.expected[Standing.ACTIVE] + self.expected[Standing.DEGRADED]
        return f"{live:,} of {counted(self.expected.total(), self._noun)} live"

    @property
    def _noun(self) -> str:
        return "expected stream" if self.others else "stream"

    def _main(self) -> str:
        total = self.expected.total()
        if not total:
            return "No stream is expected now" if self.others else "No streams"
        if self.expected[Standing.ACTIVE] == total:
            return f"The {self._noun} is live" if total == 1 else f"All {total:,} {self._noun}s are live"
        return ", ".join(by_state(self.expected - Counter({Standing.ACTIVE: total})))

    def _aside(self) -> list[str]:
        """Say how many are not expected: off air, and in another standing."""
        odd = [f"{self.others[one]:,} {word} (not expected)" for one, word in _ODD.items() if self.others[one]]
        off_air = self.others[Standing.OFF_AIR]
        return [*([f"{off_air:,} off air"] if off_air else []), *odd]


_ODD = {Standing.ACTIVE: "live", Standing.UNKNOWN: "unknown"}
