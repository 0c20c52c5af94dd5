"""Reads JSON from outside strictly and at a bounded cost, which is estimated before anything is decoded."""

from __future__ import annotations

import json
from json import scanner
from json.decoder import JSONObject  # type: ignore[attr-defined]
from typing import Any, Final

MOST_VALUES: Final = 2_000
"""Limit of values in an answer about one stream, a callback or an answer with keys; real ones have far fewer."""

LISTED_VALUES: Final = 240_000
"""Limit for a page of a list: 10,000 rows of 24 values, about 20 MiB."""

WHOLE_VALUES: Final = 450_000
"""Limit for a list without pages: 20,000 streams of 22 values, about 30 MiB."""

MOST_CONTAINERS: Final = 100_000
"""Limit of objects and lists in one document: freeing them blocks the event loop longer than texts and numbers do."""

MOST_NAMES: Final = 1_000
"""Limit of different names in one document, and of names in one object."""

LONGEST_NUMBER: Final = 512
WIDEST_TEXT: Final = 12 << 20
"""Bytes of memory that a document may take as text. A single emoji makes every character take six bytes while it is
decoded and four afterwards; a single 直 makes it two."""

CHEAP_BYTES, CHEAP_VALUES = 2 << 10, 256
BLOCKING_VALUES: Final = 20_000
"""The C decoder blocks all other threads until it is done: a few milliseconds for this many values."""

SLICE: Final = 64 << 10


def count_values(body: bytes, most: int) -> int:
    """Return an upper bound of the values in a JSON document; counting stops soon after `most`."""
    count = 0
    for start in range(0, len(body), SLICE):
        if count > most:
            break
        count += sum(body.count(sign, start, start + SLICE) for sign in (b"{", b"[", b",", b":"))
    return count


def is_cheap(body: bytes) -> bool:
    """Return whether a document is so small that reading it takes only a fraction of a millisecond."""
    return len(body) <= CHEAP_BYTES and count_values(body, CHEAP_VALUES) <= CHEAP_VALUES


def document(body: bytes, most: int = MOST_VALUES) -> Any:
    """Decode a JSON document in UTF-8.

    Refuses NaN and the like, very long numbers, objects with duplicate names, and documents with more than `most`
    values. Colons and commas within texts count as values too.

    Raises:
        ValueError: The document is refused; the text completes the words "the body is".
    """
    # Each value takes at least a byte, so a small body need not be counted.
    count = count_values(body, most) if len(body) > min(most, BLOCKING_VALUES) else 0
    if count > most:
        raise ValueError(f"a JSON document with more values than {most:,}")
    if count > MOST_CONTAINERS and body.count(b"{") + body.count(b"[") > MOST_CONTAINERS:
        raise ValueError(f"a JSON document with more objects and lists than {MOST_CONTAINERS:,}")
    if _width(body) * len(body) > WIDEST_TEXT:
        raise ValueError("a JSON document that is too large for the signs in it")
    decoder = _QUICK if count <= BLOCKING_VALUES else _yielding()
    try:
        return decoder.decode(body.decode().removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        pass
    # Raised outside `except`, because the decoder's error holds the whole document.
    raise ValueError("not a JSON document")


def _width(body: bytes) -> int:
    """Return how many bytes each character of a large document takes as text, judged by the leading bytes of UTF-8."""
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
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


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
    """The names in a document. Each is stored once, and too many are refused."""

    def setdefault(self, name: str, default: str = "", /) -> str:
        if len(self) > MOST_NAMES:
            raise ValueError
        return super().setdefault(name, default)


def _yielding() -> json.JSONDecoder:
    """Return the same decoder in Python: slower, but other threads can run meanwhile."""
    names, decoder = _Names(), _decoder()

    def parse(start: tuple[str, int], *how: Any) -> tuple[Any, int]:
        value_and_end: tuple[Any, int] = JSONObject(start, *how[:-1], names)
        return value_and_end

    decoder.parse_object = parse  # type: ignore[attr-defined]
    decoder.scan_once = scanner.py_make_scanner(decoder)  # type: ignore[attr-defined]
    return decoder
