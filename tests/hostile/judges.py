"""What an answer may be taken for, decided without the exporter: strict, and as the vendors document it."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

from exporter.model import Reply, State
from tests.providers.facts import facts


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)


def _no(text: str) -> Any:
    raise ValueError(text)


def _xml(body: bytes) -> dict[str, Any] | None:
    """Return an element as an object: its children by name, several as a list, and texts."""
    if b"<!DOCTYPE" in body:
        return None
    try:
        root = ElementTree.fromstring(body)
        return {root.tag: _element(root)}
    except (ElementTree.ParseError, RecursionError, ValueError, LookupError):
        return None


def _element(element: ElementTree.Element) -> Any:
    found: dict[str, list[Any]] = {}
    for child in element:
        found.setdefault(child.tag, []).append(_element(child))
    return {name: parts[0] if len(parts) == 1 else parts for name, parts in found.items()} or element.text or ""


def document(reply: Reply) -> dict[str, Any] | None:
    """Return the answer's object, or None where no answer can be definite."""
    if reply.headers.get("age", "0").strip(" 0"):
        return None
    if reply.body.startswith(b"<"):
        return _xml(reply.body)
    try:
        text = reply.body.decode("utf-8-sig")
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_no)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def verdict(provider: str, reply: Reply) -> State | None:
    """Return the only definite state for which a single stream's answer may be taken, or None for none at all."""
    found, known = document(reply), facts()[provider]
    if found is None:
        return None
    return known.judge(found) if reply.status == 200 else known.judge_error(reply.status, found)
