"""`stream-exporter explain`: what a provider's code, a state or a reason means, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from exporter import providers
from exporter.commands.options import ExplainOptions, Language
from exporter.commands.terminal import Terminal
from exporter.providers import codes as catalogue
from exporter.providers.codes import Entry
from exporter.providers.reading import printable
from exporter.spelling import closest


@cache
def _texts() -> dict[str, Any]:
    texts: dict[str, Any] = yaml.safe_load(files("exporter.commands").joinpath("explain.yml").read_bytes())
    return texts


def run(options: ExplainOptions, terminal: Terminal) -> int:
    """Explain a code; return 1 if no table has it, 2 if the provider is unknown."""
    *given, code = options.words
    known = catalogue.providers()
    if given and given[0] not in known:
        hint = providers.suggest_provider(given[0], providers.all_providers())
        terminal.complain(f"unknown provider {printable(given[0])}; it is one of {', '.join(known)}{hint}")
        return 2
    asked = given or known
    entries = find(code, asked)
    if entries:
        terminal.say("\n\n".join(explained(entry, options.lang) for entry in entries))
        if entries[0].listed:
            return 0
    elif not given and code in known:
        terminal.complain(f"{code} is a provider; give a code of it too: explain {code} CODE")
        return 1
    else:
        terminal.complain(f"unknown code{f' of {given[0]}' if given else ''}: {printable(code)}")
    close = closest(code[:128], _codes(asked), 5)
    if close:
        terminal.complain(f"did you mean {', '.join(close)}?")
    return 0 if entries else 1


def find(code: str, providers: Iterable[str]) -> list[Entry]:
    """Return all that a code may mean: what lists it, else our own word, else what it begins with."""
    entries = [entry for name in providers for entry in catalogue.load(name).explain(code)]
    listed = [entry for entry in entries if entry.listed]
    return [*listed, *(entry for entry in _own() if entry.code == code)] or entries


def _own() -> Iterator[Entry]:
    """Yield the exporter's own words: states, reasons, and what stands for a code in a label."""
    for state, row in _texts()["states"].items():
        yield Entry(catalogue.LOCAL, state, None, state, **row)
    yield from catalogue.reasons()
    yield from catalogue.words()


def explained(entry: Entry, lang: Language) -> str:
    """Return an entry as text for people."""
    label = _texts()["labels"][lang]
    meaning, advice = (entry.meaning, entry.advice) if lang == "en" else (entry.meaning_zh, entry.advice_zh)
    title = "stream-exporter" if entry.provider == catalogue.LOCAL else entry.provider
    family = f" ({entry.family} {label['family']})" if entry.family else ""
    note = "" if entry.listed else f"\n  {label['unlisted']}"
    kind = label["neither"]
    if entry.reason or entry.state:
        kind = f"{label['reason']} {entry.reason}" if entry.reason else f"{label['state']} {entry.state}"
    return (
        f"{title} {printable(entry.code)}{family}{note}\n"
        f"  {label['class']}: {kind}\n"
        f"  {label['meaning']}: {meaning}\n"
        f"  {label['advice']}: {advice}"
    )


def _codes(providers: Iterable[str]) -> Iterator[str]:
    for name in providers:
        yield from (entry.code for entry in catalogue.load(name).entries())
    yield from (entry.code for entry in _own())
