"""One stream from its source by its cloud to its viewers, as the page shows it at a glance and unfolded."""

from __future__ import annotations

from typing import Final, NamedTuple

from exporter.model import Figures, State
from exporter.state.playback import WORDS, AddressRow, Checks, down_at, viewers_get
from exporter.state.record import Row
from exporter.status import wording
from exporter.status.standing import Standing, standing_in

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
    """An address that viewers use.

    Attributes:
        name: Its name.
        standing: Chooses icon and colour.
        word: What it is, and for how long: `down for 12 min`.
        since: When that began, in Unix seconds; None if that was not seen.
        facts: What the last check measured, in words.
        message: What the last check found.
    """

    name: str
    standing: Standing
    word: str
    since: float | None
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
    live = row.state is State.ACTIVE
    expected = row.expectation.expected or live
    hops = [_source(row.figures if live else None), _cloud(row), _viewers(row.playback, expected=expected)]
    broken = next((hop for hop in hops if hop.standing not in _WELL), None)
    shown = tuple(hop._replace(broken=hop is broken) for hop in hops)
    addresses = tuple(_address(one, now, expected=expected) for one in row.playback)
    return Hops(shown, addresses, doubt(row.playback))


def _source(figures: Figures | None) -> Hop:
    """Return what arrives at the cloud."""
    arrives = None if figures is None or figures.stalled is None else not figures.stalled
    if arrives is None and figures is not None and any(bits for _, bits in figures.bits):
        arrives = True
    word = {True: "arrives", False: "stalled", None: "unknown"}[arrives]
    return Hop(SOURCE, standing_in(arrives, expected=True), word)


def _cloud(row: Row) -> Hop:
    standing = standing_in(row.state, expected=row.expectation.expected)
    return Hop("Cloud", standing, wording.STATES[standing].lower())


def _viewers(checks: Checks, *, expected: bool) -> Hop:
    got, down = viewers_get(checks), len(down_at(checks))
    some = f" at {down} of {len(checks)}" if 0 < down < len(checks) else ""
    word = {True: "play", False: f"get nothing{some}", None: "unknown"}[got]
    return Hop("Viewers", standing_in(got, expected=expected), word)


def doubt(checks: Checks) -> str:
    """Return why the first check that failed came to no result, with its address; empty if none failed."""
    for one in checks:
        if one.check is not None and one.up is None and one.check.reason is not None:
            return f"Address {one.name}: {one.check.message}"
    return ""


def _address(one: AddressRow, now: float, *, expected: bool) -> Address:
    standing, word, check, since = standing_in(one.up, expected=expected), WORDS[one.up], one.check, one.since
    if since is None:
        return Address(one.name, standing, word, None, "not checked yet", "")
    least = "≥ " if one.since_first_seen else ""
    facts, message = (wording.UNCHECKED, "") if check is None else (wording.of_check(check, now), check.message)
    seen = None if one.since_first_seen else since
    return Address(one.name, standing, f"{word} for {least}{wording.ago(now - since)}", seen, facts, message)
