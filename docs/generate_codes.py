"""Makes docs/codes.md and docs/codes/ out of the catalogue.

One page for each provider, with one line for each distinct advice: the codes that share it, each with its meaning, and
then the advice. A code whose advice is that of its reason has its meaning alone; docs/codes.md has the reasons.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from exporter.providers import codes as catalogue
from exporter.providers.codes import Entry

PAGE = Path(__file__).with_name("codes.md")
FOLDER = Path(__file__).with_name("codes")
WRITTEN = "<!-- Written by docs/generate_codes.py; do not edit. -->"

INTRODUCTION = f"""\
# Codes

{WRITTEN}

What the labels `code` and `reason` of `stream_probe_errors_total` mean, and in *italics* what to do. In a terminal, in
English or Chinese: `stream-exporter explain [PROVIDER] CODE`.

The codes of a cloud have a page each:

"""

UNLISTED = """\
A code that is on no page has the label `other`; the log and the status page show the code itself."""

ADVICE = """\
In *italics*: what to do. A code without advice of its own needs [that of its reason](../codes.md#reasons)."""

REMEDIES = {entry.reason: entry.advice for entry in catalogue.reasons()}
NOTHING = catalogue.local("ok").advice


def render() -> str:
    """Return the page of reasons, which leads to those of the providers."""
    titles = {provider: catalogue.load(provider).title for provider in catalogue.providers()}
    links = "\n".join(f"- [{title}](codes/{provider}.md) (`{provider}`)" for provider, title in titles.items())
    own = ["## Reasons", _lines(catalogue.reasons()), "In place of a code:", _lines(catalogue.words())]
    return "\n\n".join([f"{INTRODUCTION}{links}", UNLISTED, *own]) + "\n"


def pages() -> dict[Path, str]:
    """Return all pages, by their place."""
    providers = {FOLDER / f"{name}.md": "\n\n".join(_provider(name)) + "\n" for name in catalogue.providers()}
    return {PAGE: render(), **providers}


def _provider(provider: str) -> Iterator[str]:
    codes = catalogue.load(provider)
    yield f"# Codes of {codes.title} (`{provider}`)"
    yield WRITTEN
    yield ADVICE
    entries = list(codes.entries())
    for family in dict.fromkeys(entry.family for entry in entries):
        members = [entry for entry in entries if entry.family == family]
        yield from _by_verdict(f"{family}: " if family else "", members, codes.state_field)
    if fallbacks := codes.fallbacks:
        yield "## Codes that are not listed, by the longest prefix that fits"
        yield _lines(fallbacks, "…", known=True)
    if statuses := codes.http:
        yield "Else by HTTP status: " + ", ".join(f"{status} {reason}" for status, reason in statuses.items()) + "."


def _by_verdict(family: str, entries: list[Entry], state_field: str | None) -> Iterator[str]:
    """Yield a heading and its codes: first the states, then each reason."""
    verdicts = dict.fromkeys(entry.reason for entry in entries)
    for reason in verdicts:
        yield f"## {family}{reason or _states(state_field)}"
        yield _lines([entry for entry in entries if entry.reason == reason], known=True)


def _states(field: str | None) -> str:
    return f"states, values of `{field}`" if field else "answers that are no errors"


def _lines(entries: Iterable[Entry], suffix: str = "", *, known: bool = False) -> str:
    """Return a line for each distinct advice, in the order of the first code; `known` advice is left out."""
    by_advice: dict[str, list[Entry]] = {}
    for entry in entries:
        by_advice.setdefault(entry.advice, []).append(entry)
    return "\n".join(
        f"- {_meanings(members, suffix)}" + ("" if known and _repeats(members[0]) else f" *{_escaped(advice)}*")
        for advice, members in by_advice.items()
    )


def _repeats(entry: Entry) -> bool:
    """Whether the advice is that of the reason, or none at all."""
    return entry.advice in (REMEDIES.get(entry.reason), NOTHING)


def _meanings(entries: Iterable[Entry], suffix: str) -> str:
    """Return the codes with their meanings; neighbours of one meaning share it."""
    shown = []
    for (meaning, state), members in groupby(entries, attrgetter("meaning", "state")):
        names = ", ".join(f"`{entry.code}{suffix}`" for entry in members)
        shown.append(f"{names}{f' ({state})' if state else ''}: {_escaped(meaning)}")
    return " ".join(shown)


def _escaped(text: str) -> str:
    """Keep markup characters literal; inside backticks, at every odd part, they are so already."""
    parts = text.split("`")
    parts[::2] = [part.translate({ord(mark): f"\\{mark}" for mark in "<*_"}) for part in parts[::2]]
    return "`".join(parts)
