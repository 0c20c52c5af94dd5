"""The plug-in interface: a provider is a value made of tables and pure functions.

A provider never waits, never reads a clock and never draws a random number: what a request may depend on comes in as a
`Moment`. Adding a cloud is adding `providers/<name>/provider.py`, which ends in `PROVIDER = Provider(...)`, and its
catalogue `providers/<name>/codes.yml`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from exporter.model import Account, Answer, Call, Credentials, Moment, Reason, Reply, Request, Stream
from exporter.providers.sources import Source

A = TypeVar("A", bound=Account)
S = TypeVar("S", bound=Stream)

MEBIBYTE = 1 << 20


# --- what goes wrong -------------------------------------------------------------------------------------------------


class ProviderError(Exception):
    """The provider answered with one of its error codes; `message` is its text, which may repeat what was sent."""

    def __init__(self, code: str, message: str = "", request_id: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.request_id = request_id


class NoEnvelope(Exception):  # noqa: N818 - a finding, named in the field's own words
    """The answer is not the provider's envelope at all: an HTML page, a redirect, a bare status."""


class Malformed(Exception):  # noqa: N818
    """The answer is an envelope that breaks its own rules: a missing field, a wrong type, an unknown value."""


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


# --- APIs ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Api(Generic[A, S]):
    """An action that answers for one stream.

    Attributes:
        action: The vendor's name of the action; also the label `action`.
        limit: Documented calls per second for an account.
        ask: Build the call for a stream.
        read: Turn the reply to that call into an `Answer`; raises `ProviderError`, `NoEnvelope` or `Malformed`.
        newer: Calls per second that newer documentation allows, which `quota` can use; 0 where there is none.
        largest: Bytes that one answer may have after decompression.
    """

    action: str
    limit: Callable[[A], float]
    ask: Callable[[A, S], Call]
    read: Callable[[A, S, Call, Reply], Answer]
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
        token: What the next page is asked for with, where pages go by tokens; empty on the last.
    """

    rows: Mapping[Hashable, Answer | None]
    pages: int = 1
    complete: bool = True
    code: str = "ok"
    last: bool = False
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[A, S]):
    """An action that answers for many streams at once.

    Attributes:
        action, limit, largest: As for an `Api`.
        scope: What one listing covers (an account, a domain, a room), or None where the stream is not covered.
        keys: The rows that are this stream, any of them.
        ask: Build the call for a scope and a page, counted from 1.
        ask_on: Build the call for the page after one with a token, where pages go by tokens; `ask` is for the first.
        read: Turn the reply to a call for a scope into a `Page`; raises like `Api.read`, also for another scope.
        pages: Expected number of pages for this many watched streams.
        absent: What absence from a complete listing proves, or None where it proves nothing.
        every: Least seconds between two listings of one scope; a listing may also be as old as that.
        inputs: Whether it lists the inputs of streams: a stream missing from a complete list has none.
        details: Whether a stream wants what only this listing tells, whatever it costs.
    """

    action: str
    limit: Callable[[A], float]
    scope: Callable[[A, S], str | None]
    keys: Callable[[A, S], tuple[Hashable, ...]]
    ask: Callable[[A, str, int], Call]
    ask_on: Callable[[A, str, str], Call] | None = None
    read: Callable[[A, str, Call, Reply], Page]
    pages: Callable[[A, int], int] = lambda _account, _streams: 1
    absent: Answer | None = None
    every: Callable[[A], float] = lambda _account: 0.0
    inputs: bool = False
    details: Callable[[S], bool] = lambda _stream: False
    largest: int = MEBIBYTE


AnyApi = Api[Any, Any] | Listing[Any, Any]


def allowed_rate(account: Account, api: AnyApi) -> float:
    """Return the calls per second that the exporter allows itself: as configured, else a share of the documented."""
    return account.quota.get(api.action, account.quota_share * api.limit(account))


# --- callbacks -------------------------------------------------------------------------------------------------------

END_REASONS = ("client", "network", "timeout", "kicked", "rejected", "content", "internal", "unknown")


@dataclass(frozen=True, slots=True)
class Callback:
    """A callback as it came in: header names in lower case, query values decoded, the body untouched."""

    method: str
    host: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a verified callback says: a reason to ask, never a state.

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
        verify: Check a callback with that key at a time (Unix seconds), and read it; raises `Refused`.
        keys: By what a callback's stream is matched to a watched one.
        answer: What the vendor wants to be answered with.
    """

    method: str
    events: tuple[str, ...]
    key_field: str
    verify: Callable[[A, str, Callback, float], Event]
    keys: Callable[[A, S], tuple[Hashable, ...]]
    answer: str = ""


# --- the provider ----------------------------------------------------------------------------------------------------


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
        aliases: Other names that people know it by; `name` is suggested where one of them is written.
        account: Account fields; they are the configuration schema.
        stream: Stream fields; likewise.
        single: The API that answers for one stream; None where lists settle everything.
        listings: APIs that answer for many, in order of preference; at least one where there is no `single`.
        sign: Make the signed HTTP request of a call.
        hides: Names, in any case, of all headers and URL parameters of its requests whose values nobody may see; and of
            the parameters within such a header, as in `Authorization: SCHEME Credential=…, Signature=…`.
        waits: The seconds to wait that a throttling reply names in the vendor's own headers, beside Retry-After.
        tells: For each metric that not every provider fills, where this one takes it from; shown in the metric's help.
        environment: For each secret field, the vendor's conventional environment variables, in order.
        credentials: The secret fields that make `Credentials`: key id, key secret and token ("" where there is none).
        sources: Credential sources for accounts that give no keys, in the order in which they are tried.
        callbacks: How the cloud tells of pushes that begin and end, if it does.
        problems: Cross-checks of a stream against its account: (field, message) pairs.
        retired: Stream fields of earlier versions, each with the advice to show where it is still used.
        doubts: Find what is allowed at an account and its streams but probably not meant.
        counted_by: What the cloud counts an account's calls by, where that is not the key.
    """

    name: str
    title: str
    aliases: tuple[str, ...] = ()
    account: type[A]
    stream: type[S]
    single: Api[A, S] | None = None
    listings: tuple[Listing[A, S], ...] = ()
    sign: Callable[[A, Credentials, Call, Moment], Request]
    hides: tuple[str, ...]
    waits: Callable[[Reply], Iterable[float]] = lambda _reply: ()
    tells: Mapping[str, str] = field(default_factory=dict)
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

    @property
    def main(self) -> Api[A, S] | Listing[A, S]:
        """The API that answers for one stream or, where there is none, the preferred list."""
        return self.single or self.listings[0]

    def apis(self) -> dict[str, Api[A, S] | Listing[A, S]]:
        """Return every API of the provider by its action."""
        return {api.action: api for api in (self.main, *self.listings)}


AnyProvider = Provider[Any, Any]
