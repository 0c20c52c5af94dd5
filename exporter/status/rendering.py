"""The compiled templates. Every value is escaped; characters that hide or reorder text are spelled out."""

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
from exporter.fields import counted
from exporter.status import wording
from exporter.status.assets import PUBLIC, SHAPES

_JOINERS: Final = "\u200c\u200d"  # part of emoji and some scripts; they reorder nothing
_CODE: Final = re.compile(r"`([^`]+)`")
_INDENT: Final = re.compile(r"\n\s+")


def visible(text: str) -> str:
    """Return text with invisible and reordering characters spelled out: `⟨U+202E⟩`."""
    return "".join(f"⟨U+{ord(one):04X}⟩" if _hidden(one) else one for one in text)


def _hidden(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in _JOINERS


def _shown(value: object) -> object:
    """Spell out hidden characters in a value before it is escaped; markup stays unchanged."""
    if not isinstance(value, str) or value.isprintable() or isinstance(value, Markup):
        return value
    return visible(value)


@lru_cache(maxsize=4096)
def _prose(text: str) -> Markup:
    """Return the exporter's own text, with parts in backticks as code."""
    parts = enumerate(_CODE.split(visible(text)))
    return Markup().join(Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in parts)


def _value(text: str) -> Markup:
    """Return a form value that is submitted unchanged: nothing is spelled out, and CR does not become LF."""
    return escape(text.encode("utf-8", "replace").decode()).replace("\r", Markup("&#13;"))


@lru_cache(maxsize=4096)  # streams share their labels
def _address(text: str) -> str:
    """Quote text for a query string or an element's id."""
    return quote(text, safe="/", errors="replace")


def _page() -> Template:
    """Compile all templates now, so that the first request does not block the event loop."""
    folder = files("exporter.status") / "templates"
    # Indentation is not sent.
    sources = {
        file.name: _INDENT.sub("\n", file.read_text("utf-8"))
        for file in folder.iterdir()
        if file.name.endswith(".html")
    }
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
        coming=wording.coming,
        counted=counted,
        iso=wording.iso,
        prose=_prose,
        rate="{:,.4g}".format,
        thousands="{:,.0f}".format,
        utc=wording.utc,
        value=_value,
    )
    environment.globals.update(
        legend=wording.LEGEND,
        sorted_by=wording.SORTED,
        public=PUBLIC,
        shapes=SHAPES,
        states=wording.STATES,
        version=__version__,
    )
    for name in environment.list_templates():
        environment.get_template(name)
    return environment.get_template("page.html")


PAGE: Final = _page()
