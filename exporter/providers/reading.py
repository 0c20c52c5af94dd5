"""Reads what providers send: envelopes, fields, callbacks. Strict, and nothing of a text gets into an error's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, NamedTuple, TypeVar

from exporter.model import Reply
from exporter.providers.document import CHEAP_BYTES, LISTED_VALUES, MOST_VALUES, document
from exporter.providers.interface import AnyProvider, Malformed, NoEnvelope, ProviderError

OK = 200
LONGEST_WORD = 256
LONGEST_WAIT = 60.0
VALUES_A_ROW = 48
TELLS_OF_ERROR = frozenset(
    f"{error}{gap}{part}" for error in ("err", "error") for gap in ("", "_") for part in ("code", "msg", "message")
) | {"err", "error", "errors", "code", "coden", "message"}
CONTAINERS = frozenset((dict, list))
_KINDS: Mapping[type, str] = {int: "a whole number", str: "text", dict: "an object"}
_HTTP_ERROR = re.compile("[45][0-9][0-9]")
_ZEROS = re.compile(r"\s*0+\s*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_UTC = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)

T = TypeVar("T", int, str, dict[str, Any])


# --- envelopes -------------------------------------------------------------------------------------------------------


def object_in(body: bytes, values: int = MOST_VALUES) -> dict[str, Any]:
    """Read bytes as one strict JSON object with at most so many values.

    Raises:
        ValueError: They are not.
    """
    found = document(body, values)
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    return found


def fresh(reply: Reply) -> None:
    """Refuse a cache's answer, which was made for an earlier request, and a redirect; raises `NoEnvelope`."""
    # Only a cache sends Age.
    for name, value in reply.headers.items():
        if len(name) == 3 and name.lower() == "age" and not _ZEROS.fullmatch(value):
            raise NoEnvelope("the answer of a cache, which was made for an earlier request")
    if 300 <= reply.status < 400:
        raise NoEnvelope(f"HTTP {reply.status} redirect, which is not followed")


def accepted(reply: Reply) -> None:
    """Take any status but 200 for the error code, as APIs mean it that have no other; call this before reading.

    Raises:
        ProviderError: With the status as its code: `404`.
        NoEnvelope: It is a cache's answer, a redirect or an HTML page, which the API does not send.
    """
    fresh(reply)
    if reply.headers.get("content-type", "").lower().startswith("text/html"):
        raise NoEnvelope(f"HTTP {reply.status} with a body that is not the API's")
    if reply.status != OK:
        raise ProviderError(str(reply.status))


def envelope(reply: Reply, values: int = MOST_VALUES) -> dict[str, Any]:
    """Read a reply's body as one strict JSON object with at most so many values.

    Raises:
        NoEnvelope: It is a cache's answer, a redirect, an HTML page, or a status other than 200 without JSON.
        Malformed: It is broken JSON, JSON that is not an object, or has more values than a real answer.
    """
    fresh(reply)
    try:
        return object_in(reply.body, values)
    except ValueError as error:
        problem = str(error)
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if reply.status != OK or reply.body.lstrip()[:1] == b"<" or kind.startswith("text/html"):
        raise NoEnvelope(f"HTTP {reply.status} with a body that is not the API's")
    raise Malformed(f"the body is {problem}")


def hallmark(reply: Reply, found: Mapping[str, Any], name: str, kind: type[T], beside: str) -> T:
    """Return the field that marks an API's envelope; JSON without it may be the error page of an intermediary.

    Args:
        reply: The answer.
        found: Its document.
        name: The field.
        kind: Its type.
        beside: Another field that only the API gives.

    Raises:
        NoEnvelope: Under a status other than 200 it is missing, of another type, or merely an HTTP status.
        Malformed: The same under 200, or where the other field is there.
    """
    value = found.get(name)
    if reply.status != OK and beside not in found:
        typed = isinstance(value, kind) and not isinstance(value, bool)
        if not typed or _HTTP_ERROR.fullmatch(str(value)):
            raise NoEnvelope(f"HTTP {reply.status} with JSON that is not the API's")
    return _typed(found, name, kind)


class _Odd(NamedTuple):
    """The odd names of an object: those of error fields, and pairs that differ only by case."""

    telling: tuple[str, ...]
    alike: tuple[tuple[str, str], ...]


def _odd(names: tuple[str, ...]) -> _Odd | None:
    first: dict[str, str] = {}
    alike = [(first[name.lower()], name) for name in names if first.setdefault(name.lower(), name) != name]
    telling = tuple(name for name in names if name.lower() in TELLS_OF_ERROR)
    return _Odd(telling, tuple(alike)) if telling or alike else None


_odd_of_small = lru_cache(maxsize=256)(_odd)


def definite(reply: Reply, found: dict[str, Any], own: Collection[str] = ()) -> None:
    """Refuse a document that has no error code and yet is not a plain success; call this before reading a state.

    Args:
        reply: The answer.
        found: All of its document.
        own: Top-level fields that a success has too, though their names sound like an error's.

    Raises:
        NoEnvelope: The status is not 200.
        Malformed: An object in it has an error field, or two fields that differ only by case.
    """
    if reply.status != OK:
        raise NoEnvelope(f"HTTP {reply.status} without an error code")
    # The rows of a list have the same names, and so have small answers: each set of names is looked at once.
    look: Callable[[tuple[str, ...]], _Odd | None]
    look = _odd_of_small if len(reply.body) <= CHEAP_BYTES else cache(_odd)
    rest: list[Any] = [found]
    while rest:
        part = rest.pop()
        if type(part) is dict:
            if (odd := look(tuple(part))) is not None:
                _refuse_odd(part, odd, own if part is found else ())
            part = part.values()
        rest += [inner for inner in part if type(inner) in CONTAINERS]


def _refuse_odd(part: Mapping[str, Any], odd: _Odd, own: Collection[str]) -> None:
    if any(part[name] is not None and name not in own for name in odd.telling):
        raise Malformed("an error field stands beside a success")
    if any(None not in (part[one], part[other]) and part[one] != part[other] for one, other in odd.alike):
        raise Malformed("two fields differ only by case and have different values")


def fits(found: Mapping[str, Any], asked: Mapping[str, str | int], domain: str = "") -> None:
    """Refuse an answer that names something other than what was asked for; one that names nothing fits.

    Args:
        found: An object of the answer.
        asked: The values that its fields must have, by name in any case.
        domain: A field whose value may be in any case, and end in a dot.

    Raises:
        Malformed: One of them has another value.
    """
    wanted = {name.lower(): value for name, value in asked.items()}
    for name, value in found.items():
        want = wanted.get(name.lower(), value)
        if value == want or value is None or (name.lower() == domain.lower() and _same_domain(value, want)):
            continue
        raise Malformed(f"{name} names something other than what was asked for")


def _same_domain(one: Any, other: Any) -> bool:
    return all(isinstance(each, str) for each in (one, other)) and one.lower().removesuffix(".") == other.lower()


def undisputed(document: Mapping[str, Any], part: Mapping[str, Any]) -> None:
    """Refuse a document that says beside one of its objects something else than in it.

    Raises:
        Malformed: A member stands in both, with different values.
    """
    if any(document.get(name, value) != value for name, value in part.items()):
        raise Malformed("the answer says two different things")


# --- fields ----------------------------------------------------------------------------------------------------------


def _typed(found: Mapping[str, Any], name: str, kind: type[T]) -> T:
    value = found.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Malformed(f"{name} is missing or not {_KINDS[kind]}")
    return value


def text_of(found: Mapping[str, Any], name: str) -> str:
    """Return a field that must be text; raises `Malformed`."""
    return _typed(found, name, str)


def integer_of(found: Mapping[str, Any], name: str) -> int:
    """Return a field that must be a whole number, which true and false are not; raises `Malformed`."""
    return _typed(found, name, int)


def object_of(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a field that must be an object; raises `Malformed`."""
    return _typed(found, name, dict)


def rows_of(found: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return a field that must be a list of objects, and is empty where missing or null; raises `Malformed`."""
    value = found.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise Malformed(f"{name} is not a list of objects")
    return value


def pages_of(found: Mapping[str, Any], pages: str, rows: str, size: int) -> int:
    """Return how many pages a list has, at least 1, and no more than its rows fill.

    Args:
        found: The object.
        pages: Its field with the number of pages; raises `Malformed` where it is none.
        rows: Its field with the number of rows on all pages, if there is one.
        size: Rows on a page.
    """
    told, total = integer_of(found, pages), found.get(rows)
    if isinstance(total, int) and not isinstance(total, bool) and total >= 0:
        told = min(told, -(-total // size))
    return max(1, told)


def values_of(rows: int) -> int:
    """Return how many values a page with so many rows may have."""
    return min(LISTED_VALUES, MOST_VALUES + VALUES_A_ROW * rows)


def message_of(found: Mapping[str, Any], name: str) -> str:
    """Return an error's text as the provider sent it, or nothing; what it may repeat is taken out before it is cut."""
    value = found.get(name)
    return value if isinstance(value, str) else ""


def id_of(found: Mapping[str, Any], name: str) -> str:
    """Return the provider's id of a request, or nothing where it is not the kind of word that ids are."""
    value = found.get(name)
    return value if isinstance(value, str) and _ID.fullmatch(value) else ""


def decimal(value: Any) -> int | None:
    """Return a whole number that came as one or as its digits, or None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < 1 << 63 else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    return None


def word(value: Any) -> str:
    """Return a callback's field as text, or nothing where it is no short text and no whole number."""
    if isinstance(value, int):
        number = decimal(value)
        return "" if number is None else str(number)
    if not isinstance(value, str) or len(value) > LONGEST_WORD or _SURROGATE.search(value):
        return ""
    return value


def happened(fields: Mapping[str, Any], units: Mapping[str, float], sent: float) -> float:
    """Return when a callback's event happened, in Unix seconds, and never later than the callback was sent.

    Args:
        fields: The callback's fields.
        units: Those that may say it, the best first, with the seconds of their unit.
        sent: When it was sent, in Unix seconds, which counts where none of them does.
    """
    told = ((decimal(fields.get(name)), unit) for name, unit in units.items())
    return min(next((number * unit for number, unit in told if number is not None and number > 0), sent), float(sent))


def utc_seconds(text: Any) -> float | None:
    """Return a vendor's UTC time (`2018-06-29T19:00:00Z`) as Unix seconds, or None where it is something else."""
    if not isinstance(text, str) or not _UTC.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def waits(*told: tuple[str | None, float]) -> list[float]:
    """Return the seconds that are told as digits, each text with the seconds of its unit; nothing for another text."""
    texts = [((text or "").strip(), unit) for text, unit in told]
    return [int(text) * unit for text, unit in texts if text.isascii() and text.isdigit() and len(text) < 12]


def retry_after(provider: AnyProvider, reply: Reply) -> float | None:
    """Return the seconds that a throttled caller is asked to wait, the longest that the reply names, up to a minute."""
    told = [*waits((reply.headers.get("retry-after"), 1.0)), *provider.waits(reply)]
    return min(max(told), LONGEST_WAIT) if told else None


# --- for people ------------------------------------------------------------------------------------------------------


def printable(text: str, limit: int = 128) -> str:
    """Return text of a provider fit for a log or a page: printable characters of valid UTF-8, cut to a length."""
    if len(text) <= limit and text.isprintable():
        return text
    cut = text[: limit + 1].encode("utf-8", "replace").decode("utf-8")
    shown = "".join(sign if sign.isprintable() else " " for sign in cut)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
