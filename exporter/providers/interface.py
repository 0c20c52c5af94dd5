"""The plug-in interface: a provider is a value made of tables and pure functions.

A provider never waits, reads no clock and draws no random numbers: it gets the time and the nonce as a `Moment`. To add
a cloud, add `providers/<name>/provider.py`, which ends in `PROVIDER = Provider(...)`, and `codes.yml` beside it, or a
package of your own with both and an entry point of the group `stream_exporter.providers`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from exporter.model import Account, Answer, Call, Credentials, Figures, Moment, Reason, Reply, Request, Stream
from exporter.providers.addresses import AddressSigner
from exporter.providers.sources import Source

A = TypeVar("A", bound=Account)
S = TypeVar("S", bound=Stream)

MEBIBYTE = 1 << 20


# --- errors ----------------------------------------------------------------------------------------------------------


class ProviderError(Exception):
    """The provider answered with an error code. `message` is the provider's text, which may repeat what was sent."""

    def __init__(self, code: str, message: str = "", request_id: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.request_id = request_id


class NoEnvelope(Exception):  # noqa: N818
    """The answer does not come from the API: an HTML page, a redirect, a bare status."""


class Malformed(Exception):  # noqa: N818
    """The API's answer breaks its own rules: a missing field, a wrong type, an unknown value."""


class CredentialsError(Exception):
    """No credentials are available. The text says what to do and holds no secret."""


class TransportError(Exception):
    """A call got no usable answer. The text names no URL and no header.

    Attributes:
        reason: The reason it is counted under.
        broke_early: Whether the connection broke before any answer, so that the call may be retried once.
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
        newer: Calls per second in newer documentation, which `quota` can use; 0 if there is none.
        largest: Maximum size of an answer after decompression, in bytes.
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
        rows: The answer for each key on the page; None if the page says only that the key exists.
        pages: How many pages the provider says there are, at least 1.
        complete: False if the provider's own figures say that rows are missing: absence then proves nothing.
        code: The provider's own word for success.
        last: Whether the page is not full, so that no page follows, whatever `pages` says.
        token: Token of the next page, for APIs that page by token; empty on the last page.
        size: How many rows the provider sent, where some have several keys; None where each has one.
        figures: What arrives of the streams of some keys, where the list says no more than that.
        absent: What absence proves of a key, where that depends on the page; by default, what the listing says.
        origin: The process that answered, where each of several knows only its own streams; see `Listing.elsewhere`.
    """

    rows: Mapping[Hashable, Answer | None]
    pages: int = 1
    complete: bool = True
    code: str = "ok"
    last: bool = False
    token: str = ""
    size: int | None = None
    figures: Mapping[Hashable, Figures] = field(default_factory=dict)
    absent: Callable[[Hashable], Answer | None] | None = None
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[A, S]):
    """An action that answers for many streams at once.

    Attributes:
        action, limit, largest: As for an `Api`.
        scope: What one listing covers (an account, a domain, a room); None if it does not cover the stream.
        keys: The keys of the rows that may stand for the stream.
        ask: Build the call for a scope and a page, counted from 1.
        ask_next: Build the call for the next page from a token, for APIs that page by token.
        read: Turn the reply to a call for a scope into a `Page`; raises like `Api.read`, also for another scope.
        pages: Expected number of pages for a number of watched streams.
        absent: What absence from a complete listing proves; None if it proves nothing.
        every: Minimum seconds between two listings of one scope; a listing may be that old.
        inputs: Whether it lists the inputs of streams: a stream missing from a complete list has none.
        needed_by: Whether a stream needs this listing for details that no other API has, whatever it costs.
        lag: How many seconds before the call the figures were measured.
        elsewhere: The code for a stream that is not listed but may be at another process of the server; empty where
            all know the same. Then each page names its `origin` and comes on a new connection, since a kept one leads
            to the same process. Absence counts if nobody else has answered for a minute, nor showed the stream live.
    """

    action: str
    limit: Callable[[A], float]
    scope: Callable[[A, S], str | None]
    keys: Callable[[A, S], tuple[Hashable, ...]]
    ask: Callable[[A, str, int], Call]
    ask_next: Callable[[A, str, str], Call] | None = None
    read: Callable[[A, str, Call, Reply], Page]
    pages: Callable[[A, int], int] = lambda _account, _streams: 1
    absent: Answer | None = None
    every: Callable[[A], float] = lambda _account: 0.0
    inputs: bool = False
    needed_by: Callable[[S], bool] = lambda _stream: False
    lag: float = 0.0
    elsewhere: str = ""
    largest: int = MEBIBYTE


AnyApi = Api[Any, Any] | Listing[Any, Any]


# --- callbacks -------------------------------------------------------------------------------------------------------

END_REASONS = ("client", "network", "timeout", "kicked", "rejected", "content", "internal", "unknown")


@dataclass(frozen=True, slots=True)
class Callback:
    """A callback as received: header names in lower case, query values decoded, the body untouched."""

    method: str
    host: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a verified callback says: a reason to query the stream, never a state.

    Attributes:
        event: The vendor's name, one of `Callbacks.events`, or `unknown`.
        live: True if a push began, False if one ended, None for anything else.
        keys: The streams it may be about, as in `Callbacks.keys`; none if it is not about a push.
        sent: When it was signed, in Unix seconds. Nothing else that a callback says about its order is certain.
        identity: Equal for deliveries of the same event, if `sent` is equal too.
        session: Within one session, a lower `order` is older; between sessions, an earlier `at` is.
        order: A number that grows by 1 with each event, or Unix seconds.
        at: When the event happened, in Unix seconds from 0 to `sent`.
        end_reason: Why a push ended, one of `END_REASONS`; None for any other event.
    """

    event: str
    live: bool | None
    keys: tuple[Hashable, ...]
    sent: float
    identity: Hashable
    session: str
    order: float
    at: float
    end_reason: str | None = None


class Refused(Exception):  # noqa: N818
    """A callback is not accepted.

    Attributes:
        outcome: `forged` or `expired`.
        event: The event it claims to be, one of `Callbacks.events`, or `unknown`.
    """

    def __init__(self, outcome: str, event: str = "unknown") -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.event = event


@dataclass(frozen=True, slots=True, kw_only=True)
class Callbacks(Generic[A, S]):
    """How a cloud reports that pushes begin and end.

    Attributes:
        method: The vendor's HTTP method.
        events: All values of the label `event` but `unknown`.
        key_field: The account's field with the key that callbacks are verified with.
        verify: Verify a callback with that key at a time in Unix seconds, and read it; raises `Refused`.
        keys: The keys that match a watched stream to `Event.keys`.
        answer: The response body that the vendor expects.
        authentic: Whether the signature covers what a callback says, so that nobody else can have made it up.
    """

    method: str
    events: tuple[str, ...]
    key_field: str
    verify: Callable[[A, str, Callback, float], Event]
    keys: Callable[[A, S], tuple[Hashable, ...]]
    answer: str = ""
    authentic: bool = False


# --- the provider ----------------------------------------------------------------------------------------------------


class ConfigWarning(NamedTuple):
    """A warning about a configuration that is allowed but probably not meant.

    Attributes:
        field: The account's field.
        message: What is wrong; it repeats no value.
        options: Values that may have been meant; the likeliest is suggested.
    """

    field: str
    message: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider(Generic[A, S]):
    """One cloud.

    Attributes:
        name: The folder's name, the word in the configuration and the label.
        title: The name to show.
        aliases: Other names of the cloud, for suggesting `name`.
        account: The account's fields; they are its configuration schema.
        stream: The stream's fields; likewise.
        single: The API that answers for one stream; None if the listings answer for every stream.
        listings: The APIs that answer for many streams, in order of preference; required if there is no `single`.
        figures: The APIs that list figures of live streams and nothing else; they are asked last and set no state.
        sign: Turn a call into a signed HTTP request.
        hides: Names, in any case, of the request headers and URL parameters whose values must never be shown, of the
            parameters within such a header, as in `Authorization: SCHEME Credential=…, Signature=…`, and of the fields
            of an answer with texts that are secret.
        waits: The seconds to wait that a throttling reply gives in the vendor's own headers, besides Retry-After.
        metric_sources: APIs or fields behind each metric that not every provider fills, for the metric's help text.
        environment: The vendor's usual environment variables for each secret field, in order.
        credentials: The fields of key id, key secret and token; empty where the cloud has none.
        keyless: Whether accounts may have no keys: `sign` gets empty ones then.
        sources: Credential sources for accounts without keys of their own, in order.
        callbacks: How the cloud reports that pushes begin and end, if it does.
        address_signer: How addresses that viewers use are signed, if they are: any cloud's streams may be delivered so.
        problems: Check a stream against its account; returns (field, message) pairs.
        alike: A stream's address as it is configured, and as answers show it, where they show several addresses alike:
            such streams are refused.
        retired: Stream fields of earlier versions, each with advice for those who still use it.
        warnings: Find what is allowed in an account and its streams but probably not meant.
        counted_by: What the cloud counts an account's calls by, if that is not the key.
        counted_in: Where the cloud counts them apart, such as a region.
    """

    name: str
    title: str
    aliases: tuple[str, ...] = ()
    account: type[A]
    stream: type[S]
    single: Api[A, S] | None = None
    listings: tuple[Listing[A, S], ...] = ()
    figures: tuple[Listing[A, S], ...] = ()
    sign: Callable[[A, Credentials, Call, Moment], Request]
    hides: tuple[str, ...]
    waits: Callable[[Reply], Iterable[float]] = lambda _reply: ()
    metric_sources: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    credentials: tuple[str, str, str]
    keyless: bool = False
    sources: tuple[Source, ...] = ()
    callbacks: Callbacks[A, S] | None = None
    address_signer: AddressSigner | None = None
    problems: Callable[[A, S], list[tuple[str, str]]] = lambda _account, _stream: []
    alike: Callable[[A, S], tuple[Hashable, Hashable]] | None = None
    retired: Mapping[str, str] = field(default_factory=dict)
    warnings: Callable[[A, Sequence[S]], Iterable[ConfigWarning]] = lambda _account, _streams: ()
    counted_by: Callable[[A], str] | None = None
    counted_in: Callable[[A], str] = lambda _account: ""

    def identity(self, account: A, credentials: Credentials) -> str:
        """Return what the cloud counts an account's calls by: accounts with the same identity share a quota.

        Keys of the machine's role change every hour and differ between accounts, so they all count as one identity.
        """
        if self.counted_by is not None:
            return self.counted_by(account)
        given = getattr(account, self.credentials[0], None) is not None
        key = credentials.key_id if given or credentials.token is None else ""
        return f"{key}\n{place}" if (place := self.counted_in(account)) else key

    @property
    def main(self) -> Api[A, S] | Listing[A, S]:
        """The API that answers for one stream or, where there is none, the preferred list."""
        return self.single or self.listings[0]

    def apis(self) -> dict[str, Api[A, S] | Listing[A, S]]:
        """Return every API of the provider by its action.

        An action that answers for one stream and for many, by its parameters, has one limit: `main` stands for it.
        """
        found: dict[str, Api[A, S] | Listing[A, S]] = {}
        for api in (self.main, *self.listings, *self.figures):
            found.setdefault(api.action, api)
        return found

    def allowed_rates(self, account: A) -> dict[str, float]:
        """Return the calls per second that the exporter may make: as configured, or a share of the documented limit."""
        share, quota = account.quota_share, account.quota
        return {action: quota.get(action, share * api.limit(account)) for action, api in self.apis().items()}


AnyProvider = Provider[Any, Any]
