"""The page as a whole: what is wrong at a glance, the filter, then streams, accounts and failures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from exporter.status import wording
from exporter.status.rendering import PAGE
from exporter.status.selection import MOST_LABELS, MOST_ROWS, ROWS, Filter, Known, Selection, select
from exporter.status.views import account_cards, stream_rows, urgency

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
MOST_DEAD: Final = 5
MOST_ACCOUNTS: Final = 200


def slices(known: Known, wanted: Filter) -> Iterator[str]:
    """Yield the page in small pieces, so that the event loop may run between them.

    All streams are read before the first piece that says anything, so the pieces agree.
    """
    found = yield from select(known, wanted)
    dead = [view for view in known.accounts if view.up is False]
    accounts = [view for view in known.accounts if wanted.admits_account(view.provider.name, view.account.name)]
    accounts.sort(key=urgency)
    failures = [one for one in known.board.failures.values() if wanted.admits_account(one.provider, one.account)]
    yield from PAGE.generate(
        telemetry_path=known.telemetry_path,
        events=known.events,
        watched=len(known.board),
        now=known.now.unix,
        wanted=wanted,
        found=found,
        verdict=wording.verdict(found.counts),
        asked=_asked(known, found),
        notices=list(_notices(known, found)),
        dead=list(account_cards(known, found, dead[:MOST_DEAD])),
        more_dead=len(dead[MOST_DEAD:]),
        options=_options(known, wanted),
        usual_rows=ROWS,
        asked_labels=[label if value is None else f"{label}={value}" for label, value in wanted.labels],
        labels=sorted(found.labels)[:MOST_LABELS],
        rows=stream_rows(known, found),
        may_show_more=wanted.limit < MOST_ROWS,
        accounts=account_cards(known, found, accounts[:MOST_ACCOUNTS]),
        more_accounts=len(accounts[MOST_ACCOUNTS:]),
        failures=[(one, wording.of_fault(one.provider, one.fault)) for one in reversed(failures)],
    )


def _asked(known: Known, found: Selection) -> float | None:
    """Return how many seconds ago a stream was asked last; None if none ever was."""
    return None if found.newest == float("-inf") else known.now.mono - found.newest


def _notices(known: Known, found: Selection) -> Iterator[str]:
    """Yield what is wrong with the exporter itself, or with who should scrape it."""
    if not known.ready:
        yield "The exporter is not ready to probe; its log says why."
    if not known.reload_ok:
        yield (
            "The configuration last read was refused; the one before stays in force. "
            "`stream-exporter check` says what is wrong."
        )
    asked = _asked(known, found)
    if not len(known.board):
        yield "No streams are watched: list them under `streams` in the configuration."
    elif asked is None:
        yield "Nothing was asked yet: streams are asked when Prometheus scrapes the metrics."
    elif asked > known.board.max_age:
        yield (
            f"Nothing was asked for {wording.ago(asked)}, so the last answers are too old. "
            "Does Prometheus still scrape this exporter? Look at its page Targets."
        )


def _options(known: Known, wanted: Filter) -> dict[str, Mapping[str, str]]:
    """Return what each of the form's lists offers, as value → text; what the page's address names is always there."""
    providers = {view.provider.name: view.provider.title for view in known.accounts}
    accounts = {view.account.name: view.account.name for view in known.accounts}
    return {
        "provider": {"": "All", **providers, **_unknown(wanted.providers, providers)},
        "account": {"": "All", **accounts, **_unknown(wanted.accounts, accounts)},
        "limit": {str(limit): f"{limit:,}" for limit in sorted({100, ROWS, MOST_ROWS, wanted.limit})},
    }


def _unknown(chosen: frozenset[str], names: Mapping[str, str]) -> dict[str, str]:
    return {name: name for name in sorted(chosen - names.keys())}
