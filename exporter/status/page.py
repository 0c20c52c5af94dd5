"""The whole page: problems at a glance, the filter, then streams, accounts and failures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from exporter.status import wording
from exporter.status.rendering import PAGE
from exporter.status.selection import MOST_LABELS, MOST_ROWS, ROWS, Filter, Selection, Snapshot, select
from exporter.status.views import account_cards, stream_rows, urgency

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
MOST_DEAD: Final = 5
MOST_ACCOUNTS: Final = 200


def slices(snapshot: Snapshot, chosen: Filter) -> Iterator[str]:
    """Yield the page in small pieces, so that the event loop may run between them.

    All streams are read before the first piece with content, so that the pieces agree.
    """
    selection = yield from select(snapshot, chosen)
    dead = [prober for prober in snapshot.accounts if prober.health.up is False]
    admitted = (one for one in snapshot.accounts if chosen.admits_account(one.provider.name, one.account.name))
    accounts = sorted(admitted, key=urgency)
    failures = [one for one in snapshot.board.failures.values() if chosen.admits_account(one.provider, one.account)]
    yield from PAGE.generate(
        telemetry_path=snapshot.telemetry_path,
        events=snapshot.events,
        watched=len(snapshot.board),
        now=snapshot.now.unix,
        chosen=chosen,
        selection=selection,
        verdict=wording.verdict(selection.counts),
        asked=_asked(snapshot, selection),
        notices=list(_notices(snapshot, selection)),
        dead=list(account_cards(snapshot, selection, dead[:MOST_DEAD])),
        more_dead=len(dead[MOST_DEAD:]),
        options=_options(snapshot, chosen),
        usual_rows=ROWS,
        asked_labels=[label if value is None else f"{label}={value}" for label, value in chosen.labels],
        labels=sorted(selection.labels)[:MOST_LABELS],
        rows=stream_rows(snapshot, selection),
        may_show_more=chosen.limit < MOST_ROWS,
        accounts=account_cards(snapshot, selection, accounts[:MOST_ACCOUNTS]),
        more_accounts=len(accounts[MOST_ACCOUNTS:]),
        failures=[(one, wording.of_fault(one.provider, one.fault)) for one in reversed(failures)],
    )


def _asked(snapshot: Snapshot, selection: Selection) -> float | None:
    """Return the seconds since the last attempt for any stream, or None before the first."""
    return None if selection.newest == float("-inf") else snapshot.now.mono - selection.newest


def _notices(snapshot: Snapshot, selection: Selection) -> Iterator[str]:
    """Yield problems of the exporter itself, or of the Prometheus that should scrape it."""
    if not snapshot.ready:
        yield "The exporter is not ready to probe; its log says why."
    if not snapshot.reload_ok:
        yield (
            "The configuration last read was refused; the one before stays in force. "
            "`stream-exporter check` says what is wrong."
        )
    asked = _asked(snapshot, selection)
    if not len(snapshot.board):
        yield "No streams are watched: list them under `streams` in the configuration."
    elif asked is None:
        yield "Nothing was asked yet: streams are asked when Prometheus scrapes the metrics."
    elif asked > snapshot.board.max_age:
        yield (
            f"Nothing was asked for {wording.ago(asked)}, so the last answers are too old. "
            "Does Prometheus still scrape this exporter? Look at its page Targets."
        )


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
