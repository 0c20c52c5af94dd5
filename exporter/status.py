"""The status page: what is known → HTML, a pure function.

Markup stands in templates; whatever fills them is escaped unless it is `Html` already. Style and script are files of
`static/`, so the Content-Security-Policy allows nothing inline. All addresses are relative: the page works behind a
proxy that gives it a path of its own.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from operator import itemgetter
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import quote

from exporter import __version__, catalogue
from exporter.board import Board, Failure, Instant, Key, Record
from exporter.model import Account, Answer, Fault, Input, State, Stream, format_duration
from exporter.provider import AnyProvider
from exporter.tally import Tally

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
RUNBOOK: Final = "https://github.com/stream-exporter/stream-exporter/blob/main/docs/runbook.md"

ROWS, MOST_ROWS = 500, 5000
SLICE: Final = 50
MOST_ACCOUNTS: Final = 200
MOST_LABELS: Final = 200
SKEW_TO_MENTION: Final = 30.0

WORDS: Final = {
    State.INACTIVE: "Down",
    State.UNKNOWN: "Unknown",
    State.FORBIDDEN: "Forbidden",
    State.NOT_FOUND: "Not found",
    State.ACTIVE: "Live",
}
"""The states in words, worst first."""

LEGEND: Final = {
    State.INACTIVE: "The provider says that nobody pushes the stream.",
    State.UNKNOWN: "Nobody knows: the last attempt failed, or the last answer is too old. The stream may well be live.",
    State.FORBIDDEN: "The provider says that pushing the stream is forbidden.",
    State.NOT_FOUND: "The provider says that it knows no such stream.",
    State.ACTIVE: "The provider says that the stream is being pushed.",
}

UNPROBED: Final = {
    "quota": "the quota has no calls left: raise `quota_share` or `quota`, or scrape with a longer timeout",
    "deadline": "the deadline came first: raise the scrape timeout or the account's `concurrency`",
    "breaker": "the breaker holds calls back until a trial call is answered",
}


# --- what the page is made of ----------------------------------------------------------------------------------------


class Paced(Protocol):
    """The quota of one action."""

    limit: float


class LaneView(Protocol):
    """What the page reads of an account's lane."""

    @property
    def provider(self) -> AnyProvider:
        """The cloud."""
        ...

    @property
    def account(self) -> Account:
        """The configuration."""
        ...

    @property
    def up(self) -> bool | None:
        """Whether the last round got an answer; None before the first."""
        ...

    @property
    def fault(self) -> Fault | None:
        """Why the account answers nothing; None while it does."""
        ...

    @property
    def round_seconds(self) -> float | None:
        """How long the last round took."""
        ...

    @property
    def unprobed(self) -> Mapping[str, int]:
        """Streams whose turn did not come, by why."""
        ...

    @property
    def held_back(self) -> bool:
        """Whether the breaker is open."""
        ...

    @property
    def paces(self) -> Mapping[str, Paced]:
        """The quotas by action."""
        ...

    def kept(self) -> dict[str, float]:
        """Return the calls per second allowed now, by action."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """What the page shows.

    Attributes:
        board: What is known of each stream.
        tally: Counters.
        lanes: The accounts.
        now: The time on both clocks.
        telemetry_path: Path of the metrics.
        ready: Whether the exporter is able to probe.
        reload_ok: Whether the configuration last read is in force.
        events: Whether `/api/v1/events` tells changes, so that the script may listen.
    """

    board: Board
    tally: Tally
    lanes: Sequence[LaneView]
    now: Instant
    telemetry_path: str = "/metrics"
    ready: bool = True
    reload_ok: bool = True
    events: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """Which streams to show, as the page's address says; an empty field admits everything.

    Attributes:
        text: A part of the stream's name, in any case.
        labels: (name, value) pairs that must all hold; a value None asks only for the name.
        limit: Most rows shown.
    """

    text: str = ""
    states: frozenset[State] = frozenset()
    providers: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    labels: tuple[tuple[str, str | None], ...] = ()
    limit: int = ROWS

    @classmethod
    def read(cls, query: Iterable[tuple[str, str]]) -> Filter:
        """Read a query string's (name, value) pairs; what makes no sense is left out."""
        given: dict[str, list[str]] = {}
        for name, value in query:
            if value:
                given.setdefault(name, []).append(value.replace("\r\n", "\n"))
        return cls(
            text=given.get("q", [""])[-1],
            states=frozenset(state for state in State if state in given.get("state", ())),
            providers=frozenset(given.get("provider", ())),
            accounts=frozenset(given.get("account", ())),
            labels=tuple(_label(text) for text in given.get("label", ())),
            limit=_limit(given.get("limit", [""])[-1]),
        )

    def admits_account(self, provider: str, account: str) -> bool:
        """Whether what concerns a whole account is shown."""
        return (not self.providers or provider in self.providers) and (not self.accounts or account in self.accounts)

    def admits(self, record: Record, needle: str) -> bool:
        """Whether a stream is shown, as far as its state allows; `needle` is `text` with its case folded."""
        labels = record.stream.labels
        return (
            self.admits_account(record.key[0], record.stream.account)
            and needle in record.key[1].casefold()
            and all(name in labels if value is None else labels.get(name) == value for name, value in self.labels)
        )


def _label(text: str) -> tuple[str, str | None]:
    name, given, value = text.partition("=")
    return name.strip(), value if given else None


def _limit(text: str) -> int:
    return min(max(int(text), 1), MOST_ROWS) if text.isascii() and text.isdigit() and len(text) < 10 else ROWS


class Row(NamedTuple):
    """What is shown of one stream: a copy, because the page goes out in slices between which the board may change."""

    key: Key
    stream: Stream
    state: State
    since: float | None
    answer: Answer | None
    answered: float
    action: str
    fault: Fault | None
    faulted: float


@dataclass(slots=True)
class Survey:
    """What a filter finds.

    Attributes:
        counts: Streams by state that the filter admits, whatever states it asks for.
        by_account: All streams by (provider, account) and state.
        rows: The streams to show, worst first.
        matching: How many would be shown without the limit.
        newest: Monotonic seconds of the last attempt of any stream.
    """

    counts: Counter[State] = field(default_factory=Counter)
    by_account: dict[tuple[str, str], Counter[State]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    matching: int = 0
    newest: float = float("-inf")


_RANK: Final = {state: rank for rank, state in enumerate(WORDS)}


def survey(known: Known, wanted: Filter) -> Survey:
    """Find the streams to show: the worst state first, in it the latest change first."""
    found, mono, max_age = Survey(), known.now.mono, known.board.max_age
    needle = wanted.text.casefold()
    ranked: list[tuple[int, float, Key, Record, State, float | None]] = []
    for record in known.board:
        state = record.state(mono, max_age)
        found.newest = max(found.newest, record.tried)
        account = (record.key[0], record.stream.account)
        found.by_account.setdefault(account, Counter())[state] += 1
        if wanted.admits(record, needle):
            found.counts[state] += 1
            if not wanted.states or state in wanted.states:
                since = record.since(state)
                ranked.append((_RANK[state], -(since or 0.0), record.key, record, state, since))
    ranked.sort(key=itemgetter(0, 1, 2))
    found.matching = len(ranked)
    found.rows = [_row(record, state, since) for *_, record, state, since in ranked[: wanted.limit]]
    return found


def _row(record: Record, state: State, since: float | None) -> Row:
    r = record
    return Row(r.key, r.stream, state, since, r.answer, r.answered, r.action, r.fault, r.faulted)


# --- markup ----------------------------------------------------------------------------------------------------------


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


EMPTY: Final = Html()
_JOINERS: Final = "\u200c\u200d"  # they make emoji and some scripts what they are, and reorder nothing
_CODE: Final = re.compile(r"`([^`]+)`")


def visible(text: str) -> str:
    """Return text in which signs that one cannot see, or that reorder others, are spelled out: `⟨U+202E⟩`."""
    if text.isprintable():
        return text
    return "".join(f"⟨U+{ord(sign):04X}⟩" if _hidden(sign) else sign for sign in text)


def _hidden(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp") and sign not in _JOINERS


def fill(template: str, /, **values: object) -> Html:
    """Fill a template; every value that is not `Html` is made visible and escaped."""
    shown = {name: one if isinstance(one, Html) else escape(visible(str(one))) for name, one in values.items()}
    return Html(template.format_map(shown))


def raw(text: str) -> Html:
    """Return an attribute's value that comes back as it is: escaped, but nothing spelled out."""
    return Html(escape(text.encode("utf-8", "replace").decode()).replace("\r", "&#13;").replace("\n", "&#10;"))


def joined(parts: Iterable[Html], by: str = "") -> Html:
    """Join markup."""
    return Html(by.join(parts))


def prose(text: str) -> Html:
    """Return words of the catalogue, with what stands in backticks as code."""
    return Html(_CODE.sub(r"<code>\1</code>", escape(visible(text))))


def name(text: str) -> Html:
    """Return a name from the configuration or a provider, set apart from the direction of the text around it."""
    return fill("<bdi>{text}</bdi>", text=text)


def icon(state: str) -> Html:
    """Return a state's sign, which differs in shape and not in colour alone."""
    return fill('<svg class="icon" aria-hidden="true"><use href="#i-{state}"/></svg>', state=state)


def moment(seconds: float, now: float) -> Html:
    """Return a time as people want it: how long ago, and the absolute time in UTC."""
    at = datetime.fromtimestamp(seconds, UTC)
    return fill(
        '<time datetime="{machine}"><b>{ago}</b> <span class="sub">{people}</span></time>',
        machine=at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        ago=f"{ago(now - seconds)} ago",
        people=at.strftime("%Y-%m-%d %H:%M:%S UTC"),
    )


def ago(seconds: float) -> str:
    """Return a length of time in its two largest units: `42 s`, `5 min`, `3 h 20 min`, `2 d 4 h`."""
    whole = max(0, int(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 60:
        return f"{whole} s"
    if hours < 1:
        return f"{minutes} min"
    if days < 2:
        return f"{hours} h {minutes % 60} min"
    return f"{days} d {hours % 24} h"


def number_of(count: int, noun: str) -> str:
    """Return a count with its noun: `1 stream`, `2,000 streams`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


# --- style and script ------------------------------------------------------------------------------------------------


class Asset(NamedTuple):
    """A file that the page needs."""

    body: bytes
    content_type: str


def _icon_file(shape: str, colour: str) -> bytes:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="{colour}" stroke="#fff" '
        f'stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round">{shape}</svg>'
    ).encode()


_SHAPES: Final = {
    State.INACTIVE: '<circle cx="8" cy="8" r="7" stroke="none"/><path d="M5.3 5.3l5.4 5.4M10.7 5.3l-5.4 5.4"/>',
    State.UNKNOWN: '<path stroke="none" d="M8 .6L15.4 8 8 15.4.6 8z"/>'
    '<path fill="none" d="M6.3 6.4a1.8 1.8 0 1 1 2.6 1.7c-.6.3-.9.6-.9 1.2M8 11.6v.01"/>',
    State.FORBIDDEN: '<path stroke="none" d="M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1z"/><path d="M4.6 8h6.8"/>',
    State.NOT_FOUND: '<rect x="1" y="1" width="14" height="14" rx="3" stroke="none"/>'
    '<circle cx="7.2" cy="7.2" r="2.6" fill="none"/><path d="M9.3 9.3l2.3 2.3"/>',
    State.ACTIVE: '<circle cx="8" cy="8" r="7" stroke="none"/><path fill="none" d="M4.9 8.3l2.2 2.2 4-4.6"/>',
}
_COLOURS: Final = {
    State.INACTIVE: "#c5221f",
    State.UNKNOWN: "#9a6200",
    State.FORBIDDEN: "#8430ce",
    State.NOT_FOUND: "#5f6b7a",
    State.ACTIVE: "#15803d",
}


def _assets() -> dict[str, Asset]:
    folder = files("exporter") / "static"
    kinds = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    bodies = {name: (folder / name).read_bytes() for name in ("status.css", "status.js")}
    bodies |= {f"{state}.svg": _icon_file(shape, _COLOURS[state]) for state, shape in _SHAPES.items()}
    found = {}
    for file, body in bodies.items():
        stem, _, kind = file.rpartition(".")
        found[f"{stem}-{sha256(body).hexdigest()[:12]}.{kind}"] = Asset(body, kinds[kind])
    return found


ASSETS: Final[Mapping[str, Asset]] = _assets()
"""What `/static/NAME` answers. Names hold a hash of the content, so they may be cached for ever."""

_NAMES: Final = {re.sub(r"-[0-9a-f]{12}(?=\.)", "", file): file for file in ASSETS}


# --- the page --------------------------------------------------------------------------------------------------------


def page(known: Known, wanted: Filter) -> str:
    """Return the page in one piece."""
    return "".join(slices(known, wanted))


def slices(known: Known, wanted: Filter) -> Iterator[str]:
    """Yield the page in slices, so that the event loop may run between them.

    What is known of the streams is read before the first slice, so that all of them tell of one moment.
    """
    found = survey(known, wanted)
    worst = next((state for state in WORDS if found.counts[state]), State.UNKNOWN)
    verdict = _verdict(found.counts)
    yield _HEAD.format(
        title=escape(verdict),
        icon=_NAMES[f"{worst}.svg"],
        css=_NAMES["status.css"],
        js=_NAMES["status.js"],
        events=' data-events="api/v1/events"' if known.events else "",
        symbols=_SYMBOLS,
        nav=_nav(known),
    )
    yield _top(known, wanted, found, verdict, worst)
    yield from _streams(known, wanted, found)
    yield from _accounts(known, wanted, found)
    yield _failures(known, wanted)
    yield _FOOT


_HEAD: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex, nofollow">
<title>{title} · stream-exporter</title>
<link rel="icon" id="favicon" type="image/svg+xml" href="static/{icon}">
<link rel="stylesheet" href="static/{css}">
<script src="static/{js}" defer></script>
<noscript><meta http-equiv="refresh" content="15"></noscript>
</head>
<body{events}>
<a class="skip" href="#streams">Skip to the streams</a>
{symbols}
<header class="bar">
<p class="brand">{nav}
"""
_SYMBOLS: Final = (
    '<svg class="symbols" aria-hidden="true">'
    + "".join(f'<symbol id="i-{state}" viewBox="0 0 16 16">{shape}</symbol>' for state, shape in _SHAPES.items())
    + "</svg>"
)
_FOOT: Final = (
    '<section class="legend" aria-labelledby="legend-title"><h2 id="legend-title">What the states mean</h2><dl>'
    + "".join(f"<div><dt>{badge}</dt><dd>{LEGEND[state]}</dd></div>" for state, badge in
              ((state, f'<span class="badge s-{state}">{icon(state)}{word}</span>') for state, word in WORDS.items()))
    + '</dl><p class="sub">Streams are asked when Prometheus scrapes; the page itself asks nobody. '
    "A failed attempt withdraws what was known, because a provider that cannot be asked is no proof that a stream is "
    'down.</p></section>\n</main>\n</body>\n</html>\n'
)  # fmt: skip


def _nav(known: Known) -> Html:
    links = [
        ("." + known.telemetry_path, "Metrics"),
        ("api/v1/streams", "JSON"),
        ("sd", "Targets"),
        ("config", "Configuration"),
        ("-/ready", "Readiness"),
        (RUNBOOK, "Runbook"),
    ]
    return fill(
        '{sign}stream-exporter <span class="version">{version}</span></p>\n'
        '<nav aria-label="Other views"><ul>{links}</ul></nav>\n</header>\n<main id="main">',
        sign=icon(State.ACTIVE),
        version=__version__,
        links=joined(fill('<li><a href="{to}">{text}</a></li>', to=raw(to), text=text) for to, text in links),
    )


# --- at a glance -----------------------------------------------------------------------------------------------------


def _verdict(counts: Counter[State]) -> str:
    """Say the worst in few words: `2 down, 1 unknown`."""
    total = counts.total()
    if not total:
        return "No streams"
    bad = [f"{counts[state]:,} {word.lower()}" for state, word in WORDS.items() if counts[state]]
    if counts[State.ACTIVE] == total:
        return "The stream is live" if total == 1 else f"All {total:,} streams are live"
    return ", ".join(bad[:-1] if counts[State.ACTIVE] else bad)


def _top(known: Known, wanted: Filter, found: Survey, verdict: str, worst: State) -> Html:
    return fill(
        '<div id="verdict" class="verdict s-{worst}" data-live>{icon}<div><h1>{verdict}</h1><p>{below}</p></div></div>\n'
        '<p id="announce" class="unseen" role="status" aria-live="polite"></p>\n'
        '<div class="live" id="live" hidden><span id="pulse" class="pulse"></span> <span id="live-text">Live</span> '
        '<button type="button" id="pause" aria-pressed="false">Pause</button></div>\n'
        '<div id="notices" data-live>{notices}</div>\n{form}\n',
        worst=worst,
        icon=icon(worst),
        verdict=verdict,
        below=_below(known, found),
        notices=_notices(known, found),
        form=_form(known, wanted, found),
    )


def _below(known: Known, found: Survey) -> Html:
    shown, watched = found.counts.total(), len(known.board)
    parts = [fill("{live:,} of {streams} live", live=_Plain(found.counts[State.ACTIVE]), streams=number_of(shown, "stream"))]
    if shown != watched:
        parts.append(fill("the filter leaves out {rest}", rest=number_of(watched - shown, "stream")))
    if found.newest > float("-inf"):
        parts.append(fill("last asked {ago} ago", ago=ago(known.now.mono - found.newest)))
    at = datetime.fromtimestamp(known.now.unix, UTC)
    machine, people = at.strftime("%Y-%m-%dT%H:%M:%SZ"), at.strftime("%Y-%m-%d %H:%M:%S UTC")
    parts.append(fill('<time id="as-of" datetime="{machine}">{people}</time>', machine=machine, people=people))
    return joined(parts, " · ")


def _notices(known: Known, found: Survey) -> Html:
    parts = [*_own_notices(known, found)]
    dead = [lane for lane in known.lanes if lane.up is False]
    parts += [_dead(known, found, lane) for lane in dead[:5]]
    if len(dead) > 5:
        parts.append(_notice(fill('<a href="#accounts">{rest}</a> answer nothing, too.',
                                  rest=number_of(len(dead) - 5, "more account"))))  # fmt: skip
    return joined(["<ul>", *parts, "</ul>"]) if parts else EMPTY  # type: ignore[list-item]


def _notice(inside: Html) -> Html:
    return fill('<li class="notice">{icon}<div>{inside}</div></li>', icon=icon(State.UNKNOWN), inside=inside)


def _own_notices(known: Known, found: Survey) -> Iterator[Html]:
    """Say what is wrong with the exporter itself, or with who should scrape it."""
    if not known.ready:
        yield _notice(prose("The exporter is not ready to probe; its log says why."))
    if not known.reload_ok:
        yield _notice(prose(
            "The configuration last read was refused, so the one before stays in force. "
            "`stream-exporter check` says what is wrong."
        ))  # fmt: skip
    if not len(known.board):
        yield _notice(prose("No streams are watched: list them under `streams` in the configuration."))
    elif found.newest == float("-inf"):
        yield _notice(prose("Nothing was asked yet: streams are asked when Prometheus scrapes the metrics."))
    elif (silent := known.now.mono - found.newest) > known.board.max_age:
        yield _notice(prose(
            f"Nothing was asked for {ago(silent)}, so what was known is too old. Does Prometheus still scrape this "
            "exporter? Look at its targets, and at `up` of this job."
        ))  # fmt: skip


def _dead(known: Known, found: Survey, lane: LaneView) -> Html:
    counts = found.by_account.get(_names(lane), Counter())
    inside = fill(
        '<a href="#{id}">{account}</a> answers nothing: {unknown} of {streams} unknown. {why}',
        id=raw(_account_id(lane)),
        account=name(lane.account.name),
        unknown=f"{counts[State.UNKNOWN]:,}",
        streams=number_of(counts.total(), "stream"),
        why=EMPTY if lane.fault is None else prose(_entry(lane.provider.name, lane.fault).advice),
    )
    return _notice(inside)


# --- the filter ------------------------------------------------------------------------------------------------------


def _form(known: Known, wanted: Filter, found: Survey) -> Html:
    return fill(
        '<form id="filter" method="get" role="search" aria-label="Filter streams">\n'
        '<fieldset class="tiles"><legend class="unseen">States to show; none ticked shows all</legend>{tiles}</fieldset>\n'
        '<div class="fields"><label><span>Name</span>'
        '<input type="search" name="q" value="{text}" placeholder="part of a name" autocomplete="off" spellcheck="false">'
        "</label>{providers}{accounts}{labels}"
        '<label><span>Rows</span><select name="limit">{limits}</select></label>'
        '<div class="actions"><button id="apply">Apply</button><a class="button" href="./">Clear</a></div></div>\n</form>',
        tiles=joined(_tile(state, found.counts[state], state in wanted.states) for state in WORDS),
        text=raw(wanted.text),
        providers=_select("Provider", "provider", _providers(known), wanted.providers),
        accounts=_select("Account", "account", {one.account.name: one.account.name for one in known.lanes}, wanted.accounts),
        labels=_label_fields(known, wanted),
        limits=joined(_option(str(rows), f"{rows:,}", rows == wanted.limit)
                      for rows in sorted({100, ROWS, 2000, MOST_ROWS, wanted.limit})),
    )  # fmt: skip


def _providers(known: Known) -> dict[str, str]:
    return {one.provider.name: one.provider.title for one in known.lanes}


def _tile(state: State, count: int, chosen: bool) -> Html:
    return fill(
        '<label class="tile s-{state}{none}" id="tile-{state}"><input type="checkbox" name="state" value="{state}"{chosen}>'
        '{icon}<b id="n-{state}" data-live>{count}</b> <span>{word}</span></label>',
        state=state,
        none="" if count else " none",
        chosen=Html(" checked") if chosen else EMPTY,
        icon=icon(state),
        count=f"{count:,}",
        word=WORDS[state],
    )


def _select(title: str, field_name: str, options: Mapping[str, str], chosen: frozenset[str]) -> Html:
    """Return a list to choose one of; a filter by several, from an address written by hand, shows all of them."""
    several = Html(f' multiple size="{min(len(chosen), 4)}"') if len(chosen) > 1 else EMPTY
    missing = {value: value for value in sorted(chosen - options.keys())}
    return fill(
        '<label><span>{title}</span><select name="{field}"{several}>{options}</select></label>',
        title=title,
        field=field_name,
        several=several,
        options=joined([_option("", "All", not chosen), *(
            _option(value, text, value in chosen) for value, text in {**dict(sorted(options.items())), **missing}.items()
        )]),
    )  # fmt: skip


def _option(value: str, text: str, chosen: bool) -> Html:
    selected = Html(" selected") if chosen else EMPTY
    return fill('<option value="{value}"{selected}>{text}</option>', value=raw(value), selected=selected, text=text)


def _label_fields(known: Known, wanted: Filter) -> Html:
    """Return a field for each label asked for, and an empty one."""
    given = [label if value is None else f"{label}={value}" for label, value in wanted.labels]
    pairs: set[str] = set()
    for record in known.board:
        pairs.update(f"{label}={value}" for label, value in record.stream.labels.items())
        if len(pairs) > MOST_LABELS:
            break
    if not pairs and not given:
        return EMPTY
    template = (
        '<label><span>Label</span><input name="label" list="labels" value="{value}" placeholder="{example}" '
        'autocomplete="off" spellcheck="false"></label>'
    )
    example = min(pairs, key=len) if pairs else "name=value"
    fields = [fill(template, value=raw(value), example=example) for value in [*given, ""]]
    options = joined(fill('<option value="{value}"></option>', value=raw(pair)) for pair in sorted(pairs)[:MOST_LABELS])
    return joined([*fields, fill('<datalist id="labels">{options}</datalist>', options=options)])


# --- streams ---------------------------------------------------------------------------------------------------------


def _streams(known: Known, wanted: Filter, found: Survey) -> Iterator[Html]:
    yield fill(
        '<section id="streams" aria-labelledby="streams-title" tabindex="-1">'
        '<h2 id="streams-title">Streams</h2>\n<div id="streams-live" data-live>'
    )
    if found.rows:
        yield fill(_STREAMS_HEAD, caption=_caption(wanted, found))
        titles = {lane.account.name: lane.provider.title for lane in known.lanes}
        held = {lane.account.name for lane in known.lanes if lane.held_back}
        show = _Shower(known.now.unix, known.board.max_age, titles, held)
        for start in range(0, len(found.rows), SLICE):
            yield joined(show.row(row) for row in found.rows[start : start + SLICE])
        yield Html("</tbody></table>\n")
    else:
        yield fill('<p class="nothing">{text}</p>', text=_nothing(known))
    yield _hidden_rows(wanted, found)
    yield Html("</div></section>\n")


_STREAMS_HEAD: Final = (
    '<table class="cards" role="table"><caption>{caption}</caption>'
    '<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">State</th>'
    '<th scope="col" role="columnheader">Stream</th><th scope="col" role="columnheader">Since</th>'
    '<th scope="col" role="columnheader">Why, and what to do</th>'
    '<th scope="col" role="columnheader">Last answer</th></tr></thead><tbody role="rowgroup">\n'
)


def _caption(wanted: Filter, found: Survey) -> str:
    shown = f"{len(found.rows):,} of {found.matching:,}" if found.matching > len(found.rows) else f"{found.matching:,}"
    scope = " that match the filter" if wanted != Filter(limit=wanted.limit) else ""
    return f"{shown} stream{'' if found.matching == 1 else 's'}{scope}, the worst first, then the latest change"


def _nothing(known: Known) -> str:
    return "No stream matches the filter." if len(known.board) else "No streams are watched."


def _hidden_rows(wanted: Filter, found: Survey) -> Html:
    hidden = found.matching - len(found.rows)
    if not hidden:
        return EMPTY
    more = " or show more rows" if wanted.limit < MOST_ROWS else ""
    text = f"{number_of(hidden, 'more stream')} not shown, the least urgent ones. Narrow the filter{more}."
    return fill('<p class="more">{text}</p>', text=text)


_ROW: Final = (
    '<tr id="s-{id}" class="r-{state}" role="row"><td role="cell" class="c-state"><span class="badge s-{state}">'
    '{icon}{word}</span></td>'
    '<th scope="row" role="rowheader">{name}<span class="sub">{place}</span>{labels}</th>'
    '<td role="cell" class="c-since" data-title="Since">{since}</td>'
    '<td role="cell" class="c-why">{why}</td>'
    '<td role="cell" class="c-last" data-title="Last answer">{last} <a class="ask" href="probe?target={id}&amp;debug=true" '
    'rel="nofollow" aria-label="Ask the provider about {plain} now">Ask now</a></td></tr>\n'
)  # fmt: skip


@dataclass(slots=True)
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
    held: set[str]

    def row(self, row: Row) -> Html:
        provider, stream = row.key
        account = row.stream.account
        return fill(
            _ROW,
            id=_id(f"{provider}/{stream}"),
            state=row.state,
            icon=icon(row.state),
            word=WORDS[row.state],
            name=name(stream),
            place=fill("{title} · {account}", title=self.titles.get(account, provider), account=name(account)),
            labels=_labels(row.stream.labels),
            since=Html("never asked") if row.since is None else moment(row.since, self.now),
            why=self.why(row),
            last=self.last(row),
            plain=stream,
        )

    def why(self, row: Row) -> Html:
        provider = row.key[0]
        if row.state is not State.UNKNOWN:
            answer = row.answer
            assert answer is not None
            meaning, advice = _definite(provider, row.state, answer.code)
            return joined([_words(meaning, advice), _details(answer, row.stream, self.now)])
        held = _HELD if row.stream.account in self.held else EMPTY
        if row.fault is not None:
            return joined([*_fault(provider, row.fault, row.faulted, self.now), held])
        return joined([self._overdue(row), held])

    def _overdue(self, row: Row) -> Html:
        if row.answer is None:
            return _words("The stream's turn has not come yet.", "It is asked when Prometheus scrapes.")
        return _words(
            f"The last answer ({WORDS[row.answer.state].lower()}) is older than {format_duration(self.max_age)}.",
            "The stream's turn has not come since: look at the account's quota below, and whether Prometheus scrapes.",
        )

    def last(self, row: Row) -> Html:
        if row.answer is None:
            return Html("none yet")
        state = WORDS[row.answer.state].lower()
        by = fill('<span class="sub">{state}, by {action}</span>', state=state, action=row.action)
        return joined([moment(row.answered, self.now), by])


_HELD: Final = Html('<p class="do">Calls of the account are held back after repeated failures; see below.</p>')


@lru_cache(maxsize=4096)
def _definite(provider: str, state: State, code: str) -> tuple[str, str]:
    """Return what a definite answer means and what to do, in the catalogue's words for this state."""
    entries = [entry for entry in catalogue.load(provider).entries() if entry.state == state]
    entries.sort(key=lambda entry: entry.code != code)
    return (entries[0].meaning, entries[0].advice) if entries else (LEGEND[state], "")


@lru_cache(maxsize=4096)
def _explained(provider: str, code: str, reason: str) -> catalogue.Entry:
    return catalogue.of_fault(provider, code, reason)


def _entry(provider: str, fault: Fault) -> catalogue.Entry:
    return _explained(provider, fault.code, str(fault.reason))


def _words(meaning: str, advice: str) -> Html:
    """Return what something means, and on a line of its own what to do if there is something."""
    told = fill("<p>{meaning}</p>", meaning=prose(meaning))
    if advice in ("", "Nothing to do."):
        return told
    return joined([told, fill('<p class="do">{advice}</p>', advice=prose(advice))])


def _fault(provider: str, fault: Fault, at: float, now: float) -> list[Html]:
    entry = _entry(provider, fault)
    return [_words(entry.meaning, entry.advice), _evidence(fault, fill("{ago} ago", ago=ago(now - at)))]


def _evidence(fault: Fault, when: Html) -> Html:
    """Return what a support ticket needs: code, reason, the provider's own words and its RequestId."""
    code = fill("<code>{code}</code>", code=fault.code)
    parts = [code] if fault.code == fault.reason else [code, fill("reason {reason}", reason=fault.reason)]
    parts.append(when)
    if fault.message:
        parts.append(fill('“<bdi>{message}</bdi>”', message=fault.message))
    if fault.request_id:
        parts.append(fill("RequestId <code>{id}</code>", id=fault.request_id))
    return fill('<p class="evidence">{parts}</p>', parts=joined(parts, " · "))


def _details(answer: Answer, stream: Stream, now: float) -> Html:
    """Return what else a definite answer tells: push, media and inputs."""
    parts = []
    if answer.started is not None and answer.state is State.ACTIVE:
        parts.append(fill("pushed for {ago}", ago=ago(now - answer.started)))
    if answer.ingest is not None:
        parts.append(fill("comes in by {ingest}", ingest=answer.ingest))
    parts += [fill("{media} {on}", media=media, on="on" if on else "off") for media, on in answer.media]
    parts += _inputs(answer.inputs, getattr(stream, "inputs", None))
    return fill('<p class="evidence">{parts}</p>', parts=joined(parts, " · ")) if parts else EMPTY


def _inputs(inputs: tuple[Input, ...] | None, expected: int | None) -> Iterator[Html]:
    if inputs is None:
        return
    if expected is not None and len(inputs) < expected:
        yield fill('<b class="warn">only {count} of {wanted} inputs</b>', count=len(inputs), wanted=expected)
    else:
        yield fill("{inputs}", inputs=number_of(len(inputs), "input"))
    for one in inputs:
        if one.primary:
            yield fill("primary by {source} at {place}", source=one.source, place=name(f"{one.domain}/{one.app}"))


def _labels(labels: Mapping[str, str]) -> Html:
    if not labels:
        return EMPTY
    template = '<li><a href="?label={to}">{label}=<bdi>{value}</bdi></a></li>'
    chips = (fill(template, to=_id(f"{label}={value}"), label=label, value=value) for label, value in labels.items())
    return fill('<ul class="chips" aria-label="Labels">{chips}</ul>', chips=joined(chips))


def _id(text: str) -> Html:
    """Return text as it may stand in an address, or be an element's id."""
    return Html(quote(text, safe="/", errors="replace"))


# --- accounts --------------------------------------------------------------------------------------------------------


def _accounts(known: Known, wanted: Filter, found: Survey) -> Iterator[Html]:
    lanes = [lane for lane in known.lanes if wanted.admits_account(*_names(lane))]
    lanes.sort(key=lambda lane: (lane.up is not False, not lane.held_back, lane.up is not None, lane.account.name))
    failures = {(one.provider, one.account): one for one in list(known.board.failures.values())}
    errors = _errors(known.tally)
    yield Html('<section id="accounts" aria-labelledby="accounts-title"><h2 id="accounts-title">Accounts</h2>\n'
               '<div id="accounts-live" class="grid" data-live>')  # fmt: skip
    for lane in lanes[:MOST_ACCOUNTS]:
        names = _names(lane)
        counts = found.by_account.get(names, Counter())
        yield _account(known, lane, counts, failures.get(names), errors.get(names, []))
    if len(lanes) > MOST_ACCOUNTS:
        yield fill('<p class="more">{rest} not shown; narrow the filter.</p>',
                   rest=number_of(len(lanes) - MOST_ACCOUNTS, "more account"))  # fmt: skip
    yield Html("</div></section>\n")


def _errors(tally: Tally) -> dict[tuple[str, str], list[tuple[str, int]]]:
    """Return failed attempts since the start by account, the most frequent code first."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for (provider, account, code, _), count in list(tally.errors.items()):
        found.setdefault((provider, account), Counter())[code] += count
    return {names: counts.most_common() for names, counts in found.items()}


_ACCOUNT: Final = (
    '<article class="card {kind}" id="{id}" aria-labelledby="{id}-title"><h3 id="{id}-title">{name} '
    '<span class="badge {badge}">{icon}{word}</span></h3><p class="sub">{title} · <bdi>{endpoint}</bdi></p>{why}'
    "<dl>{facts}</dl></article>\n"
)


def _account(
    known: Known, lane: LaneView, counts: Counter[State], last: Failure | None, errors: list[tuple[str, int]]
) -> Html:
    state, word = _health(lane)
    facts = [
        ("Streams", _streams_fact(counts)),
        ("Quota kept", _quota(lane)),
        ("Not asked", _unprobed(lane)),
        ("Breaker", _breaker(lane)),
        ("Last round", Html("none yet") if lane.round_seconds is None else fill("{s:.2f} s", s=_Plain(lane.round_seconds))),
        ("Clock", _skew(known.tally.skew.get(_names(lane)))),
        ("Failed", _failed(errors)),
        ("Last failure", _last_failure(last, known.now.unix)),
    ]
    return fill(
        _ACCOUNT,
        kind="" if lane.up is not False else "bad",
        id=raw(_account_id(lane)),
        name=name(lane.account.name),
        badge=f"s-{state}",
        icon=icon(state),
        word=word,
        title=lane.provider.title,
        endpoint=lane.account.endpoint,
        why=EMPTY if lane.fault is None else _why_dead(lane.provider.name, lane.fault),
        facts=joined(fill("<div><dt>{term}</dt><dd>{told}</dd></div>", term=term, told=told) for term, told in facts),
    )


class _Plain:
    """A number that a template formats: it holds nothing to escape."""
