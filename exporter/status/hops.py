"""One stream from its source by its cloud to its viewers, as the page shows it at a glance and unfolded."""

from __future__ import annotations

from typing import Final, NamedTuple

from exporter.model import Figures, State
from exporter.state.playback import WORDS, Checks, PlaybackCheck, down_at, viewers_get
from exporter.state.record import Row
from exporter.status import wording
from exporter.status.standing import Standing, standing_in

_STANDINGS: Final = {True: Standing.ACTIVE, False: Standing.INACTIVE, None: Standing.UNKNOWN}
SOURCE: Final = "Source"
_WELL: Final = (Standing.ACTIVE, Standing.UNKNOWN, Standing.OFF_AIR)


class Hop(NamedTuple):
    """One of the three hops.

    Attributes:
        name: Source, cloud or viewers.
        standing: Chooses icon and colour.
        word: What it does, after its name.
        broken: Whether it is the first one that definitely fails.
    """

    name: str
    standing: Standing
    word: str
    broken: bool = False

    @property
    def quiet(self) -> bool:
        """Whether the icon says enough: it is well, or a cloud does not say what arrives, as most do not."""
        return self.standing is Standing.ACTIVE or (self.name == SOURCE and self.standing is Standing.UNKNOWN)


class Address(NamedTuple):
    """An address that viewers use: its name, its standing in a word, and what the last check found, in words."""

    name: str
    standing: Standing
    word: str
    facts: str
    message: str


class Hops(NamedTuple):
    """All hops of a stream, and its addresses.

    Attributes:
        doubt: Why the checks of an address come to no result; empty if none failed.
    """

    hops: tuple[Hop, ...]
    addresses: tuple[Address, ...]
    doubt: str = ""


def hops_of(row: Row, now: float) -> Hops | None:
    """Return the hops of a stream at a time in Unix seconds; None if it has no addresses."""
    if not row.playback:
        return None
    expected, live = row.expectation.expected, row.state is State.ACTIVE
    hops = [_source(row.figures if live else None), _cloud(row), _viewers(row.playback, expected=expected or live)]
    broken = next((hop for hop in hops if hop.standing not in _WELL), None)
    shown = tuple(hop._replace(broken=hop is broken) for hop in hops)
    return Hops(shown, tuple(_address(name, check, now) for name, check in row.playback), doubt(row.playback))


def _source(figures: Figures | None) -> Hop:
    """Return what arrives at the cloud."""
    arrives = None if figures is None or figures.stalled is None else not figures.stalled
    if arrives is None and figures is not None and any(bits for _, bits in figures.bits):
        arrives = True
    return Hop(SOURCE, _STANDINGS[arrives], {True: "arrives", False: "stalled", None: "unknown"}[arrives])


def _cloud(row: Row) -> Hop:
    standing = standing_in(row.state, expected=row.expectation.expected)
    return Hop("Cloud", standing, wording.STATES[standing].lower())


def _viewers(checks: Checks, *, expected: bool) -> Hop:
    got, down = viewers_get(checks), len(down_at(checks))
    some = f" at {down} of {len(checks)}" if 0 < down < len(checks) else ""
    word = {True: "play", False: f"get nothing{some}", None: "unknown"}[got]
    return Hop("Viewers", _STANDINGS[got] if expected or got is not False else Standing.OFF_AIR, word)


def doubt(checks: Checks) -> str:
    """Return why the first check that failed came to no result, with its address; empty if none failed."""
    for name, check in checks:
        if check is not None and check.up is None and check.reason is not None:
            return f"Address {name}: {check.message}"
    return ""


def _address(name: str, check: PlaybackCheck | None, now: float) -> Address:
    if check is None:
        return Address(name, Standing.UNKNOWN, WORDS[None], "not checked lately", "")
    return Address(name, _STANDINGS[check.up], WORDS[check.up], wording.of_check(check, now), check.message)
