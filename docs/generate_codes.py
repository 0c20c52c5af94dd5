"""Makes docs/codes.md out of the catalogue: prints the page, or writes it with `--write`."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from exporter.providers import codes as catalogue
from exporter.providers.codes import Entry

PAGE = Path(__file__).with_name("codes.md")

INTRODUCTION = """\
# Codes

<!-- Written by docs/generate_codes.py; do not edit. -->

What the labels `code` and `reason` of `stream_probe_errors_total` mean, and what to do about it. The same in a
terminal: `stream-exporter explain [PROVIDER] CODE`. Codes that are not listed here become `other` in labels; the code
as it came stands in the log and on the status page."""

HEADER = "| code | reason or state | meaning | what to do |\n|---|---|---|---|"


def render() -> str:
    """The whole page."""
    own = ["## The exporter's own words", _rows("", [*catalogue.reasons(), *catalogue.words()])]
    sections = [section for provider in catalogue.providers() for section in _provider(provider)]
    return "\n\n".join([INTRODUCTION, *own, *sections]) + "\n"


def _provider(provider: str) -> Iterator[str]:
    codes = catalogue.load(provider)
    yield f"## {codes.title} (`{provider}`)"
    if codes.state_field:
        yield f"States are values of `{codes.state_field}`; all others are codes of errors."
    entries = list(codes.entries())
    for family in dict.fromkeys(entry.family for entry in entries):
        if family:
            yield f"### Family `{family}`"
        yield _rows("", [entry for entry in entries if entry.family == family])
    if fallbacks := codes.fallbacks:
        yield "Codes that are not listed, by the longest prefix that fits:"
        yield _rows("…", fallbacks)
    if statuses := codes.http:
        yield "Else by HTTP status: " + ", ".join(f"{status} {reason}" for status, reason in statuses.items()) + "."


def _rows(suffix: str, entries: Iterable[Entry]) -> str:
    return "\n".join([HEADER, *(_row(entry, suffix) for entry in entries)])


def _row(entry: Entry, suffix: str) -> str:
    verdict = entry.reason or (f"state {entry.state}" if entry.state else "—")
    return f"| `{entry.code}{suffix}` | {verdict} | {_escaped(entry.meaning)} | {_escaped(entry.advice)} |"


def _escaped(text: str) -> str:
    """Keeps markup characters literal; inside backticks, at every odd part, they are so already."""
    parts = text.split("`")
    parts[::2] = [part.translate({ord(mark): f"\\{mark}" for mark in "<*_"}) for part in parts[::2]]
    return "`".join(parts)


def main(write: bool) -> int:
    """Writes the page to its place, or prints it."""
    if write:
        PAGE.write_text(render(), encoding="utf-8")
    else:
        sys.stdout.write(render())
    return 0


if __name__ == "__main__":
    sys.exit(main("--write" in sys.argv[1:]))
