"""The whole page: problems at a glance, the filter, then streams, changes, accounts and failures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from exporter.status import wording
from exporter.status.changes import changes
from exporter.status.filter import MOST_ROWS, ROWS, SORTS, USUAL_SORT, Filter, shown_label
from exporter.status.notices import notices, shortages
from exporter.status.rendering import PAGE
from exporter.status.selection import MOST_LABELS, Selection, Snapshot, select
from exporter.status.views import StreamRows, account_cards, urgency

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
MOST_DEAD: Final = 5
MOST_ACCOUNTS: Final = 200
NEW_CHANGES: Final = 10  # shown unfolded


def slices(snapshot: Snapshot, chosen: Filter) -> Iterator[str]:
    """Yield the page in small pieces, so that the event loop may run between them.

    All streams are read before the first piece with content, so that the pieces agree.
    """
    recent = list(snapshot.board.recent)
    selection = yield from select(snapshot, chosen)
    shown_as = StreamRows(snapshot)
    last_asked = None if selection.newest == float("-inf") else snapshot.now.mono - selection.newest
    yield from PAGE.generate(
        site=snapshot.site,
        events=snapshot.events,
        shard=snapshot.shard,
        started=snapshot.started,
        watched=len(snapshot.board),
        now=snapshot.now.unix,
        chosen=chosen,
        selection=selection,
        verdict=selection.tally.verdict(),
        last_asked=last_asked,
        last_change=recent[0].at if recent else None,
        notices=list(notices(snapshot, last_asked)),
        shortages=list(islice(shortages(snapshot, selection), MOST_DEAD)),
        options=_options(snapshot, chosen),
        usual_rows=ROWS,
        usual_sort=USUAL_SORT,
        orders=_orders(chosen),
        asked_labels=[shown_label(*label) for label in chosen.labels],
        labels=sorted(selection.labels)[:MOST_LABELS],
        rows=map(shown_as, selection.rows),
        **_asked(snapshot, chosen, shown_as),
        changes=list(changes(recent, chosen)),
        new_changes=NEW_CHANGES,
        **_accounts(snapshot, selection, chosen),
    )


def _accounts(snapshot: Snapshot, selection: Selection, chosen: Filter) -> dict[str, Any]:
    """Return what the page shows of accounts and of their failures."""
    dead = [prober for prober in snapshot.accounts if prober.health.up is False]
    admitted = (one for one in snapshot.accounts if chosen.admits_account(one.provider.name, one.account.name))
    accounts = sorted(admitted, key=urgency)
    failures = [one for one in snapshot.board.failures.values() if chosen.admits_account(one.provider, one.account)]
    return {
        "dead": list(account_cards(snapshot, selection, dead[:MOST_DEAD])),
        "more_dead": len(dead[MOST_DEAD:]),
        "accounts": account_cards(snapshot, selection, accounts[:MOST_ACCOUNTS]),
        "more_accounts": len(accounts[MOST_ACCOUNTS:]),
        "failures": [(one, wording.of_fault(one.provider, one.fault)) for one in reversed(failures)],
    }


def _asked(snapshot: Snapshot, chosen: Filter, shown_as: StreamRows) -> dict[str, Any]:
    """Return the stream that the reader has just asked about, if it is watched, and the seconds since then."""
    provider, _, name = chosen.asked.partition("/")
    row = next(snapshot.board.rows(snapshot.now, [(provider, name)]), None)
    tried = row is not None and row.tried > float("-inf")
    return {
        "asked": None if row is None else shown_as(row),
        "asked_ago": snapshot.now.mono - row.tried if row is not None and tried else None,
    }


def _orders(chosen: Filter) -> list[tuple[str, str, str]]:
    """Return the ways to sort, each as (text, query string, arrow); choosing the present one again reverses it."""
    found = []
    for sort in SORTS:
        present, wanted = chosen.sort == sort, f"-{sort}" if chosen.sort == sort else sort
        arrow = "▾" if present else "▴" if chosen.sort == f"-{sort}" else ""
        found.append((wording.SORTS[sort], chosen.address(sort=wanted, page=1), arrow))
    return found


def _options(snapshot: Snapshot, chosen: Filter) -> dict[str, Mapping[str, str]]:
    """Return the options of each list in the form, as value → text; they include all values in the query string."""
    providers = {prober.provider.name: prober.provider.title for prober in snapshot.accounts}
    accounts = {prober.account.name: prober.account.name for prober in snapshot.accounts}
    return {
        "provider": {"": "All", **providers, **_unknown(chosen.providers, providers)},
        "account": {"": "All", **accounts, **_unknown(chosen.accounts, accounts)},
        "limit": {str(limit): f"{limit:,}" for limit in sorted({100, ROWS, MOST_ROWS, chosen.limit})},
    }


def _unknown(chosen: frozenset[str], names: Mapping[str, str]) -> dict[str, str]:
    return {name: name for name in sorted(chosen - names.keys())}
