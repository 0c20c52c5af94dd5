"""What stands at the top of the page: trouble of the exporter, of its Prometheus, and of the quotas."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from exporter.model import Account
from exporter.rounds.account import AccountProber
from exporter.rounds.pace import paced
from exporter.status import wording
from exporter.status.selection import Selection, Snapshot
from exporter.status.views import card_id


def notices(snapshot: Snapshot, asked: float | None) -> Iterator[str]:
    """Yield problems of the exporter itself, or of the Prometheus that should scrape it.

    Args:
        snapshot: The state of the exporter.
        asked: Seconds since the last attempt for any stream; None before the first.
    """
    if not snapshot.ready:
        yield "The exporter is not ready to probe; its log says why."
    if not snapshot.reload_ok:
        yield (
            "The configuration last read was refused; the one before stays in force. "
            "`stream-exporter check` says what is wrong."
        )
    if snapshot.store is not None and not snapshot.store[0]:
        yield (
            f"The store is lost: {snapshot.store[2]}. Until it is back, this exporter is silent for a few seconds and "
            "then keeps only its own part of each quota."
        )
    if not len(snapshot.board):
        yield "No streams are watched: list them under `streams` in the configuration."
    elif asked is None:
        yield "Nothing was asked yet: streams are asked when Prometheus scrapes the metrics."
    elif asked > snapshot.board.max_age:
        yield (
            f"Nothing was asked for {wording.ago(asked)}, so the last answers are too old. "
            "Does Prometheus still scrape this exporter? Look at its page Targets."
        )


class Shortage(NamedTuple):
    """An account whose quota is too small for its streams.

    Attributes:
        id: Of its card.
        left: How many streams the last round left over.
        size: How many streams it has.
        why: What ran out, how long a whole round takes, and what to set.
    """

    id: str
    name: str
    left: int
    size: int
    why: str


def shortages(snapshot: Snapshot, selection: Selection) -> Iterator[Shortage]:
    """Yield the accounts whose last round left streams over because of the quota."""
    for prober in snapshot.accounts:
        left, seconds = prober.health.unprobed.get("quota", 0), prober.health.round_seconds
        if left and seconds:
            key = (prober.provider.name, prober.account.name)
            size = selection.by_account[key].total()
            yield Shortage(card_id(*key), prober.account.name, left, size, _explain(prober, left, seconds))


def _explain(prober: AccountProber, left: int, seconds: float) -> str:
    rates, account = prober.allowed_rates(), prober.account
    single = prober.provider.single
    action = min(rates, key=rates.__getitem__) if single is None else single.action
    rate, limit = rates[action], prober.paces[action].limit
    whole = seconds + left / paced(rate)
    documented = prober.provider.apis()[action].limit(account)
    told = (
        f"`{action}` may be called {rate:,.4g} times a second, so a whole round takes about {math.ceil(whole):,} s; "
        f"the last one had {seconds:,.1f} s."
    )
    if rate < 0.99 * limit:
        return (
            f"{told} The provider throttles: your configuration allows {limit:,.4g} a second. Something else uses the "
            f"same account or its limit is lower; a larger `quota_share` does not help."
        )
    needed = rate * whole / seconds * prober.shared.limits.part.count  # of all shards together
    return f"{told} {_remedy(account, action, documented, needed, math.ceil(whole))}"


def _remedy(account: Account, action: str, documented: float, needed: float, whole: int) -> str:
    """Say what to set so that a round ends in time.

    Args:
        account: The account.
        action: The API that is too slow.
        documented: Calls per second that the provider documents.
        needed: Calls per second that would suffice.
        whole: Seconds that a whole round takes now.
    """
    longer = f"give rounds more time (`scrape.timeout` and Prometheus's `scrape_timeout` above {whole} s)"
    if needed > documented:
        return (
            f"Even the documented limit of {documented:,.4g} a second is not enough: {longer}, or divide the streams "
            "among several accounts. `stream-exporter check` shows the plan."
        )
    if action in account.quota:
        setting = f"`quota: {{{action}: {math.ceil(needed)}}}` (now {account.quota[action]:,.4g})"
    else:
        share = math.ceil(needed / documented * 100) / 100
        setting = f"`quota_share: {share:g}` (now {account.quota_share:g})"
    return f"Set {setting} for the account, or {longer}. `stream-exporter check` shows the plan."
