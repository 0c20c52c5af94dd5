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
    """One API.

    Attributes:
        answer: Answers a call that was let through; may still raise `Refusal`.
        limit: The documented limit that a call falls under.
        address: Returns the address that a call asks for.
    """

    answer: Callable[[Exchange], Outgoing]
    limit: Callable[[Exchange], Limit]
    address: Callable[[Exchange], tuple[str, ...]]


def named(*parameters: str) -> Callable[[Exchange], tuple[str, ...]]:
    """Return the address that stands in some parameters."""
    return lambda exchange: tuple(str(exchange.sent.get(name, "")) for name in parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What a vendor's requests are recognised by.

    Attributes:
        headers: How its headers begin.
        schemes: How its `Authorization` begins.
        parameters: Names of its parameters.
        versions: Its values of `Version`.
        weak: Whether its marks are parameters of other vendors too, so that they count last.
    """

    headers: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    weak: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """How one cloud calls back.

    Attributes:
        key_field: The account field that callbacks are signed with.
        write: Puts an event into the vendor's words, given the secret (None: unsigned) and the manners.
        retries: Seconds before each further attempt.
        patience: Seconds that it waits for an answer.
        settles: Seconds for which a push has to last before its beginning is told.
        strict: Whether only 200 counts as an answer, not any 2XX.
    """

    key_field: str
    write: Callable[[Event, str | None, Manners], Callback]
    retries: Sequence[float]
    patience: float
    settles: float = 0.0
    strict: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Fake:
    """One fake cloud. Accounts, streams and parameters go by the configuration's or the vendor's names.

    Attributes:
        name: The provider.
        account_fields: Type of each account field; the first names the account in a request, the second is its secret,
            and an account must have both.
        stream_fields: Default of each address field, with {name} and the account's fields to fill in; None: it must be
            given, empty: it may be missing.
        address: The fields that are a stream's address.
        group: The room or domain by which a list API finds the stream.
        owns: The fields that name what belongs to the account.
        marks: What its requests are recognised by.
        prefix: How its headers begin.
        key_parameter: The parameter that names the account where no `Authorization` header does.
        authorization: Takes an `Authorization` header apart.
        read: Reads the parameters of a request without judging them.
        quirks: A dataclass of switches for what the vendor does not document, or documents twice.
        authenticate: Refuses a call that is malformed or not the account's.
        denied: The code for an action that the account's user may not call.
        check: Refuses parameters.
        actions: Every API.
        messages: The text of each error code.
        error: Writes an error, given code and message.
        throttled: The refusal of an action called too often, given the seconds until the next slot.
        content_type: Of every answer, to the letter.
        states: Paths of the fields that tell a state or, for a list, its rows.
        unknown: A value of the state that no documentation lists.
        posting: How it calls back, if it does.
        demo: Its part of the built-in demo.
        demo_rank: Its place there; the others follow by name.
    """

    name: str
    account_fields: Mapping[str, type]
    stream_fields: Mapping[str, str | None]
    address: tuple[str, ...]
    group: Callable[[Stream], tuple[str, ...]]
    owns: tuple[str, ...] = ()
    marks: Marks
    prefix: str = ""
    key_parameter: str = ""
    authorization: Callable[[str], ParsedAuthorization | None] = lambda _text: None
    read: Callable[[Received], dict[str, Any]] = lambda received: dict(received.query)
    quirks: type
    authenticate: Callable[[Exchange], None]
    denied: str
    check: Callable[[Exchange], None]
    actions: Mapping[str, Action]
    messages: Mapping[str, str]
    error: Callable[[Exchange, str, str], Outgoing]
    throttled: Callable[[Exchange, float], Refusal]
    content_type: str
    states: Sequence[str]
    unknown: Any
    posting: Posting | None = None
    demo: Sequence[DemoAccount] = ()
    demo_rank: int = 1000

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
        exchange = Exchange(world, self, received, sent, "", key, given, world.account_of(self.name, key))
        exchange.action = exchange.common("action", "Action")
        action = self.actions.get(exchange.action)
        exchange.address = action.address(exchange) if action else ()
        if exchange.account is not None:
            exchange.stream = world.stream_at(exchange.account, exchange.address)
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
        message = refusal.message or self.messages.get(refusal.code, "").format(*refusal.details)
        outgoing = self.error(exchange, refusal.code, message)
        outgoing.status = refusal.status or outgoing.status
        outgoing.headers |= refusal.headers
        return outgoing


def _spend(exchange: Exchange) -> None:
    """Count a call against the quota of its account and action, or refuse it in the vendor's words."""
    account, action = exchange.known, exchange.action
    own = account.quota.get(action)
    limit = exchange.fake.actions[action].limit(exchange) if own is None else Limit.per_second(own)
    wait = take(exchange, (account.name, action), limit)
    if wait:
        raise exchange.fake.throttled(exchange, wait)


def take(exchange: Exchange, key: object, limit: Limit) -> float:
    """Use one slot of a sliding window; return 0.0, or the seconds until there is a slot again.

    Only calls that were let through count: a caller far above the limit still gets the limit's share.
    """
    now = exchange.now
    window: deque[float] = exchange.world.memory.windows.setdefault(key, deque())
    while window and not now - limit.seconds < window[0] <= now:
        window.popleft()
    if len(window) >= limit.calls:
        return window[0] + limit.seconds - now
    window.append(now)
    return 0.0
