"""The streams and accounts as the templates show them: plain values without markup."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from exporter.model import State
from exporter.rounds.account import AccountProber
from exporter.state.board import Failure, Row
from exporter.state.counters import AccountKey
from exporter.status import wording
from exporter.status.selection import Selection, Snapshot
from exporter.status.wording import Wording


class StreamRow(NamedTuple):
    """A row of the table of streams.

    Attributes:
        id: Provider and name.
        title: The provider's display name.
        why: What the state means and what to do.
        held_back: Whether the stream is unknown while its account's breaker is open.
    """

    row: Row
    id: str
    title: str
    why: Wording
    held_back: bool


def stream_rows(snapshot: Snapshot, selection: Selection) -> Iterator[StreamRow]:
    """Yield the rows of the selected streams, the worst first."""
    titles = {prober.account.name: prober.provider.title for prober in snapshot.accounts}
    held = {prober.account.name for prober in snapshot.accounts if prober.health.breaker.open}
    for row in selection.rows:
        provider, account = row.key[0], row.stream.account
        unknown = row.state is State.UNKNOWN
        if row.answer is not None and not unknown:
            why = wording.of_state(provider, row.state, row.answer.code)
        elif row.fault is not None:
            why = wording.of_fault(provider, row.fault)
        else:
            why = wording.of_delay(row.answer, snapshot.board.max_age)
        yield StreamRow(row, "/".join(row.key), titles.get(account, provider), why, unknown and account in held)


@dataclass(frozen=True, slots=True)
class AccountCard:
    """An account's card.

    Attributes:
        why: Why the account does not answer and what to do; None while it answers.
        streams: Its streams by state.
        rates: (action, calls per second allowed now, calls per second without throttling).
        unprobed: (number of streams that the last round did not probe, why).
        skew: The provider's clock minus the exporter's, in seconds; None if unknown.
        errors: Failed attempts since the start, by code.
        last: The last failure.
    """

    id: str
    prober: AccountProber
    why: Wording | None
    streams: Counter[State]
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
            id="a-" + "/".join(key),
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
