"""Makes docs/codes.md out of the catalogue: for each provider its states, and its codes by reason.

A code made of words says itself what it means; one that is a number has its meaning beside it. Advice is left to
`stream-exporter explain`, and for each reason to the runbook.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from exporter.providers import all_providers
from exporter.providers import codes as catalogue
from exporter.providers.codes import GATEWAY, Catalogue, Entry
from exporter.providers.interface import AnyProvider

PAGE = Path(__file__).with_name("codes.md")

INTRODUCTION = """\
# Codes

<!-- Written by docs/generate_codes.py; do not edit. -->

The label `code` of `stream_probe_errors_total`, and the `reason` that each code counts as. What to do about a reason is
in the [runbook](runbook.md#reasons). What a single code means and what to do about it, in English or Chinese:

```console
$ stream-exporter explain tencent AuthFailure.SignatureExpire
$ stream-exporter explain zego 41004 --lang zh
```

The same texts are in `exporter/providers/PROVIDER/codes.yml`. A code that is not listed has the label `other`; the log
and the status page show the code itself. Its reason is that of the longest beginning that fits, else of the HTTP status
(both under *others*), else `provider_error`. An answer without an error has the code `ok`; a call that failed on this
side has its reason as code."""


def render() -> str:
    """Return the whole page."""
    sections = [_section(one, catalogue.load(one.name)) for one in all_providers().values()]
    return "\n\n".join([INTRODUCTION, *sections]) + "\n"


def _section(provider: AnyProvider, codes: Catalogue) -> str:
    """Return the section of a provider."""
    lines = "\n".join([*_lines(_heard(provider, codes)), *_rest(codes)])
    return f"## {codes.title} (`{provider.name}`)\n\n{lines}"


def _heard(provider: AnyProvider, codes: Catalogue) -> Iterator[Entry]:
    """Yield the codes of the APIs that the exporter calls."""
    families = {GATEWAY, *(codes.family(api.action) for api in provider.apis().values())}
    return (entry for entry in codes.entries() if entry.family in families)


def _lines(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield a line for each state, and then one for each reason with its codes; families of APIs stay apart."""
    groups: dict[tuple[str | None, str | None], list[Entry]] = {}
    for entry in entries:
        if entry.reason:
            groups.setdefault((entry.family, entry.reason), []).append(entry)
        else:
            yield f"- `{entry.code}`{f' ({entry.state})' if entry.state else ''}: {_sentence(entry.meaning)}"
    for (family, reason), members in groups.items():
        yield f"- **{reason}**{f' ({family})' if family else ''}: {_shown(members)}"


def _shown(entries: Iterable[Entry]) -> str:
    """Return codes; those that are numbers have their meaning, which neighbours share."""
    by_meaning: dict[str, list[str]] = {}
    for entry in entries:
        by_meaning.setdefault("" if re.search("[a-z]{2}", entry.code) else entry.meaning, []).append(entry.code)
    return "; ".join(
        ", ".join(f"`{code}`" for code in codes) + (f" {_sentence(meaning)}" if meaning else "")
        for meaning, codes in by_meaning.items()
    )


def _rest(codes: Catalogue) -> Iterator[str]:
    """Yield what becomes of codes that are not listed."""
    by_reason: dict[str, list[str]] = {}
    for entry in codes.fallbacks:
        by_reason.setdefault(str(entry.reason), []).append(f"`{entry.code}…`")
    for status, reason in codes.http.items():
        by_reason.setdefault(reason, []).append(f"HTTP {status}")
    if by_reason:
        rest = "; ".join(f"{', '.join(prefixes)} **{reason}**" for reason, prefixes in by_reason.items())
        yield f"- *others*: {rest}"


def _sentence(text: str) -> str:
    """Return a sentence as a part of a list: without its full stop, with markup characters literal."""
    parts = text.removesuffix(".").split("`")
    parts[::2] = [part.translate({ord(mark): f"\\{mark}" for mark in "<*_"}) for part in parts[::2]]
    return "`".join(parts)
