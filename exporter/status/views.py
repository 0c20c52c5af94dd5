"""What the templates show of streams and accounts: plain values, without markup."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from exporter.model import State
from exporter.rounds import AccountProber
from exporter.state.board import Failure, Row
from exporter.state.counters import AccountKey
from exporter.status import wording
from exporter.status.selection import Known, Selection
from exporter.status.wording import Wording


class StreamRow(NamedTuple):
    """A row of the table of streams.

    Attributes:
        id: Provider and name.
        title: The provider's name for people.
        told: What the state means and what to do.
        held_back: Whether the stream is unknown and its account's calls are held back.
    """

    row: Row
    id: str
    title: str
    told: Wording
    held_back: bool


def stream_rows(known: Known, found: Selection) -> Iterator[StreamRow]:
    """Yield the rows to show, the worst first."""
    titles = {view.account.name: view.provider.title for view in known.accounts}
    held = {view.account.name for view in known.accounts if view.held_back}
    for row in found.rows:
        provider, account = row.key[0], row.stream.account
        unknown = row.state is State.UNKNOWN
        if row.answer is not None and not unknown:
            told = wording.of_state(provider, row.state, row.answer.code)
        elif row.fault is not None:
            told = wording.of_fault(provider, row.fault)
        else:
            told = wording.of_delay(row.answer, known.board.max_age)
        yield StreamRow(row, "/".join(row.key), titles.get(account, provider), told, unknown and account in held)


@dataclass(frozen=True, slots=True)
class AccountCard:
    """What is shown of an account.

    Attributes:
        title: The provider's name for people.
        up: Whether it answers; None before the first round.
        told: Why it answers nothing and what to do; None while it answers.
        streams: Its streams by state.
        rates: (action, calls per second allowed now, calls per second when nothing throttles) of each action.
        unprobed: How many streams were not asked in the last round, and why.
        round_seconds: How long the last round took; None before the first.
        skew: The provider's clock minus ours, in seconds; None where not known yet.
        errors: Failed attempts since the start, by code.
        last: The last failure.
    """

    id: str
    name: str
    title: str
    endpoint: str
    up: bool | None
    told: Wording | None
    streams: Counter[State]
    rates: Sequence[tuple[str, float, float]]
    unprobed: Sequence[tuple[int, str]]
    held_back: bool
    round_seconds: float | None
    skew: float | None
    errors: Counter[str]
    last: Failure | None


def account_cards(known: Known, found: Selection, accounts: Iterable[AccountProber]) -> Iterator[AccountCard]:
    """Yield the cards of accounts."""
    last = {(one.provider, one.account): one for one in known.board.failures.values()}
    errors: dict[AccountKey, Counter[str]] = defaultdict(Counter)
    for (provider, account, code, _), count in known.counters.errors.items():
        errors[provider, account][code] += count
    for view in accounts:
        key = (view.provider.name, view.account.name)
        yield AccountCard(
            id="a-" + "/".join(key),
            name=view.account.name,
            title=view.provider.title,
            endpoint=view.account.endpoint,
            up=view.up,
            told=None if view.fault is None else wording.of_fault(view.provider.name, view.fault),
            streams=found.by_account.get(key, Counter()),
            rates=[(action, allowed, view.paces[action].limit) for action, allowed in view.kept().items()],
            unprobed=[(count, wording.UNPROBED.get(why, why)) for why, count in view.unprobed.items() if count],
            held_back=view.held_back,
            round_seconds=view.round_seconds,
            skew=known.counters.skew.get(key),
            errors=errors.get(key, Counter()),
            last=last.get(key),
        )


def urgency(view: AccountProber) -> tuple[bool, bool, bool, str]:
    """Return what sorts accounts: those in trouble first."""
    return view.up is not False, not view.held_back, not sum(view.unprobed.values()), view.account.name
