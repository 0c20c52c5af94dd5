"""Markup from templates: whatever fills them is escaped, unless it is `Html` already."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape
from typing import Final
from urllib.parse import quote

from exporter.model import State


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


def address(text: str) -> Html:
    """Return text as it may stand in a query string, or be an element's id."""
    return Html(quote(text, safe="/", errors="replace"))


def joined(parts: Iterable[Html], by: str = "") -> Html:
    """Join markup."""
    return Html(by.join(parts))


def prose(text: str) -> Html:
    """Return words of our own, with what stands in backticks as code."""
    return Html(_CODE.sub(r"<code>\1</code>", escape(visible(text))))


def bdi(text: str) -> Html:
    """Return a name from outside, set apart from the direction of the text around it."""
    return fill("<bdi>{text}</bdi>", text=text)


def icon(state: State) -> Html:
    """Return a state's sign; they differ in shape and not in colour alone."""
    return fill('<svg class="icon" aria-hidden="true"><use href="#i-{state}"/></svg>', state=state)


def badge(state: State, word: str) -> Html:
    """Return a word with the sign and colour of a state."""
    return fill('<span class="badge s-{state}">{icon}{word}</span>', state=state, icon=icon(state), word=word)


def definitions(pairs: Iterable[tuple[object, Html]]) -> Html:
    """Return terms and what is said of them."""
    rows = (fill("<div><dt>{term}</dt><dd>{told}</dd></div>", term=term, told=told) for term, told in pairs)
    return fill("<dl>{rows}</dl>", rows=joined(rows))


def moment(seconds: float, now: float) -> Html:
    """Return a time as people want it: how long ago, and the absolute time in UTC."""
    template = '<time datetime="{machine}"><b>{ago}</b> <span class="sub">{people}</span></time>'
    return fill(template, machine=iso(seconds), ago=f"{ago(now - seconds)} ago", people=utc(seconds, now))


def iso(seconds: float) -> str:
    """Return Unix seconds as a machine reads them."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc(seconds: float, now: float | None = None) -> str:
    """Return Unix seconds as people read them, without the date where it is today's."""
    at = datetime.fromtimestamp(seconds, UTC)
    today = now is not None and at.date() == datetime.fromtimestamp(now, UTC).date()
    return at.strftime("%H:%M:%S UTC" if today else "%Y-%m-%d %H:%M:%S UTC")


def ago(seconds: float) -> str:
    """Return a length of time in its one or two largest units: `42 s`, `5 min`, `3 h 20 min`, `2 d 4 h`."""
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
