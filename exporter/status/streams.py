"""The table of streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from exporter.fields import format_duration
from exporter.model import Answer, Input, State
from exporter.status import words
from exporter.status.markup import EMPTY, Html, address, ago, badge, bdi, fill, joined, moment, number_of
from exporter.status.survey import MOST_ROWS, Filter, Known, Row, Survey

SLICE: Final = 50

_HEAD: Final = (
    '<table class="cards" role="table"><caption>{caption}</caption>'
    '<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">State</th>'
    '<th scope="col" role="columnheader">Stream</th><th scope="col" role="columnheader">Since</th>'
    '<th scope="col" role="columnheader">Why, and what to do</th>'
    '<th scope="col" role="columnheader">Last answer</th></tr></thead><tbody role="rowgroup">\n'
)
# A table that is laid out as cards is no table for assistive technology any more, unless its roles are spelled out.
_ROW: Final = (
    '<tr id="s-{id}" role="row" class="r-{state}"><td role="cell" class="state">{badge}</td>'
    '<th scope="row" role="rowheader">{name}<span class="sub">{title} · {account}</span>{labels}</th>'
    '<td role="cell" class="when" data-title="Since">{since}</td>'
    '<td role="cell" class="why">{why}</td>'
    '<td role="cell" class="when" data-title="Last answer">{last} '
    '<a class="ask" href="probe?target={id}&amp;debug=true" rel="nofollow" '
    'aria-label="Ask the provider about {plain} now">Ask now</a></td></tr>\n'
)
_HELD: Final = Html('<p class="do">Calls of this account are held back after repeated failures; see Accounts.</p>')


def streams(known: Known, wanted: Filter, found: Survey) -> Iterator[Html]:
    """Yield the section, some rows at a time."""
    yield Html(
        '<section id="streams" aria-labelledby="streams-title" tabindex="-1">'
        '<h2 id="streams-title">Streams</h2>\n<div id="streams-live" data-live>'
    )
    if found.rows:
        yield from _table(known, wanted, found)
    else:
        text = "No stream matches the filter." if len(known.board) else "No streams are watched."
        yield fill('<p class="card nothing">{text}</p>', text=text)
    hidden = found.matching - len(found.rows)
    if hidden:
        yield _more(hidden, wanted)
    yield Html("</div></section>\n")


def _table(known: Known, wanted: Filter, found: Survey) -> Iterator[Html]:
    titles = {view.account.name: view.provider.title for view in known.accounts}
    held = frozenset(view.account.name for view in known.accounts if view.held_back)
    shower = _Shower(known.now.unix, known.board.max_age, titles, held)
    yield fill(_HEAD, caption=_caption(wanted, found))
    for start in range(0, len(found.rows), SLICE):
        yield joined(shower.row(row) for row in found.rows[start : start + SLICE])
    yield Html("</tbody></table>\n")


def _caption(wanted: Filter, found: Survey) -> str:
    hidden = f"{len(found.rows):,} of " if found.matching > len(found.rows) else ""
    scope = " matching the filter" if wanted.narrows else ""
    return f"{hidden}{number_of(found.matching, 'stream')}{scope}; the worst first, then the latest change"


def _more(hidden: int, wanted: Filter) -> Html:
    rows = " or show more rows" if wanted.limit < MOST_ROWS else ""
    text = f"{number_of(hidden, 'more stream')} hidden: the least urgent ones. Narrow the filter{rows}."
    return fill('<p class="more">{text}</p>', text=text)


@dataclass(frozen=True, slots=True)
class _Shower:
    """Turns rows into markup.

    Attributes:
        now: Unix seconds.
        max_age: Seconds after which an answer is too old.
        titles: The provider's name for people, by account.
        held: Accounts whose calls are held back.
    """

    now: float
    max_age: float
    titles: Mapping[str, str]
    held: frozenset[str]

    def row(self, row: Row) -> Html:
        provider, name = row.key
        account = row.stream.account
        return fill(
            _ROW,
            id=address(f"{provider}/{name}"),
            state=row.state,
            badge=badge(row.state, words.WORDS[row.state]),
            name=bdi(name),
            title=self.titles.get(account, provider),
            account=bdi(account),
            labels=_labels(row.stream.labels),
            since=Html("never asked") if row.since is None else moment(row.since, self.now),
            why=self._why(row),
            last=self._last(row),
            plain=name,
        )

    def _why(self, row: Row) -> Html:
        provider = row.key[0]
        if row.answer is not None and row.state is not State.UNKNOWN:
            meaning = words.of_state(provider, row.state, row.answer.code)
            return joined([meaning, words.asides([*_details(row, row.answer, self.now)])])
        held = _HELD if row.stream.account in self.held else EMPTY
        if row.fault is None:
            return joined([self._overdue(row), held])
        when = f"failed {ago(self.now - row.faulted)} ago"
        return joined([words.of_fault(provider, row.fault), held, words.evidence(row.fault, when)])

    def _overdue(self, row: Row) -> Html:
        if row.answer is None:
            return words.said("Its turn has not come yet.", "It is asked when Prometheus scrapes.")
        state = words.WORDS[row.answer.state].lower()
        return words.said(
            f"The last answer ({state}) is older than {format_duration(self.max_age)}; its turn has not come since.",
            "See whether Prometheus still scrapes, and what the account's quota leaves unasked (Accounts).",
        )

    def _last(self, row: Row) -> Html:
        if row.answer is None:
            return Html("none yet")
        at = moment(row.answered, self.now)
        if row.state is not State.UNKNOWN:
            return at
        state = words.WORDS[row.answer.state].lower()
        return fill('{at} <span class="sub">it was {state}</span>', at=at, state=state)


def _details(row: Row, answer: Answer, now: float) -> Iterator[Html]:
    """Yield what else a definite answer tells: the push, the media and the inputs; and which API said so."""
    if answer.started is not None and answer.state is State.ACTIVE:
        yield fill("pushed for {ago}", ago=ago(now - answer.started))
    if answer.ingest is not None and answer.state is State.ACTIVE:
        yield fill("comes in by {ingest}", ingest=answer.ingest)
    for media, on in answer.media:
        yield fill("{media} {on}", media=media, on="on" if on else "off")
    if answer.inputs is not None:
        yield from _inputs(answer.inputs, row.stream.expected_inputs)
    yield fill("by {action}", action=row.action)


def _inputs(inputs: tuple[Input, ...], expected: int | None) -> Iterator[Html]:
    if expected is not None and len(inputs) < expected:
        yield fill('<b class="warn">only {count} of {wanted} inputs</b>', count=len(inputs), wanted=expected)
    else:
        yield fill("{inputs}", inputs=number_of(len(inputs), "input"))
    for one in inputs:
        if one.primary:
            yield fill("primary by {source} at {place}", source=one.source, place=bdi(f"{one.domain}/{one.app}"))


def _labels(labels: Mapping[str, str]) -> Html:
    return (
        fill('<ul class="chips" aria-label="Labels">{all}</ul>', all=joined(_chips(labels.items())))
        if labels
        else EMPTY
    )


def _chips(labels: Iterable[tuple[str, str]]) -> Iterator[Html]:
    template = '<li><a href="?label={to}">{label}=<bdi>{value}</bdi></a></li>'
    for label, value in labels:
        yield fill(template, to=address(f"{label}={value}"), label=label, value=value)
