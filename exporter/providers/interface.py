"""The plug-in interface: a provider is a value made of tables and pure functions.

A provider never waits, never reads a clock and never draws a random number: what a request may depend on comes in as a
`Moment`. Adding a cloud is adding `providers/<name>/provider.py`, which ends in `PROVIDER = Provider(...)`, and its
catalogue `providers/<name>/codes.yml`.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlsplit

from exporter.model import Account, Answer, Call, Credentials, Moment, Reason, Reply, Request, Stream
from exporter.providers.document import LISTED_VALUES, MOST_VALUES, document
from exporter.providers.sources import Source

A = TypeVar("A", bound=Account)
S = TypeVar("S", bound=Stream)

OK = 200
MEBIBYTE = 1 << 20
LONGEST_WORD = 256
TELLS_OF_ERROR = frozenset(
    f"{error}{gap}{part}" for error in ("err", "error") for gap in ("", "_") for part in ("code", "msg", "message")
) | {"err", "error", "errors", "code", "coden", "message"}
_HTTP_ERROR = re.compile("[45][0-9][0-9]")
_ZEROS = re.compile(r"\s*0+\s*")
CONTAINERS = frozenset((dict, list))
_KINDS: Mapping[type, str] = {int: "a whole number", str: "text", dict: "an object"}
VALUES_A_ROW = 48
_SURROGATE = re.compile("[\ud800-\udfff]")


class ProviderError(Exception):
    """The provider answered with one of its error codes; `message` is its text, which may repeat what was sent."""

    def __init__(self, code: str, message: str = "", request_id: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.request_id = request_id


class CredentialsError(Exception):
    """There is nothing to sign with; the text says what to do and holds no secret."""


class TransportError(Exception):
    """A call that brought no usable answer; it names no URL and no header.

    Attributes:
        reason: What to count it as.
        broke_early: The connection broke before any answer, so that the call may be made once more.
    """

    def __init__(self, reason: Reason, message: str, *, broke_early: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.broke_early = broke_early


class NoEnvelope(Exception):  # noqa: N818 - a finding, named in the field's own words
    """The answer is not the provider's envelope at all: an HTML page, a redirect, a bare status."""


class Malformed(Exception):  # noqa: N818
    """The answer is an envelope that breaks its own rules: a missing field, a wrong type, an unknown value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Api(Generic[A, S]):
    """An action that answers for one stream.

    Attributes:
        action: The vendor's name of the action; also the label `action`.
        version: The vendor's API version.
        limit: Documented calls per second for an account.
        ask: Build the call for a stream.
        read: Turn the answer into an `Answer`; raises `ProviderError`, `NoEnvelope` or `Malformed`.
        newer: Calls per second that newer documentation allows, which `quota` can use; 0 where there is none.
        largest: Bytes that one answer may have after decompression.
    """

    action: str
    version: str
    limit: Callable[[A], float]
    ask: Callable[[A, S], Call]
    read: Callable[[A, S, Reply], Answer]
    newer: float = 0.0
    largest: int = MEBIBYTE


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing.

    Attributes:
        rows: The answer for each key that the page names; None if it says only that the key is there.
        pages: How many pages the provider says there are, at least 1.
        complete: False where the provider's own figures say that rows are missing: absence then proves nothing.
        code: The provider's own word for success.
        last: Whether the page is not full, so that none follows, whatever `pages` says.
    """

    rows: Mapping[Hashable, Answer | None]
    pages: int = 1
    complete: bool = True
    code: str = "ok"
    last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[A, S]):
    """An action that answers for many streams at once.

    Attributes:
        scope: What one listing covers (an account, a domain, a room), or None where the stream is not covered.
        keys: The rows that are this stream, any of them.
        ask: Build the call for a scope and a page, counted from 1.
        read: Turn one answer for a scope into a `Page`; raises like `Api.read`, also where it names another scope.
        pages: Expected number of pages for this many watched streams.
        absent: What absence from a complete listing proves, or None where it proves nothing.
        every: Least seconds between two listings of one scope; a listing may also be as old as that.
        inputs: Whether it lists the inputs of streams: a stream missing from a complete list has none.
        details: Whether a stream wants what only this listing tells, whatever it costs.
        largest: Bytes that one answer may have after decompression.
    """

    action: str
    version: str
    limit: Callable[[A], float]
    scope: Callable[[A, S], str | None]
    keys: Callable[[A, S], tuple[Hashable, ...]]
    ask: Callable[[A, str, int], Call]
    read: Callable[[A, str, Reply], Page]
    pages: Callable[[A, int], int] = lambda _account, _streams: 1
    absent: Answer | None = None
    every: Callable[[A], float] = lambda _account: 0.0
    inputs: bool = False
    details: Callable[[S], bool] = lambda _stream: False
    largest: int = MEBIBYTE


def kept(account: Account, api: Api[Any, Any] | Listing[Any, Any]) -> float:
    """Return the calls per second that the exporter allows itself: as configured, else a share of the documented."""
    return account.quota.get(api.action, account.quota_share * api.limit(account))


END_REASONS = ("client", "network", "timeout", "kicked", "rejected", "content", "internal", "unknown")


@dataclass(frozen=True, slots=True)
class Received:
    """A callback as it came in: header names in lower case, query values decoded, the body untouched."""

    method: str
    host: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a verified callback says: a hint to ask, never a state.

    Attributes:
        event: The vendor's word for it, of the provider's closed set, or `unknown`.
        live: Whether it tells of a beginning (True), an end (False) or neither (None).
        keys: The streams it may mean, by `Callbacks.keys`; none for an event that is not about a stream's pushes.
        sent: Unix seconds by what is signed. Of all that a callback says of its order, only this is certain.
        identity: Equal for deliveries of the same event, if `sent` is equal too.
        session: Within one session a lower `order` is older news; between sessions an earlier `at` is.
        order: See `session`; a number that grows by 1 with each event, or Unix seconds.
        at: Unix seconds of the event, from 0 to `sent`.
        ended: Why a push ended, of `END_REASONS`; None for anything but an end.
    """

    event: str
    live: bool | None
    keys: tuple[Hashable, ...]
    sent: float
    identity: Hashable
    session: str
    order: float
    at: float
    ended: str | None = None


class Refused(Exception):  # noqa: N818 - a finding, as the vendor's callback was no error of ours
    """A callback is not accepted.

    Attributes:
        outcome: `forged` or `expired`.
        event: What it claims to be, where that is of the closed set.
    """

    def __init__(self, outcome: str, event: str = "unknown") -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.event = event


@dataclass(frozen=True, slots=True, kw_only=True)
class Callbacks(Generic[A, S]):
    """How a cloud tells of pushes that begin and end.

    Attributes:
        method: HTTP method that the vendor uses.
        events: The closed set of the label `event`, but for `unknown`.
        key_field: The account's field that holds what callbacks are verified with.
        hear: Verify and read a callback at a time (Unix seconds); raises `Refused`.
        keys: By what a callback's stream is matched to a watched one.
        answer: What the vendor wants to be answered with.
    """

    method: str
    events: tuple[str, ...]
    key_field: str
    hear: Callable[[A, str, Received, float], Heard]
    keys: Callable[[A, S], tuple[Hashable, ...]]
    answer: str = ""


class Doubt(NamedTuple):
    """A warning about something that is allowed in a configuration but probably not meant.

    Attributes:
        field: The account's field that it is about.
        message: What is doubted; it repeats no value.
        options: Values that may have been meant; the likeliest is suggested.
    """

    field: str
    message: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider(Generic[A, S]):
    """One cloud.

    Attributes:
        name: Configuration word, label and file name.
        title: Name for people.
        account: Account fields; they are the configuration schema.
        stream: Stream fields; likewise.
        single: The API that answers for one stream.
        listings: APIs that answer for many, in order of preference.
        sign: Make the signed HTTP request of a call.
        environment: For each secret field, the vendor's conventional environment variables, in order.
        credentials: The secret fields that make `Credentials`: key id, key secret and token ("" where there is none).
        sources: Credential sources for accounts that give no keys, in the order in which they are tried.
        callbacks: How the cloud tells of pushes that begin and end, if it does.
        problems: Cross-checks of a stream against its account: (field, message) pairs.
        retired: Stream fields of earlier versions, each with the advice to show where it is still used.
        doubts: Find what is allowed at an account and its streams but probably not meant.
        counted_by: What the cloud counts an account's calls by, where that is not the key: ZEGO's AppID.
    """

    name: str
    title: str
    account: type[A]
    stream: type[S]
    single: Api[A, S]
    listings: tuple[Listing[A, S], ...] = ()
    sign: Callable[[A, Credentials, Call, Moment], Request]
    environment: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    credentials: tuple[str, str, str]
    sources: tuple[Source, ...] = ()
    callbacks: Callbacks[A, S] | None = None
    problems: Callable[[A, S], list[tuple[str, str]]] = lambda _account, _stream: []
    retired: Mapping[str, str] = field(default_factory=dict)
    doubts: Callable[[A, Sequence[S]], Iterable[Doubt]] = lambda _account, _streams: ()
    counted_by: Callable[[A], str] | None = None

    def identity(self, account: A, credentials: Credentials) -> str:
        """Return what the cloud counts an account's calls by: accounts of one identity share one quota.

        Keys of the machine's own role change every hour and differ between accounts, so they all count as one identity.
        """
        if self.counted_by is not None:
            return self.counted_by(account)
        given = getattr(account, self.credentials[0], None) is not None
        return credentials.key_id if given or credentials.token is None else ""

    def apis(self) -> dict[str, Api[A, S] | Listing[A, S]]:
        """Return every API of the provider by its action."""
        listings: dict[str, Api[A, S] | Listing[A, S]] = {listing.action: listing for listing in self.listings}
        return {self.single.action: self.single, **listings}


AnyProvider = Provider[Any, Any]


@lru_cache(maxsize=1024)
def host(endpoint: str) -> str:
    """Return what the Host header says for an endpoint: without a default port, in lower case."""
    return urlsplit(endpoint).netloc.lower()


@lru_cache(maxsize=256)
def _stamp(second: int, form: str) -> str:
    return datetime.fromtimestamp(second, UTC).strftime(form)


def timestamp(moment: Moment, form: str) -> str:
    """Return the moment in UTC as a vendor's header wants it, by a strftime form."""
    return _stamp(int(moment.now), form)


def same(mine: str, theirs: str) -> bool:
    """Compare signatures in constant time, as bytes, whatever text was sent."""
    return hmac.compare_digest(mine.encode(), theirs.encode("utf-8", "surrogatepass"))


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


def object_in(body: bytes, values: int = MOST_VALUES) -> dict[str, Any]:
    """Read bytes as one strict JSON object with at most so many values.

    Raises:
        ValueError: They are not.
    """
    found = document(body, values)
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    return found


def envelope(reply: Reply, values: int = MOST_VALUES) -> dict[str, Any]:
    """Read a reply's body as one strict JSON object with at most so many values.

    Raises:
        NoEnvelope: It is a cache's answer, a redirect, an HTML page, or a status other than 200 without JSON.
        Malformed: It is broken JSON, JSON that is not an object, or has more values than a real answer.
    """
    # Only a cache sends Age, and what it kept answers an earlier request.
    if any(name.lower() == "age" and not _ZEROS.fullmatch(value) for name, value in reply.headers.items()):
        raise NoEnvelope("the answer of a cache, which was made for an earlier request")
    if 300 <= reply.status < 400:
        raise NoEnvelope(f"HTTP {reply.status} redirect, which is not followed")
    try:
        return object_in(reply.body, values)
    except ValueError as error:
        problem = str(error)
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if reply.status != OK or reply.body.lstrip()[:1] == b"<" or kind.startswith("text/html"):
        raise NoEnvelope(f"HTTP {reply.status} with a body that is not the API's")
    raise Malformed(f"the body is {problem}")


T = TypeVar("T", int, str, dict[str, Any])


def hallmark(reply: Reply, found: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """Return the field that marks an API's envelope; JSON without it may be the error page of an intermediary.

    Raises:
        NoEnvelope: Under a status other than 200 it is missing, of another type, or merely an HTTP status.
        Malformed: The same under 200, or beside a RequestId, which only the API gives.
    """
    value = found.get(name)
    foreign = reply.status != OK and "RequestId" not in found
    status_again = foreign and _HTTP_ERROR.fullmatch(str(value))
    if not status_again and not isinstance(value, bool) and isinstance(value, kind):
        return value
    if foreign:
        raise NoEnvelope(f"HTTP {reply.status} with JSON that is not the API's")
    raise Malformed(f"{name} is missing or not {_KINDS[kind]}")


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
    # The rows of a list have the same names, so each set of names is looked at once.
    known: dict[tuple[str, ...], _Odd | None] = {}
    rest: list[Any] = [found]
    while rest:
        part = rest.pop()
        if isinstance(part, dict):
            names = tuple(part)
            if names not in known:
                known[names] = _odd(names)
            if (odd := known[names]) is not None:
                _refuse_odd(part, odd, own if part is found else ())
            part = part.values()
        rest += [inner for inner in part if type(inner) in CONTAINERS]


class _Odd(NamedTuple):
    """The odd names of an object: those of error fields, and pairs that differ only by case."""

    telling: tuple[str, ...]
    alike: tuple[tuple[str, str], ...]


def _odd(names: tuple[str, ...]) -> _Odd | None:
    first: dict[str, str] = {}
    alike = [(first[name.lower()], name) for name in names if first.setdefault(name.lower(), name) != name]
    telling = tuple(name for name in names if name.lower() in TELLS_OF_ERROR)
    return _Odd(telling, tuple(alike)) if telling or alike else None


def _refuse_odd(part: Mapping[str, Any], odd: _Odd, own: Collection[str]) -> None:
    if any(part[name] is not None and name not in own for name in odd.telling):
        raise Malformed("an error field stands beside a success")
    if any(None not in (part[one], part[other]) and part[one] != part[other] for one, other in odd.alike):
        raise Malformed("two fields differ only by case and have different values")


def fits(found: Mapping[str, Any], asked: Mapping[str, str | int]) -> None:
    """Refuse an answer that names something other than what was asked for; one that names nothing fits.

    Args:
        found: An object of the answer.
        asked: The values that its fields must have, by name in any case.

    Raises:
        Malformed: One of them has another value.
    """
    wanted = {name.lower(): value for name, value in asked.items()}
    for name, value in found.items():
        want = wanted.get(name.lower(), value)
        if value not in (None, want) and not (name.lower() == "domainname" and _same_domain(value, want)):
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


def text_of(found: Mapping[str, Any], name: str) -> str:
    """Return a field that must be text.

    Raises:
        Malformed: It is missing or something else.
    """
    value = found.get(name)
    if not isinstance(value, str):
        raise Malformed(f"{name} is missing or not text")
    return value


def integer_of(found: Mapping[str, Any], name: str) -> int:
    """Return a field that must be a whole number; true and false are none.

    Raises:
        Malformed: It is missing or something else.
    """
    value = found.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Malformed(f"{name} is missing or not a whole number")
    return value


def rows_of(found: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return a list of objects; a missing or null list is empty.

    Raises:
        Malformed: It is something else, or holds something else.
    """
    value = found.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise Malformed(f"{name} is not a list of objects")
    return value


def pages_of(found: Mapping[str, Any], size: int) -> int:
    """Return how many pages a list has by TotalPage, at least 1 and no more than TotalNum rows fill.

    Raises:
        Malformed: TotalPage is missing or not a whole number.
    """
    told, total = integer_of(found, "TotalPage"), found.get("TotalNum")
    if isinstance(total, int) and not isinstance(total, bool) and total >= 0:
        told = min(told, -(-total // size))
    return max(1, told)


def values_of(rows: int) -> int:
    """Return how many values a page with so many rows may have."""
    return min(LISTED_VALUES, MOST_VALUES + VALUES_A_ROW * rows)


def object_of(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a field that must be an object.

    Raises:
        Malformed: It is missing or something else.
    """
    value = found.get(name)
    if not isinstance(value, dict):
        raise Malformed(f"{name} is missing or not an object")
    return value


def message_of(found: Mapping[str, Any], name: str = "Message") -> str:
    """Return an error's text as the provider sent it, or nothing; what it may repeat is taken out before it is cut."""
    value = found.get(name)
    return value if isinstance(value, str) else ""


_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def request_id_of(found: Mapping[str, Any]) -> str:
    """Return the provider's RequestId, or nothing where it is not the kind of word that ids are."""
    value = found.get("RequestId")
    return value if isinstance(value, str) and _ID.fullmatch(value) else ""


def printable(text: str, limit: int = 128) -> str:
    """Return text of a provider fit for a log or a page: printable characters of valid UTF-8, cut to a length."""
    if len(text) <= limit and text.isprintable():
        return text
    cut = text[: limit + 1].encode("utf-8", "replace").decode("utf-8")
    shown = "".join(sign if sign.isprintable() else " " for sign in cut)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


_UTC = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)


def utc_seconds(text: Any) -> float | None:
    """Return a vendor's UTC time (`2018-06-29T19:00:00Z`) as Unix seconds, or None where it is something else."""
    if not isinstance(text, str) or not _UTC.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def retry_after(reply: Reply) -> float | None:
    """Return the seconds a throttled caller is asked to wait, from whichever hint the answer carries.

    Known hints: Retry-After in seconds; Alibaba's x-acs-retry-after in milliseconds, and TimeLeft in milliseconds
    inside x-ratelimit-user-api.
    """
    told = reply.headers.get("x-ratelimit-user-api", "").split(",")
    fields = dict(part.strip().partition(":")[::2] for part in told)
    exhausted = _number(fields.get("Remain")) == 0
    hints = (
        (reply.headers.get("x-acs-retry-after"), 0.001),
        (fields.get("TimeLeft") if exhausted else None, 0.001),
        (reply.headers.get("retry-after"), 1.0),
    )
    waits = [number * unit for text, unit in hints if (number := _number(text)) is not None]
    return min(max(waits), 60.0) if waits else None


def _number(text: str | None) -> float | None:
    text = (text or "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 12 else None
