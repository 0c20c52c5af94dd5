"""Reads envelopes, fields and callbacks of providers strictly. Errors never quote what was read."""

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
VALUES_PER_ROW = 48
ERROR_NAMES = frozenset(
    f"{error}{gap}{part}" for error in ("err", "error") for gap in ("", "_") for part in ("code", "msg", "message")
) | {"err", "error", "errors", "code", "coden", "message"}
CONTAINERS = frozenset((dict, list))
_KINDS: Mapping[type, str] = {int: "a whole number", str: "text", dict: "an object"}
_HTTP_ERROR = re.compile("[45][0-9][0-9]")
_ZEROS = re.compile(r"\s*0+\s*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_RFC_3339 = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})", re.ASCII)

T = TypeVar("T", int, str, dict[str, Any])
V = TypeVar("V")


# --- envelopes -------------------------------------------------------------------------------------------------------


def object_in(body: bytes, values: int = MOST_VALUES) -> dict[str, Any]:
    """Decode a JSON object as `document` does; raises `ValueError`."""
    value = document(body, values)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def check_fresh(reply: Reply) -> None:
    """Refuse a cached answer, which belongs to an earlier request, and a redirect; raises `NoEnvelope`."""
    # Only a cache sends Age.
    for name, value in reply.headers.items():
        if len(name) == 3 and name.lower() == "age" and not _ZEROS.fullmatch(value):
            raise NoEnvelope("the answer of a cache, which was made for an earlier request")
    if 300 <= reply.status < 400:
        raise NoEnvelope(f"HTTP {reply.status} redirect, which is not followed")


def check_status(reply: Reply) -> None:
    """Take any status but 200 as the error code, for APIs that have no other; call this before reading the body.

    Raises:
        ProviderError: The status is not 200; it is the code.
        NoEnvelope: The reply is a cached answer, a redirect or an HTML page.
    """
    check_fresh(reply)
    if reply.headers.get("content-type", "").lower().startswith("text/html"):
        raise NoEnvelope(f"HTTP {reply.status} with a body that is not the API's")
    if reply.status != OK:
        raise ProviderError(str(reply.status))


def envelope(reply: Reply, values: int = MOST_VALUES) -> dict[str, Any]:
    """Decode a reply's body as a JSON object with at most so many values.

    Raises:
        NoEnvelope: The reply is a cached answer, a redirect, an HTML page, or not JSON under a status other than 200.
        Malformed: The JSON is broken, not an object, or has more values than a real answer.
    """
    check_fresh(reply)
    try:
        return object_in(reply.body, values)
    except ValueError as error:
        problem = str(error)
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if reply.status != OK or reply.body.lstrip()[:1] == b"<" or kind.startswith("text/html"):
        raise NoEnvelope(f"HTTP {reply.status} with a body that is not the API's")
    raise Malformed(f"the body is {problem}")


def envelope_field(reply: Reply, fields: Mapping[str, Any], name: str, kind: type[T], beside: str) -> T:
    """Return a field that every answer of an API has. JSON without it may be the error page of an intermediary.

    Args:
        reply: The provider's reply.
        fields: The object in its body.
        name: The field's name.
        kind: The field's type.
        beside: Another field that proves that the answer comes from the API.

    Raises:
        NoEnvelope: The status is not 200, and the field is missing, of another type, or merely an HTTP status.
        Malformed: The field is missing or of another type, and the status is 200 or the other field exists.
    """
    value = fields.get(name)
    if reply.status != OK and beside not in fields:
        typed = isinstance(value, kind) and not isinstance(value, bool)
        if not typed or _HTTP_ERROR.fullmatch(str(value)):
            raise NoEnvelope(f"HTTP {reply.status} with JSON that is not the API's")
    return _typed(fields, name, kind)


class _Odd(NamedTuple):
    """The suspicious names of an object: names of error fields, and pairs of names that differ only by case."""

    errors: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]


def _odd(names: tuple[str, ...]) -> _Odd | None:
    first: dict[str, str] = {}
    pairs = tuple((first[name.lower()], name) for name in names if first.setdefault(name.lower(), name) != name)
    errors = tuple(name for name in names if name.lower() in ERROR_NAMES)
    return _Odd(errors, pairs) if errors or pairs else None


_odd_of_small = lru_cache(maxsize=256)(_odd)


def check_success(reply: Reply, fields: dict[str, Any], own: Collection[str] = (), free: Collection[str] = ()) -> None:
    """Refuse an answer without an error code that is not a plain success either; call this before reading a state.

    Args:
        reply: The provider's reply.
        fields: The whole object in its body.
        own: Top-level fields of a success whose names look like those of error fields.
        free: Fields at any depth with objects in which such names are no errors of the answer.

    Raises:
        NoEnvelope: The status is not 200.
        Malformed: An object in the answer has an error field, or two fields whose names differ only by case.
    """
    if reply.status != OK:
        raise NoEnvelope(f"HTTP {reply.status} without an error code")
    # All rows of a list have the same names, and so do small answers: each set of names is judged once.
    look: Callable[[tuple[str, ...]], _Odd | None]
    look = _odd_of_small if len(reply.body) <= CHEAP_BYTES else cache(_odd)
    rest: list[Any] = [fields]
    while rest:
        part = rest.pop()
        if type(part) is dict:
            if (odd := look(tuple(part))) is not None:
                _refuse_odd(part, odd, own if part is fields else ())
            part = [inner for name, inner in part.items() if name not in free] if free else part.values()
        rest += [inner for inner in part if type(inner) in CONTAINERS]


def _refuse_odd(part: Mapping[str, Any], odd: _Odd, own: Collection[str]) -> None:
    if any(part[name] is not None and name not in own for name in odd.errors):
        raise Malformed("an error field stands beside a success")
    if any(None not in (part[one], part[other]) and part[one] != part[other] for one, other in odd.pairs):
        raise Malformed("two fields differ only by case and have different values")


def check_echo(fields: Mapping[str, Any], params: Mapping[str, str | int], domain: str = "") -> None:
    """Refuse an answer that repeats a parameter of the request with another value.

    Args:
        fields: An object of the answer.
        params: The request's parameters. In the answer, their names may be in any case, and missing or null.
        domain: A parameter whose value may be in any case and end in a dot.

    Raises:
        Malformed: A parameter has another value.
    """
    expected = {name.lower(): value for name, value in params.items()}
    for name, value in fields.items():
        same = expected.get(name.lower(), value)
        if value == same or value is None or (name.lower() == domain.lower() and _same_domain(value, same)):
            continue
        raise Malformed(f"{name} names something other than what was asked for")


def _same_domain(one: Any, other: Any) -> bool:
    return all(isinstance(each, str) for each in (one, other)) and one.lower().removesuffix(".") == other.lower()


def check_consistent(document: Mapping[str, Any], part: Mapping[str, Any]) -> None:
    """Refuse a document that has another value for a field than the object within it; raises `Malformed`."""
    if any(document.get(name, value) != value for name, value in part.items()):
        raise Malformed("the answer says two different things")


def check_no_error(fields: Mapping[str, Any]) -> None:
    """Raise the `ProviderError` that an object with Error (Code, Message) and RequestId reports, if any."""
    if fields.get("Error") is not None:
        error = object_of(fields, "Error")
        raise ProviderError(text_of(error, "Code"), message_of(error, "Message"), id_of(fields, "RequestId"))


# --- fields ----------------------------------------------------------------------------------------------------------


def _typed(fields: Mapping[str, Any], name: str, kind: type[T], default: T | None = None) -> T:
    value = fields.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Malformed(f"{name} is missing or not {_KINDS[kind]}")
    return value


def text_of(fields: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """Return a text field, or a default if it is missing or null; otherwise raises `Malformed`."""
    return _typed(fields, name, str, default)


def integer_of(fields: Mapping[str, Any], name: str, default: int | None = None) -> int:
    """Return an integer field, or a default if it is missing or null; otherwise raises `Malformed`, also for true."""
    return _typed(fields, name, int, default)


def boolean_of(fields: Mapping[str, Any], name: str) -> bool:
    """Return a field that is true or false; raises `Malformed` for anything else."""
    value = fields.get(name)
    if not isinstance(value, bool):
        raise Malformed(f"{name} is neither true nor false")
    return value


def object_of(fields: Mapping[str, Any], name: str, default: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return an object field, or a default if it is missing or null; otherwise raises `Malformed`."""
    return _typed(fields, name, dict, default)


def choice_of(fields: Mapping[str, Any], name: str, choices: Mapping[str, V] | Mapping[int, V]) -> V:
    """Return what a field's value stands for; raises `Malformed` if it is missing or none of the choices."""
    kind: type[Any] = type(next(iter(choices)))
    value: Any = _typed(fields, name, kind)
    if value not in choices:
        raise Malformed(f"{name} holds an unknown value")
    return choices[value]


def rows_of(fields: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return a list of objects, empty if the field is missing or null; otherwise raises `Malformed`."""
    value = fields.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise Malformed(f"{name} is not a list of objects")
    return value


def page_count(fields: Mapping[str, Any], pages: str, rows: str, size: int) -> int:
    """Return how many pages a list has, at least 1 and no more than its rows fill; raises `Malformed`.

    `pages` and `rows` are the fields with the number of pages and of rows on all pages; `size` is the rows per page.
    """
    count, total = integer_of(fields, pages), fields.get(rows)
    if isinstance(total, int) and not isinstance(total, bool) and total >= 0:
        count = min(count, -(-total // size))
    return max(1, count)


def value_limit(rows: int) -> int:
    """Return the limit of values for a page with so many rows."""
    return min(LISTED_VALUES, MOST_VALUES + VALUES_PER_ROW * rows)


def message_of(fields: Mapping[str, Any], name: str) -> str:
    """Return an error's text as the provider sent it, or nothing. Callers scrub it before they cut it."""
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def id_of(fields: Mapping[str, Any], name: str) -> str:
    """Return the provider's id of a request, or nothing if it does not look like an id."""
    value = fields.get(name)
    return value if isinstance(value, str) and _ID.fullmatch(value) else ""


def as_integer(value: Any) -> int | None:
    """Return an integer that was sent as a number or as digits, or None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    return value if type(value) is int and abs(value) < 1 << 63 else None


def unix_seconds(value: Any, parts: float = 1.0) -> float | None:
    """Return Unix seconds from so many parts of a second, sent as number or digits; None for 0 or no time."""
    number = as_integer(value)
    return number / parts if number is not None and 0 < number < parts * 1e12 else None


def as_text(value: Any) -> str:
    """Return a callback's field as text, or nothing if it is neither a short text nor an integer."""
    if isinstance(value, int):
        number = as_integer(value)
        return "" if number is None else str(number)
    if not isinstance(value, str) or len(value) > LONGEST_WORD or _SURROGATE.search(value):
        return ""
    return value


def event_time(fields: Mapping[str, Any], units: Mapping[str, float], sent: float) -> float:
    """Return when a callback's event happened, in Unix seconds, at most when the callback was sent.

    Args:
        fields: The callback's fields.
        units: The fields that may hold the time, best first, each with its unit in seconds.
        sent: When the callback was sent, in Unix seconds; used if no field holds the time.
    """
    times = ((as_integer(fields.get(name)), unit) for name, unit in units.items())
    return min(next((number * unit for number, unit in times if number is not None and number > 0), sent), float(sent))


def utc_seconds(text: Any) -> float | None:
    """Return a time like `2018-06-29T19:00:00Z` in Unix seconds, with a fraction or another zone too; else None."""
    if not isinstance(text, str) or not _RFC_3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def wait_seconds(*headers: tuple[str | None, float]) -> list[float]:
    """Convert headers that hold digits to seconds, each given with its unit in seconds; skip all others."""
    texts = [((text or "").strip(), unit) for text, unit in headers]
    return [int(text) * unit for text, unit in texts if text.isascii() and text.isdigit() and len(text) < 12]


def retry_after(provider: AnyProvider, reply: Reply) -> float | None:
    """Return the seconds to wait after a throttling reply: the longest wait that it asks for, at most a minute."""
    waits = [*wait_seconds((reply.headers.get("retry-after"), 1.0)), *provider.waits(reply)]
    return min(max(waits), LONGEST_WAIT) if waits else None


# --- for logs and pages ----------------------------------------------------------------------------------------------


def printable(text: str, limit: int = 128) -> str:
    """Make a provider's text fit for a log or a page: printable characters of valid UTF-8, cut to a length."""
    if len(text) <= limit and text.isprintable():
        return text
    cut = text[: limit + 1].encode("utf-8", "replace").decode("utf-8")
    shown = "".join(sign if sign.isprintable() else " " for sign in cut)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
