"""The streams and accounts as the templates show them: plain values without markup."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import quote

from exporter.model import State
from exporter.rounds.account import AccountProber
from exporter.state.counters import AccountKey
from exporter.state.record import Failure, Row
from exporter.status import wording
from exporter.status.begun import Begun, begun, unplayed
from exporter.status.hops import Hops, doubt, hops_of
from exporter.status.selection import Selection, Snapshot
from exporter.status.standing import Standing, standing_of
from exporter.status.wording import Wording

_PLACEHOLDER: Final = re.compile(r"\{(provider|account|stream)\}")


class StreamRow(NamedTuple):
    """A stream as the page shows it.

    Attributes:
        id: Provider and name.
        standing: Its state in the light of what is expected.
        why: What the standing means and what to do.
        odd: Whether it is live or unknown while it is not expected.
        figures: What arrives, in words; empty if nobody says.
        begun: When the state began.
        unplayed: Since when viewers get nothing of the stream although it should be live, and is.
        held_back: Whether the stream is unknown while its account's breaker is open.
        runbook: The address of the section about what is wrong; empty if nothing is.
        dashboard: The address of its dashboard; empty without one.
        hops: The way from its source to viewers; None if it has no addresses.
    """

    row: Row
    id: str
    standing: Standing
    why: Wording
    odd: bool
    figures: str
    begun: Begun
    unplayed: Begun | None
    held_back: bool
    runbook: str
    dashboard: str
    hops: Hops | None


class StreamRows:
    """Makes the rows of one page."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._site = snapshot.site
        self._max_age = snapshot.board.max_age
        self._now = snapshot.now.unix
        self._held = {prober.account.name for prober in snapshot.accounts if prober.health.breaker.open}

    def __call__(self, row: Row) -> StreamRow:
        """Return a stream as the page shows it."""
        provider, name = row.key
        held_back = row.state is State.UNKNOWN and row.stream.account in self._held
        standing = standing_of(row)
        section, runbook = _section(row, standing), self._site.runbook
        values = {"provider": provider, "account": row.stream.account, "stream": name}
        return StreamRow(
            row,
            "/".join(row.key),
            standing,
            self._why(row, standing),
            not row.expectation.expected and standing is not Standing.OFF_AIR,
            "" if row.figures is None else wording.of_figures(row.figures),
            begun(row),
            unplayed(row),
            held_back,
            f"{runbook}#{section}" if runbook and section else "",
            filled(self._site.dashboard, values),
            hops_of(row, self._now),
        )

    def _why(self, row: Row, standing: Standing) -> Wording:
        if standing is Standing.DEGRADED:
            return wording.of_lack(row)
        if row.answer is not None and row.state is not State.UNKNOWN:
            return wording.of_state(row.key[0], row.state, row.answer.code)
        if row.fault is not None:
            return wording.of_fault(row.key[0], row.fault)
        return wording.of_delay(row.answer, self._max_age)


_SECTIONS: Final = {
    Standing.INACTIVE: "streamdown",
    Standing.FORBIDDEN: "streamforbidden",
    Standing.NOT_FOUND: "streamdown",
    Standing.OFF_AIR: "",
}
_LACKING: Final = {
    "stalled": "streamstalled",
    "playback": "streamnotplayable",
    "inputs": "streamredundancylost",
}


def _section(row: Row, standing: Standing) -> str:
    """Return the runbook's section about what is wrong with a stream, as the anchor's name."""
    if standing is Standing.UNKNOWN:
        if row.fault is not None:
            return str(row.fault.reason)
        return "streamquotaexhausted" if row.answer is not None else ""
    if standing is Standing.DEGRADED:
        return _LACKING.get(wording.lacks(row)[0], "streammediamissing")
    if standing is Standing.ACTIVE:
        if not row.expectation.expected:
            return "streamunexpected"
        return "streamplaybackblind" if doubt(row.playback) else ""
    return _SECTIONS[standing]


def filled(template: str, values: Mapping[str, str]) -> str:
    """Return an address with its placeholders, such as `{stream}`, filled in."""
    return _PLACEHOLDER.sub(lambda found: quote(values[found[1]], safe="", errors="replace"), template)


def card_id(provider: str, account: str) -> str:
    """Return the id of an account's card."""
    return f"a-{provider}/{account}"


@dataclass(frozen=True, slots=True)
class AccountCard:
    """An account's card.

    Attributes:
        why: Why the account does not answer and what to do; None while it answers.
        streams: Its streams by standing.
        rates: (action, calls per second allowed now, calls per second without throttling).
        unprobed: (number of streams that the last round did not probe, why).
        skew: The provider's clock minus the exporter's, in seconds; None if unknown.
        errors: Failed attempts since the start, by code.
        last: The last failure.
    """

    id: str
    prober: AccountProber
    why: Wording | None
    streams: Counter[Standing]
    rates: Sequence[tuple[str, float, float]]
    unprobed: Sequence[tuple[int, str]]
    skew: float | None
    errors: Counter[str]
    last: Failure | None


def account_cards(snapshot: Snapshot, selection: Selection, accounts: Iterable[AccountProber]) -> Iterator[AccountCard]:
    """Yield the accounts' cards."""
    last = {(one.provider, one.account): one for one in snapshot.board.failures.values()}
    errors: dict[AccountKey, Counter[str]] = defaultdict(Counter)
    for (provider, account, code, _), count in snapshot.counters.errors.items():
        errors[provider, account][code] += count
    for prober in accounts:
        key, health = (prober.provider.name, prober.account.name), prober.health
        yield AccountCard(
            id=card_id(*key),
            prober=prober,
            why=None if health.fault is None else wording.of_fault(prober.provider.name, health.fault),
            streams=selection.by_account.get(key, Counter()),
            rates=[(action, allowed, prober.paces[action].limit) for action, allowed in prober.allowed_rates().items()],
            unprobed=[(count, wording.UNPROBED.get(why, why)) for why, count in health.unprobed.items() if count],
            skew=snapshot.counters.skew.get(key),
            errors=errors.get(key, Counter()),
            last=last.get(key),
        )


def urgency(prober: AccountProber) -> tuple[bool, bool, bool, str]:
    """Return a sort key that puts accounts with problems first."""
    health = prober.health
    return health.up is not False, not health.breaker.open, not sum(health.unprobed.values()), prober.account.name
