"""Reads the status page as a browser and its reader do."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl

from exporter import status
from tests.status_world import World, whole_page

VOID = {"meta", "link", "input", "use", "path", "circle", "rect", "br"}


class Reader(HTMLParser):
    """Reads a page as a browser would, element by element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.parents: list[tuple[str, ...]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self.stack: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element."""
        self.elements.append((tag, dict(attrs)))
        self.parents.append(tuple(self.stack))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element that has nothing in it."""
        self.elements.append((tag, dict(attrs)))
        self.parents.append(tuple(self.stack))

    def handle_endtag(self, tag: str) -> None:
        """Leave an element; the page closes what it opens, in order."""
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        """Take text."""
        self.texts.append((tuple(self.stack), data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of every element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]

    def words(self, inside: str = "") -> str:
        """Return the text, or that inside of a kind of element, with white space as a browser shows it."""
        return " ".join("".join(text for stack, text in self.texts if not inside or inside in stack).split())


def shown(world: World, query: str = "", **changes: Any) -> str:
    """Return the page for a query string."""
    wanted = status.Filter.read(parse_qsl(query, keep_blank_values=True))
    return whole_page(world.snapshot(**changes), wanted)


def rows(page: str) -> list[str]:
    """Return the names in the table of streams, in order."""
    section = page.partition('id="streams-live"')[2].partition("</section>")[0]
    return re.findall(r'<th scope="row" role="rowheader"><bdi>(.*?)</bdi>', section)


def told(markup: str) -> str:
    """Return the words of a piece of markup, what stands in different boxes apart."""
    apart = re.sub(r"</(td|th|p|dd|dt|li|h2|h3|caption|time)>|(?=<span)", " ", markup)
    return " ".join(unescape(re.sub("<[^>]*>", "", apart)).split())


def row(page: str, name: str) -> str:
    """Return the words of one stream's row."""
    (found,) = [one for one in re.findall(r"<tr id=.*?</tr>", page, re.DOTALL) if f"<bdi>{name}</bdi><div" in one]
    return told(found)


def card(page: str, name: str) -> str:
    """Return the words of one account's card."""
    (found,) = [
        one for one in re.findall(r"<article.*?</article>", page, re.DOTALL) if f"<bdi>{name}</bdi></h3>" in one
    ]
    return told(found)
