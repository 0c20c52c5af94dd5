"""The accounts: quota, breaker, last failure; and the failures seen lately."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from exporter.model import State
from exporter.state.board import Failure
from exporter.state.counters import AccountKey, Counters
from exporter.status import words
from exporter.status.markup import (
    EMPTY,
    Html,
    address,
    badge,
    bdi,
    definitions,
    fill,
    joined,
    moment,
    number_of,
    prose,
    utc,
)
from exporter.status.survey import RANK, AccountView, Filter, Known, Survey

MOST_ACCOUNTS: Final = 200
MOST_CODES: Final = 5
SKEW_WORTH_SAYING: Final = 30.0

_CARD: Final = (
    '<article class="card{bad}" id="{id}" aria-labelledby="{id}-title"><header><h3 id="{id}-title">{name}</h3> {badge}'
    '</header><p class="sub">{title} · <bdi>{endpoint}</bdi></p>{why}{facts}</article>\n'
)


def accounts(known: Known, wanted: Filter, found: Survey) -> Iterator[Html]:
    """Yield the section, one account at a time; those in trouble first."""
    accounts = sorted((view for view in known.accounts if wanted.admits_account(*names(view))), key=_urgency)
    shower = _Shower(known, found, _latest(known), _errors(known.counters))
    yield Html(
        '<section id="accounts" aria-labelledby="accounts-title"><h2 id="accounts-title">Accounts</h2>\n'
        '<div id="accounts-live" data-live><div class="grid">'
    )
    for view in accounts[:MOST_ACCOUNTS]:
        yield shower.card(view)
    yield Html("</div>")
    if len(accounts) > MOST_ACCOUNTS:
        rest = number_of(len(accounts) - MOST_ACCOUNTS, "more account")
        yield fill('<p class="more">{rest} hidden: those without trouble. Narrow the filter.</p>', rest=rest)
    yield Html("</div></section>\n")


def names(view: AccountView) -> AccountKey:
    """Return provider and account."""
    return view.provider.name, view.account.name


def account_id(view: AccountView) -> Html:
    """Return the id of an account's card."""
    return address("a-" + "/".join(names(view)))


def _urgency(view: AccountView) -> tuple[bool, bool, bool, str]:
    return view.up is not False, not view.held_back, not sum(view.unprobed.values()), view.account.name


def _latest(known: Known) -> dict[AccountKey, Failure]:
    """Return the last failure of each account."""
    return {(one.provider, one.account): one for one in known.board.failures.values()}


def _errors(counters: Counters) -> dict[AccountKey, Counter[str]]:
    """Return the failed attempts since the start, by account and code."""
    found: dict[AccountKey, Counter[str]] = {}
    for (provider, account, code, _), count in counters.errors.items():
        found.setdefault((provider, account), Counter())[code] += count
    return found


@dataclass(frozen=True, slots=True)
class _Shower:
    """Turns accounts into markup.

    Attributes:
        latest: The last failure by account.
        errors: Failed attempts by account and code.
    """

    known: Known
    found: Survey
    latest: dict[AccountKey, Failure]
    errors: dict[AccountKey, Counter[str]]

    def card(self, view: AccountView) -> Html:
        return fill(
            _CARD,
            bad=" bad" if view.up is False else "",
            id=account_id(view),
            name=bdi(view.account.name),
            badge=_health(view),
            title=view.provider.title,
            endpoint=view.account.endpoint,
            why=_why(view),
            facts=definitions(self._facts(view)),
        )

    def _facts(self, view: AccountView) -> Iterator[tuple[str, Html]]:
        key = names(view)
        yield "Streams", _streams(view, self.found.by_account.get(key, Counter()))
        yield "Quota kept", _quota(view)
        yield "Not asked", _unprobed(view)
        yield "Breaker", _breaker(view)
        yield "Last round", _round(view)
        yield "Clock", _skew(self.known.counters.skew.get(key))
        yield "Failed calls", _failed(self.errors.get(key, Counter()))
        yield "Last failure", _last(self.latest.get(key), self.known.now.unix)


def _health(view: AccountView) -> Html:
    if view.up is None:
        return badge(State.NOT_FOUND, "Not asked yet")
    return badge(State.ACTIVE, "Answers") if view.up else badge(State.INACTIVE, "Answers nothing")


def _why(view: AccountView) -> Html:
    if view.fault is None:
        return EMPTY
    return fill('<div class="why">{what}</div>', what=words.of_fault(view.provider.name, view.fault))


def _streams(view: AccountView, counts: Counter[State]) -> Html:
    parts = [f"{counts[state]:,} {words.WORDS[state].lower()}" for state in RANK if counts[state]]
    told = fill("{total}", total=f"{counts.total():,}")
    link = '<a href="?account={to}">{total} watched</a>'
    told = fill(link, to=address(view.account.name), total=told)
    return joined([told, fill("{parts}", parts=", ".join(parts))], ": ") if parts else told


def _quota(view: AccountView) -> Html:
    """Say how many calls a second each action may have, and how many it would have if nothing had throttled."""
    lines = []
    for action, rate in view.kept().items():
        limit = view.paces[action].limit
        line = fill("<code>{action}</code> <span>{rate}/s</span>", action=action, rate=f"{rate:,.4g}")
        if rate < limit:
            slowed = '{line} <b class="warn">slowed after throttling, from {limit}/s</b>'
            line = fill(slowed, line=line, limit=f"{limit:,.4g}")
        lines.append(fill("<li>{line}</li>", line=line))
    return fill('<ul class="rates">{lines}</ul>', lines=joined(lines))


def _unprobed(view: AccountView) -> Html:
    lines = [
        fill('<li><b class="warn">{count}</b>: {why}</li>', count=f"{count:,}", why=prose(words.UNPROBED.get(why, why)))
        for why, count in view.unprobed.items()
        if count
    ]
    return fill("<ul>{lines}</ul>", lines=joined(lines)) if lines else Html("none in the last round")


def _breaker(view: AccountView) -> Html:
    if view.held_back:
        return Html('<b class="warn">open</b>: one trial call per round; the first answer closes it')
    return Html("closed")


def _round(view: AccountView) -> Html:
    return Html("none yet") if view.round_seconds is None else fill("{took} s", took=f"{view.round_seconds:.2f}")


def _skew(seconds: float | None) -> Html:
    if seconds is None:
        return Html("not known yet")
    if abs(seconds) < 1:
        return Html("agrees with the provider's")
    told = fill("the provider's is {s} s {way}", s=f"{abs(seconds):,.0f}", way="ahead" if seconds > 0 else "behind")
    return fill('<b class="warn">{told}</b>', told=told) if abs(seconds) >= SKEW_WORTH_SAYING else told


def _failed(errors: Counter[str]) -> Html:
    if not errors:
        return Html("none since the start")
    parts = [
        fill("<code>{code}</code> {n}", code=code, n=f"{count:,}") for code, count in errors.most_common(MOST_CODES)
    ]
    if len(errors) > MOST_CODES:
        parts.append(fill("{more}", more=number_of(len(errors) - MOST_CODES, "more code")))
    return joined(parts, ", ")


def _last(last: Failure | None, now: float) -> Html:
    if last is None:
        return Html("none")
    told = fill("{when}, asking for {stream}", when=moment(last.last, now), stream=bdi(last.stream))
    return joined([told, words.evidence(last.fault)])


# --- failures --------------------------------------------------------------------------------------------------------

_TABLE: Final = (
    '<table class="cards failures" role="table"><caption>{caption}</caption>'
    '<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Code</th>'
    '<th scope="col" role="columnheader">Last</th><th scope="col" role="columnheader">Times</th>'
    '<th scope="col" role="columnheader">Account and stream</th>'
    '<th scope="col" role="columnheader">What it said</th></tr></thead><tbody role="rowgroup">\n{rows}</tbody></table>'
)
_FAILURE: Final = (
    '<tr role="row"><th scope="row" role="rowheader"><code>{code}</code>{reason}</th>'
    '<td role="cell" class="when" data-title="Last">{last}</td>'
    '<td role="cell" class="when" data-title="Times"><b>{count}</b> <span class="sub">since {first}</span></td>'
    '<td role="cell" data-title="Where"><a href="?account={to}">{account}</a>'
    '<span class="sub">last {stream}</span></td>'
    '<td role="cell" class="why"><p>{meaning}</p>{said}</td></tr>\n'
)


def failures(known: Known, wanted: Filter) -> Html:
    """Return the section of failures seen lately, the latest first."""
    shown = [one for one in known.board.failures.values() if wanted.admits_account(one.provider, one.account)]
    return fill(
        '<section id="failures" aria-labelledby="failures-title"><h2 id="failures-title">Recent failures</h2>\n'
        '<div id="failures-live" data-live>{table}</div></section>\n',
        table=_failures(shown[::-1], known.now.unix),
    )


def _failures(shown: Sequence[Failure], now: float) -> Html:
    if not shown:
        return Html('<p class="card nothing">No attempt has failed.</p>')
    caption = "Failed attempts by account and code, the latest first; each with its last message and RequestId"
    return fill(_TABLE, caption=caption, rows=joined(_failure(one, now) for one in shown))


def _failure(one: Failure, now: float) -> Html:
    reason = str(one.fault.reason)
    from_them = [fill("“{message}”", message=bdi(one.fault.message))] if one.fault.message else []
    if one.fault.request_id:
        from_them.append(words.request_id(one.fault))
    return fill(
        _FAILURE,
        code=one.fault.code,
        reason=EMPTY if reason == one.fault.code else fill('<span class="sub">{reason}</span>', reason=reason),
        last=moment(one.last, now),
        count=f"{one.count:,}",
        first=utc(one.first, now),
        to=address(one.account),
        account=bdi(one.account),
        stream=bdi(one.stream),
        meaning=prose(words.explained(one.provider, one.fault).meaning),
        said=words.asides(from_them),
    )
