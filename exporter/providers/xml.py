"""Reads XML from outside strictly: no document types, so no custom entities and no other files, and a limited size."""

from __future__ import annotations

from typing import Any, Final

# The builder parses nothing, and everything dangerous in expat is refused below.
from xml.etree.ElementTree import Element, TreeBuilder  # nosec B405
from xml.parsers import expat  # nosec B407

from exporter.model import Reply
from exporter.providers.document import MOST_VALUES
from exporter.providers.interface import Malformed, NoEnvelope
from exporter.providers.reading import ERROR_NAMES, OK, as_integer, check_fresh

DEEPEST: Final = 64


class _Refused(Exception):  # noqa: N818
    """The document has something that no answer has."""


def _refuse(*_: Any) -> None:
    raise _Refused


def element(body: bytes, most: int = MOST_VALUES) -> Element:
    """Parse an XML document with at most so many elements and attributes, and return its root.

    Raises:
        ValueError: The document is refused; the text completes the words "the body is".
    """
    if body.count(b"<") + body.count(b"=") > 4 * most:
        raise ValueError(f"an XML document with more values than {most:,}")
    builder, left, depth = TreeBuilder(), most, 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal left, depth
        left -= 1 + len(attributes)
        depth += 1
        if left < 0 or depth > DEEPEST:
            raise _Refused
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(body, True)
        return builder.close()
    except (expat.ExpatError, _Refused, ValueError, LookupError):
        pass
    # Raised outside `except`, because the parser's error holds the document.
    raise ValueError("not an XML document")


def envelope(reply: Reply, root: str, values: int = MOST_VALUES) -> Element:
    """Parse a reply's body as an XML document with a root of this name.

    Raises:
        NoEnvelope: The reply is a cached answer, a redirect, an HTML page, or not XML under a status other than 200.
        Malformed: The XML is broken, has another root, an error beside its parts, or more values than a real answer.
    """
    check_fresh(reply)
    try:
        document = element(reply.body, values)
    except ValueError as error:
        problem = str(error)
    else:
        if document.tag == root and not any(child.tag.lower() in ERROR_NAMES for child in document):
            return document
        problem = "not the API's document, or has an error in it"
    if reply.status != OK or reply.body[:512].lower().lstrip().startswith((b"<!doctype html", b"<html")):
        raise NoEnvelope(f"HTTP {reply.status} with a body that is not the API's")
    raise Malformed(f"the body is {problem}")


def child_of(parent: Element, tag: str) -> Element | None:
    """Return the only child of a name, if there is one; raises `Malformed` if there are several."""
    found = parent.findall(tag)
    if len(found) > 1:
        raise Malformed(f"{parent.tag} has {tag} more than once")
    return found[0] if found else None


def text_of(parent: Element, tag: str) -> str:
    """Return the text of the only child of a name, as it stands there; otherwise raises `Malformed`."""
    found = child_of(parent, tag)
    if found is None or len(found):
        raise Malformed(f"{parent.tag} lacks {tag}, or has more than text there")
    return found.text or ""


def integer_of(parent: Element, tag: str) -> int:
    """Return the number in the only child of a name; otherwise raises `Malformed`."""
    found = as_integer(text_of(parent, tag))
    if found is None:
        raise Malformed(f"{tag} is not a whole number")
    return found


def is_marked(parent: Element, tag: str) -> bool:
    """Say whether an empty child of a name stands there, which means yes; raises `Malformed` if it is not empty."""
    found = child_of(parent, tag)
    if found is not None and (len(found) or found.attrib or found.text):
        raise Malformed(f"{tag} is more than a mark")
    return found is not None
