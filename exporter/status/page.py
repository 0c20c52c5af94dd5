"""The page as a whole: head, what is wrong at a glance, filter, sections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from exporter import __version__
from exporter.model import State
from exporter.status import words
from exporter.status.accounts import account_id, accounts, failures, names
from exporter.status.assets import PUBLIC, SYMBOLS
from exporter.status.markup import (
    EMPTY,
    Html,
    ago,
    badge,
    bdi,
    definitions,
    fill,
    icon,
    iso,
    joined,
    number_of,
    prose,
    raw,
    utc,
)
from exporter.status.streams import streams
from exporter.status.survey import MOST_LABELS, MOST_ROWS, RANK, ROWS, AccountView, Filter, Known, Survey, survey

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
RUNBOOK: Final = "https://github.com/stream-exporter/stream-exporter/blob/main/docs/runbook.md"
MOST_DEAD: Final = 5

_HEAD: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex, nofollow">
<title>{verdict} · stream-exporter</title>
<link rel="icon" id="favicon" type="image/svg+xml" href="static/{favicon}">
<link rel="stylesheet" href="static/{style}">
<script src="static/{script}" defer></script>
<noscript><meta http-equiv="refresh" content="15"></noscript>
</head>
<body{events}>
<a class="skip" href="#streams">Skip to the streams</a>
<svg class="symbols" aria-hidden="true">{symbols}</svg>
<header class="top">
<p class="brand">{sign}stream-exporter <span class="sub">{version}</span></p>
<div id="live" class="live" hidden><span id="live-text">Up to date</span>
<button type="button" id="pause" aria-pressed="false">Pause</button></div>
<nav aria-label="Other views"><ul>{links}</ul></nav>
</header>
<main>
"""
_GLANCE: Final = """<div id="verdict" class="verdict s-{worst}" data-live>{icon}<div>
<h1>{verdict}</h1><p>{below}</p></div></div>
<p id="announce" class="unseen" role="status"></p>
<div id="notices" data-live>{notices}</div>
"""
_FOOT: Final = """<section class="legend" aria-labelledby="legend-title"><h2 id="legend-title">What the states mean</h2>
{states}
<p class="sub">Streams are asked when Prometheus scrapes; looking at this page asks nobody. A failed attempt withdraws
what was known: a provider that cannot be asked is no proof that a stream is down.</p></section>
</main>
</body>
</html>
"""


def page(known: Known, wanted: Filter) -> str:
    """Return the page in one piece."""
    return "".join(slices(known, wanted))


def slices(known: Known, wanted: Filter, found: Survey | None = None) -> Iterator[str]:
    """Yield the page in slices, so that the event loop may run between them.

    What is known of the streams is read before the first slice, so that all of them tell of one moment.

    Args:
        known: What is known.
        wanted: The filter.
        found: What the filter finds, if that is known already.
    """
    if found is None:
        found = survey(known, wanted)
    yield _head(known, found)
    yield _glance(known, found)
    yield _form(known, wanted, found)
    yield from streams(known, wanted, found)
    yield from accounts(known, wanted, found)
    yield failures(known, wanted)
    yield fill(_FOOT, states=definitions((badge(one, words.WORDS[one]), prose(words.LEGEND[one])) for one in RANK))


def _head(known: Known, found: Survey) -> Html:
    return fill(
        _HEAD,
        verdict=_verdict(found.counts),
        favicon=PUBLIC[f"{found.worst}.svg"],
        style=PUBLIC["status.css"],
        script=PUBLIC["status.js"],
        events=Html(' data-events="api/v1/events"') if known.events else EMPTY,
        symbols=Html(SYMBOLS),
        sign=icon(State.ACTIVE),
        version=__version__,
        links=joined(_links(known)),
    )


def _links(known: Known) -> Iterator[Html]:
    links = {
        f".{known.telemetry_path}": "Metrics",
        "api/v1/streams": "JSON",
        "sd": "Targets",
        "config": "Configuration",
        "-/ready": "Readiness",
        RUNBOOK: "Runbook",
    }
    for to, text in links.items():
        yield fill('<li><a href="{to}">{text}</a></li>', to=raw(to), text=text)


# --- at a glance -----------------------------------------------------------------------------------------------------


def _glance(known: Known, found: Survey) -> Html:
    return fill(
        _GLANCE,
        worst=found.worst,
        icon=icon(found.worst),
        verdict=_verdict(found.counts),
        below=joined(_below(known, found), " · "),
        notices=_notices(known, found),
    )


def _verdict(counts: Counter[State]) -> str:
    """Say in few words what is not live: `2 down, 1 unknown`."""
    total, live = counts.total(), counts[State.ACTIVE]
    if not total:
        return "No streams"
    if live == total:
        return "The stream is live" if total == 1 else f"All {total:,} streams are live"
    return ", ".join(
        f"{counts[one]:,} {words.WORDS[one].lower()}" for one in RANK if counts[one] and one != State.ACTIVE
    )


def _below(known: Known, found: Survey) -> Iterator[Html]:
    shown, live, watched = found.counts.total(), found.counts[State.ACTIVE], len(known.board)
    yield fill("{live} of {shown} live", live=f"{live:,}", shown=number_of(shown, "stream"))
    if shown != watched:
        yield fill("{rest} outside the filter", rest=f"{watched - shown:,}")
    if found.newest > float("-inf"):
        yield fill("last asked {ago} ago", ago=ago(known.now.mono - found.newest))
    template = '<time id="as-of" datetime="{machine}">{people}</time>'
    yield fill(template, machine=iso(known.now.unix), people=utc(known.now.unix))


def _notices(known: Known, found: Survey) -> Html:
    dead = [view for view in known.accounts if view.up is False]
    parts = [*_own(known, found), *(_dead(found, view) for view in dead[:MOST_DEAD])]
    if len(dead) > MOST_DEAD:
        rest = number_of(len(dead) - MOST_DEAD, "more account")
        parts.append(fill('<a href="#accounts">{rest} without answers</a>', rest=rest))
    template = '<li class="notice">{icon}<p>{part}</p></li>'
    shown = joined(fill(template, icon=icon(State.UNKNOWN), part=part) for part in parts)
    return fill('<ul aria-label="Problems">{shown}</ul>', shown=shown) if parts else EMPTY


def _own(known: Known, found: Survey) -> Iterator[Html]:
    """Say what is wrong with the exporter itself, or with who should scrape it."""
    if not known.ready:
        yield prose("The exporter is not ready to probe; its log says why.")
    if not known.reload_ok:
        yield prose(
            "The configuration last read was refused; the one before stays in force. "
            "`stream-exporter check` says what is wrong."
        )
    if not len(known.board):
        yield prose("No streams are watched: list them under `streams` in the configuration.")
    elif found.newest == float("-inf"):
        yield prose("Nothing was asked yet: streams are asked when Prometheus scrapes the metrics.")
    elif (silent := known.now.mono - found.newest) > known.board.max_age:
        yield prose(
            f"Nothing was asked for {ago(silent)}, so the last answers are too old. "
            "Does Prometheus still scrape this exporter? Look at its page Targets."
        )


def _dead(found: Survey, view: AccountView) -> Html:
    counts = found.by_account.get(names(view), Counter())
    why = EMPTY
    if view.fault is not None:
        entry = words.explained(view.provider.name, view.fault)
        why = prose(f"{entry.meaning} {entry.advice}")
    return fill(
        '<a href="#{id}">{account}</a> answers nothing; {unknown} of {all} unknown. {why}',
        id=account_id(view),
        account=bdi(view.account.name),
        unknown=f"{counts[State.UNKNOWN]:,}",
        all=number_of(counts.total(), "stream"),
        why=why,
    )


# --- the filter ------------------------------------------------------------------------------------------------------

_FORM: Final = """<form id="filter" role="search" aria-label="Filter streams" data-rows="{usual}">
<fieldset class="tiles"><legend class="unseen">States to show; with none ticked all are shown</legend>{tiles}</fieldset>
<div class="fields"><label><span>Name</span><input type="search" name="q" value="{text}" placeholder="part of a name"
 autocomplete="off" spellcheck="false"></label>
{provider}{account}{labels}{rows}
<div class="actions"><button>Apply</button> <a class="button" href="./">Clear</a></div></div>
</form>
"""
_TILE: Final = (
    '<label class="tile s-{state}"><input type="checkbox" name="state" value="{state}"{checked}>{icon}'
    '<b id="n-{state}" data-live>{count}</b> <span>{word}</span></label>'
)


def _form(known: Known, wanted: Filter, found: Survey) -> Html:
    providers = {view.provider.name: view.provider.title for view in known.accounts}
    by_name = {view.account.name: view.account.name for view in known.accounts}
    limits = {str(limit): f"{limit:,}" for limit in sorted({100, ROWS, MOST_ROWS, wanted.limit})}
    return fill(
        _FORM,
        tiles=joined(_tile(state, found.counts[state], state in wanted.states) for state in RANK),
        text=raw(wanted.text),
        provider=_select("Provider", "provider", {"": "All", **providers}, wanted.providers),
        account=_select("Account", "account", {"": "All", **by_name}, wanted.accounts),
        labels=_label_fields(wanted, found),
        usual=ROWS,
        rows=_select("Rows", "limit", limits, frozenset({str(wanted.limit)})),
    )


def _tile(state: State, count: int, ticked: bool) -> Html:
    checked = Html(" checked") if ticked else EMPTY
    word = words.WORDS[state]
    return fill(_TILE, state=state, checked=checked, icon=icon(state), count=f"{count:,}", word=word)


def _select(title: str, field: str, options: Mapping[str, str], chosen: frozenset[str]) -> Html:
    """Return a list to choose from: one thing, unless the page's address names several."""
    several = Html(" multiple") if len(chosen) > 1 else EMPTY
    every = {**options, **{value: value for value in sorted(chosen - options.keys())}}
    return fill(
        '<label><span>{title}</span><select name="{field}"{several}>{options}</select></label>\n',
        title=title,
        field=field,
        several=several,
        options=joined(_option(value, text, value in chosen) for value, text in every.items()),
    )


def _option(value: str, text: str, chosen: bool) -> Html:
    selected = Html(" selected") if chosen else EMPTY
    return fill('<option value="{value}"{selected}>{text}</option>', value=raw(value), selected=selected, text=text)


def _label_fields(wanted: Filter, found: Survey) -> Html:
    """Return a field for each label asked for, and an empty one for another."""
    given = [label if value is None else f"{label}={value}" for label, value in wanted.labels]
    pairs = sorted(found.labels)[:MOST_LABELS]
    if not pairs and not given:
        return EMPTY
    template = (
        '<label><span>Label</span><input name="label" list="labels" value="{value}" placeholder="name=value" '
        'autocomplete="off" spellcheck="false"></label>\n'
    )
    fields = joined(fill(template, value=raw(value)) for value in [*given, ""])
    options = joined(fill('<option value="{value}"></option>', value=raw(pair)) for pair in pairs)
    return fill('{fields}<datalist id="labels">{options}</datalist>\n', fields=fields, options=options)
