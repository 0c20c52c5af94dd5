"""One fake cloud: the table that a provider's file fills, and what all clouds do alike with it."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exporter.providers.authorization import ParsedAuthorization
from exporter.simulator.exchange import Exchange, Outgoing, Received, Refusal
from exporter.simulator.types import Account, Callback, DemoAccount, Event, Manners, Stream

if TYPE_CHECKING:
    from exporter.simulator.world import World


@dataclass(frozen=True, slots=True)
class Limit:
    """A documented rate: so many calls in any window of so many seconds."""

    calls: int
    seconds: float = 1.0

    @classmethod
    def per_second(cls, rate: float) -> Limit:
        """Return the limit of a rate, which may be below one call a second."""
        return cls(int(rate)) if rate >= 1 else cls(1, 1 / rate)


@dataclass(frozen=True, slots=True)
class Action:
    """One API."""

    answer: Callable[[Exchange], Outgoing]  # answers a call that was let through; may still raise `Refusal`
    limit: Callable[[Exchange], Limit]  # the documented limit that a call falls under
    address: Callable[[Exchange], tuple[str, ...]]  # returns the address that a call asks for


def named(*parameters: str) -> Callable[[Exchange], tuple[str, ...]]:
    """Return the address that stands in some parameters."""
    return lambda exchange: tuple(str(exchange.sent.get(name, "")) for name in parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What a vendor's requests are recognised by."""

    headers: tuple[str, ...] = ()  # how its headers begin
    schemes: tuple[str, ...] = ()  # how its `Authorization` begins
    parameters: tuple[str, ...] = ()  # names of its parameters
    versions: tuple[str, ...] = ()  # its values of `Version`
    weak: bool = False  # whether its marks are parameters of other vendors too, so that they count last


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """How one cloud calls back."""

    key_field: str  # the account field that callbacks are signed with
    # puts an event into the vendor's words, given the secret (None: unsigned) and the manners
    write: Callable[[Event, str | None, Manners], Callback]
    retries: Sequence[float]  # seconds before each further attempt
    patience: float  # seconds that it waits for an answer
    settles: float = 0.0  # seconds for which a push has to last before its beginning is told
    strict: bool = True  # whether only 200 counts as an answer, not any 2XX


@dataclass(frozen=True, slots=True, kw_only=True)
class Fake:
    """One fake cloud. Accounts, streams and parameters go by the configuration's or the vendor's names."""

    name: str
    # type of each account field; the first names the account in a request, the second is its secret, and an account
    # must have both
    account_fields: Mapping[str, type]
    # default of each address field, with {name} and the account's fields to fill in; None: it must be given, empty: it
    # may be missing
    stream_fields: Mapping[str, str | None]
    address: tuple[str, ...]  # the fields that are a stream's address
    group: Callable[[Stream], tuple[str, ...]]  # the room or domain by which a list API finds the stream
    owns: tuple[str, ...] = ()  # the fields that name what belongs to the account
    marks: Marks  # what its requests are recognised by
    prefix: str = ""  # how its headers begin
    key_parameter: str = ""  # the parameter that names the account where no `Authorization` header does
    # takes an `Authorization` header apart
    authorization: Callable[[str], ParsedAuthorization | None] = lambda _text: None
    # reads the parameters of a request without judging them
    read: Callable[[Received], dict[str, Any]] = lambda received: dict(received.query)
    quirks: type  # a dataclass of switches for what the vendor does not document, or documents twice
    authenticate: Callable[[Exchange], None]  # refuses a call that is malformed or not the account's
    denied: str  # the code for an action that the account's user may not call
    check: Callable[[Exchange], None]  # refuses parameters
    actions: Mapping[str, Action]  # every API
    messages: Mapping[str, str]  # the text of each error code
    error: Callable[[Exchange, str, str], Outgoing]  # writes an error, given code and message
    # the refusal of an action called too often, given the seconds until the next slot
    throttled: Callable[[Exchange, float], Refusal]
    content_type: str  # of every answer, to the letter
    states: Sequence[str]  # paths of the fields that tell a state or, for a list, its rows
    unknown: Any  # a value of the state that no documentation lists
    posting: Posting | None = None  # how it calls back, if it does
    demo: Sequence[DemoAccount] = ()  # its part of the built-in demo
    demo_rank: int = 1000  # its place there; the others follow by name

    @property
    def key(self) -> str:
        """The account field by which a request names its account."""
        return next(iter(self.account_fields))

    def complete(self, account: Account, name: str, given: Mapping[str, str]) -> dict[str, str]:
        """Return a stream's address with its defaults."""
        filling = defaultdict(str, {**{field: str(value) for field, value in account.fields.items()}, "name": name})
        defaults = {field: text.format_map(filling) for field, text in self.stream_fields.items() if text}
        return {**defaults, **given}

    def address_of(self, stream: Stream) -> tuple[str, ...]:
        """Return the address under which the stream is known."""
        return tuple(stream.address[name] for name in self.address)

    def is_marked(self, received: Received) -> bool:
        """Tell whether a request carries the vendor's marks."""
        marks, sent = self.marks, self.read(received)
        return (
            any(name.startswith(marks.headers) for name in received.headers)
            or received.authorization.startswith(marks.schemes)
            or not sent.keys().isdisjoint(marks.parameters)
            or sent.get("Version") in marks.versions
        )

    def examine(self, world: World, received: Received) -> Exchange:
        """Find out whom and what a request concerns, before anything is checked."""
        sent, given = self.read(received), self.authorization(received.authorization)
        key = given.credential if given else str(sent.get(self.key_parameter, ""))
        exchange = Exchange(world, self, received, sent, "", key, given, world.keys.get((self.name, key)))
        exchange.action = exchange.common("action", "Action")
        action = self.actions.get(exchange.action)
        exchange.address = action.address(exchange) if action else ()
        if exchange.account is not None:
            exchange.stream = world.addresses.get((exchange.account.name, exchange.address))
        return exchange

    def answer(self, exchange: Exchange) -> Outgoing:
        """Decide a call as the vendor's gateway does, and the service behind it.

        Raises:
            Refusal: The vendor's error code.
        """
        self.authenticate(exchange)
        exchange.verified = True
        if exchange.action in exchange.known.denied:
            raise Refusal(self.denied, exchange.action)
        _spend(exchange)
        self.check(exchange)
        return self.actions[exchange.action].answer(exchange)

    def refuse(self, exchange: Exchange, refusal: Refusal) -> Outgoing:
        """Write a refusal in the vendor's envelope."""
        message = refusal.message or self.messages.get(refusal.code, "").format(refusal.detail)
        outgoing = self.error(exchange, refusal.code, message)
        outgoing.status = refusal.status or outgoing.status
        outgoing.headers |= refusal.headers
        return outgoing


def _spend(exchange: Exchange) -> None:
    """Count a call against the quota of its account and action, or refuse it in the vendor's words.

    Only calls that were let through count: a caller far above the limit still gets the limit's share.
    """
    account, action, now = exchange.known, exchange.action, exchange.now
    own = account.quota.get(action)
    limit = exchange.fake.actions[action].limit(exchange) if own is None else Limit.per_second(own)
    window: deque[float] = exchange.world.memory.windows.setdefault((account.name, action), deque())
    while window and not now - limit.seconds < window[0] <= now:
        window.popleft()
    if len(window) >= limit.calls:
        raise exchange.fake.throttled(exchange, window[0] + limit.seconds - now)
    window.append(now)
