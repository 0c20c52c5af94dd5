"""Makes docs/codes.md out of the catalogue: prints the page, or writes it with `--write`.

One line for each distinct advice: the codes that share it, each with its meaning, and then the advice. A code whose
advice is that of its reason only has its meaning; the reason has the advice, once, at the top of the page.
"""

import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from exporter.providers import codes as catalogue
from exporter.providers.codes import Entry

PAGE = Path(__file__).with_name("codes.md")

INTRODUCTION = """\
# Codes

<!-- Written by docs/generate_codes.py; do not edit. -->

What the labels `code` and `reason` of `stream_probe_errors_total` mean, and in *italics* what to do. A code without
advice of its own needs [what its reason says](#reasons). In a terminal, in English or Chinese:
`stream-exporter explain [PROVIDER] CODE`.

A code that is not listed here has the label `other`; the log and the status page show the code itself."""

REMEDIES = {entry.reason: entry.advice for entry in catalogue.reasons()}
NOTHING = catalogue.local("ok").advice


def render() -> str:
    """Return the whole page."""
    own = ["## Reasons", _lines(catalogue.reasons()), "In place of a code:", _lines(catalogue.words())]
    sections = [section for provider in catalogue.providers() for section in _provider(provider)]
    return "\n\n".join([INTRODUCTION, *own, *sections]) + "\n"


def _provider(provider: str) -> Iterator[str]:
    codes = catalogue.load(provider)
    yield f"## {codes.title} (`{provider}`)"
    entries = list(codes.entries())
    for family in dict.fromkeys(entry.family for entry in entries):
        members = [entry for entry in entries if entry.family == family]
        yield from _by_verdict(f"{family}: " if family else "", members, codes.state_field)
    if fallbacks := list(codes.fallbacks()):
        yield "### Codes that are not listed, by the longest prefix that fits"
        yield _lines(fallbacks, "…", known=True)
    if statuses := codes.statuses():
        yield "Else by HTTP status: " + ", ".join(f"{status} {reason}" for status, reason in statuses.items()) + "."


def _by_verdict(family: str, entries: list[Entry], state_field: str | None) -> Iterator[str]:
    """Yield a heading and its codes: first the states, then each reason."""
    verdicts = dict.fromkeys(entry.reason for entry in entries)
    for reason in verdicts:
        yield f"### {family}{reason or _states(state_field)}"
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


def main(write: bool) -> int:
    """Write the page to its place, or print it."""
    if write:
        PAGE.write_text(render(), encoding="utf-8")
    else:
        sys.stdout.write(render())
    return 0


if __name__ == "__main__":
    sys.exit(main("--write" in sys.argv[1:]))
