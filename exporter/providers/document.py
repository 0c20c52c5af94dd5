"""Reads foreign JSON strictly and at a bounded cost: the cost is known before anything is built from it."""

from __future__ import annotations

import json
from json import scanner
from json.decoder import JSONObject  # type: ignore[attr-defined]
from typing import Any, Final

MOST_VALUES: Final = 2_000
"""Values in an answer about one stream, a callback or an answer with keys; real ones have far fewer."""

LISTED_VALUES: Final = 240_000
"""The same for a page of a list: ten thousand rows with 24 each. They take about 20 MiB."""

WHOLE_VALUES: Final = 450_000
"""The same for a list without pages: 20,000 streams with 22 each. They take about 30 MiB."""

MOST_CONTAINERS: Final = 100_000
"""Objects and lists in one document: freeing them holds the event loop longer than freeing texts and numbers."""

MOST_NAMES: Final = 1_000
"""Different names in one document, and names in one object."""

LONGEST_NUMBER: Final = 512
WIDEST_TEXT: Final = 12 << 20
"""Bytes of memory that a document may take as text. One emoji makes every character take six while it is decoded and
four afterwards; one 直 makes it two."""

CHEAP_BYTES, CHEAP_VALUES = 2 << 10, 256
HELD_VALUES: Final = 20_000
"""The C decoder lets no other thread run until it is done; this many values take it a few milliseconds."""

SLICE: Final = 64 << 10


def values_in(body: bytes, most: int) -> int:
    """Return an upper bound of the values in a JSON document; gives up counting soon after `most`."""
    count = 0
    for start in range(0, len(body), SLICE):
        if count > most:
            break
        count += sum(body.count(sign, start, start + SLICE) for sign in (b"{", b"[", b",", b":"))
    return count


def cheap(body: bytes) -> bool:
    """Say whether reading a document takes only a fraction of a millisecond, whatever is in it."""
    if len(body) > CHEAP_BYTES:
        return False
    return body.count(b",") + body.count(b":") + body.count(b"{") + body.count(b"[") <= CHEAP_VALUES


def document(body: bytes, most: int = MOST_VALUES) -> Any:
    """Read bytes as one JSON document.

    Refuses NaN and the like, absurdly long numbers, and objects that hold a name twice.

    Args:
        body: The document in UTF-8.
        most: Values that it may have. The colons and commas in its texts count, too.

    Raises:
        ValueError: It is something else; the text completes the words "the body is".
    """
    # Each value takes a byte at least, so a small body is not counted.
    count = values_in(body, most) if len(body) > min(most, HELD_VALUES) else 0
    if count > most:
        raise ValueError(f"a JSON document with more values than {most:,}")
    if count > MOST_CONTAINERS and body.count(b"{") + body.count(b"[") > MOST_CONTAINERS:
        raise ValueError(f"a JSON document with more objects and lists than {MOST_CONTAINERS:,}")
    if _width(body) * len(body) > WIDEST_TEXT:
        raise ValueError("a JSON document that is too large for the signs in it")
    decoder = _QUICK if count <= HELD_VALUES else _yielding()
    try:
        return decoder.decode(body.decode().removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        pass
    # Raised out here: the decoder's error holds the whole document.
    raise ValueError("not a JSON document")


def _width(body: bytes) -> int:
    """Return how many bytes each character of a large document takes as text, by the leading bytes of UTF-8."""
    if 6 * len(body) <= WIDEST_TEXT or body.isascii():
        return 1
    if any(lead in body for lead in range(0xF0, 0xF8)):
        return 6
    return 2 if any(lead in body for lead in range(0xC4, 0xF0)) else 1


def _refuse(_text: str) -> Any:
    raise ValueError


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MOST_NAMES:
        raise ValueError
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _integer(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise ValueError
    return int(text)


def _real(text: str) -> float:
    if len(text) > LONGEST_NUMBER:
        raise ValueError
    return float(text)


def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=_unique, parse_int=_integer, parse_float=_real)


_QUICK = _decoder()


class _Names(dict[str, str]):
    """The names in a document: each is kept once, and no more of them than a real answer has."""

    def setdefault(self, name: str, default: str = "", /) -> str:
        if len(self) > MOST_NAMES:
            raise ValueError
        return super().setdefault(name, default)


def _yielding() -> json.JSONDecoder:
    """Return the same decoder in Python: slower, but it lets other threads run at any time."""
    names, made = _Names(), _decoder()

    def parse(start: tuple[str, int], *how: Any) -> tuple[Any, int]:
        found: tuple[Any, int] = JSONObject(start, *how[:-1], names)
        return found

    made.parse_object = parse  # type: ignore[attr-defined]
    made.scan_once = scanner.py_make_scanner(made)  # type: ignore[attr-defined]
    return made
