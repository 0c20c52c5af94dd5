"""The templates, ready to fill. Every value is escaped, and what cannot be seen in it, or reorders it, spelled out."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from importlib.resources import files
from typing import Final
from urllib.parse import quote

from jinja2 import DictLoader, Environment, StrictUndefined, Template
from markupsafe import Markup, escape

from exporter import __version__
from exporter.status import wording
from exporter.status.assets import PUBLIC, SHAPES

_JOINERS: Final = "\u200c\u200d"  # they make emoji and some scripts what they are, and reorder nothing
_CODE: Final = re.compile(r"`([^`]+)`")
_INDENT: Final = re.compile(r"\n\s+")


def visible(text: str) -> str:
    """Return text in which signs that one cannot see, or that reorder others, are spelled out: `⟨U+202E⟩`."""
    return "".join(f"⟨U+{ord(sign):04X}⟩" if _hidden(sign) else sign for sign in text)


def _hidden(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp") and sign not in _JOINERS


def _shown(value: object) -> object:
    """Prepare a value for the page, which escapes it next: only markup stays as it is."""
    if not isinstance(value, str) or value.isprintable() or isinstance(value, Markup):
        return value
    return visible(value)


@lru_cache(maxsize=4096)
def _prose(text: str) -> Markup:
    """Return words of our own, with what stands in backticks as code."""
    parts = enumerate(_CODE.split(visible(text)))
    return Markup().join(Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in parts)


def _value(text: str) -> Markup:
    """Return a form's value, which has to come back as it is: nothing is spelled out, and browsers keep its lines."""
    escaped = escape(text.encode("utf-8", "replace").decode())
    return escaped.replace("\r", Markup("&#13;")).replace("\n", Markup("&#10;"))


def _address(text: str) -> str:
    """Return text as it may stand in a query string, or be an element's id."""
    return quote(text, safe="/", errors="replace")


def _page() -> Template:
    """Compile all templates, so that no reader of the page holds up the event loop with it."""
    folder = files("exporter.status") / "templates"
    # Lines are sent without their indentation.
    sources = {file.name: _INDENT.sub("\n", file.read_text("utf-8")) for file in folder.iterdir()}
    environment = Environment(
        loader=DictLoader(sources),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        address=_address,
        ago=wording.ago,
        by_state=wording.by_state,
        counted=wording.counted,
        iso=wording.iso,
        prose=_prose,
        rate="{:,.4g}".format,
        thousands="{:,.0f}".format,
        utc=wording.utc,
        value=_value,
    )
    environment.globals.update(
        legend=wording.LEGEND,
        public=PUBLIC,
        shapes=SHAPES,
        states=wording.STATES,
        version=__version__,
    )
    for name in environment.list_templates():
        environment.get_template(name)
    return environment.get_template("page.html")


PAGE: Final = _page()
