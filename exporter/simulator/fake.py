"""One fake cloud: the table that a provider's module fills in, and the logic that all clouds share."""

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
    """A documented rate limit: at most `calls` in any window of `seconds`."""

    calls: int
    seconds: float = 1.0

    @classmethod
    def per_second(cls, rate: float) -> Limit:
        """Return the limit for a rate, which may be below one call per second."""
        return cls(int(rate)) if rate >= 1 else cls(1, 1 / rate)


@dataclass(frozen=True, slots=True)
class Action:
    """One API."""

    answer: Callable[[Exchange], Outgoing]  # responds to an accepted call; may still raise `Refusal`
    limit: Callable[[Exchange], Limit]  # returns the documented limit for a call
    address: Callable[[Exchange], tuple[str, ...]]  # returns the address that a call asks about


def named(*parameters: str) -> Callable[[Exchange], tuple[str, ...]]:
    """Return a function that reads an address from these parameters."""
    return lambda exchange: tuple(str(exchange.parameters.get(name, "")) for name in parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """How to recognise a vendor's requests."""

    headers: tuple[str, ...] = ()  # prefixes of header names
    schemes: tuple[str, ...] = ()  # prefixes of `Authorization`
    parameters: tuple[str, ...] = ()  # parameter names
    versions: tuple[str, ...] = ()  # values of `Version`
    paths: tuple[str, ...] = ()
    weak: bool = False  # whether other vendors use these parameters too, so that they count last


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackSpec:
    """How one cloud sends callbacks."""

    key_field: str  # the account field with the signing key
    # builds the request for an event, given the key (None: unsigned) and the manners
    write: Callable[[Event, str | None, Manners], Callback]
    retries: Sequence[float]  # seconds before each further attempt
    timeout: float  # seconds
    settle: float = 0.0  # seconds that a push must last before its start is reported
    strict: bool = True  # whether only status 200 counts as delivered, not any 2XX


@dataclass(frozen=True, slots=True, kw_only=True)
class Fake:
    """One fake cloud. Fields have the configuration's names, parameters the vendor's."""

    name: str
    # type of each account field; the first two are required: the key that requests name, and its secret
    account_fields: Mapping[str, type]
    # default of each address field, a template of {name} and the account's fields; None: required, empty: optional
    stream_fields: Mapping[str, str | None]
    address: tuple[str, ...]  # the fields that make up a stream's address
    group: Callable[[Stream], tuple[str, ...]]  # the room or domain by which a list API finds the stream
    owns: tuple[str, ...] = ()  # address fields whose values (domains, applications) belong to the account
    marks: Marks
    prefix: str = ""  # of its headers
    key_parameter: str = ""  # the parameter that names the account if there is no `Authorization` header
    once: str = "SignatureNonce"  # the parameter that no two calls share
    # parses an `Authorization` header
    authorization: Callable[[str], ParsedAuthorization | None] = lambda _text: None
    # reads the action, where it is neither in a header nor a parameter
    action: Callable[[Received], str] = lambda _received: ""
    # reads the parameters of a request without validating them
    read: Callable[[Received], dict[str, Any]] = lambda received: dict(received.query)
    quirks: type  # a dataclass of switches for undocumented or contradictory behaviour
    authenticate: Callable[[Exchange], None]  # refuses a call that is malformed or not signed by the account
    denied: str  # the code for an action that the account may not call
    check: Callable[[Exchange], None]  # refuses invalid parameters
    actions: Mapping[str, Action]
    messages: Mapping[str, str]  # by error code
    error: Callable[[Exchange, str, str], Outgoing]  # builds an error response from code and message
    # the refusal of a throttled call, given the seconds until the next free slot
    throttled: Callable[[Exchange, float], Refusal]
    content_type: str  # of every response, verbatim
    states: Sequence[str]  # paths of the fields with the state or, in a list, the rows
    unknown: Any  # an undocumented value of the state
    callbacks: CallbackSpec | None = None
    demo: Sequence[DemoAccount] = ()  # accounts of the built-in demo
    demo_rank: int = 1000  # position in the demo; equal ranks are ordered by name

    @property
    def key(self) -> str:
        """The account field that identifies the account in a request."""
        return next(iter(self.account_fields))

    def full_address(self, account: Account, name: str, given: Mapping[str, str]) -> dict[str, str]:
        """Return a stream's address with defaults filled in."""
        values = defaultdict(str, {**{field: str(value) for field, value in account.fields.items()}, "name": name})
        defaults = {field: text.format_map(values) for field, text in self.stream_fields.items() if text}
        return {**defaults, **given}

    def address_of(self, stream: Stream) -> tuple[str, ...]:
        """Return a stream's address as a tuple."""
        return tuple(stream.address.get(name, "") for name in self.address)

    def is_marked(self, received: Received) -> bool:
        """Whether a request has the vendor's marks."""
        marks, parameters = self.marks, self.read(received)
        return (
            any(name.startswith(marks.headers) for name in received.headers)
            or received.authorization.startswith(marks.schemes)
            or not parameters.keys().isdisjoint(marks.parameters)
            or parameters.get("Version") in marks.versions
            or received.path in marks.paths
        )

    def parse(self, world: World, received: Received) -> Exchange:
        """Determine a request's account, action and stream, before anything is checked."""
        parameters, authorization = self.read(received), self.authorization(received.authorization)
        key = authorization.credential if authorization else str(parameters.get(self.key_parameter, ""))
        account = world.keys.get((self.name, key))
        exchange = Exchange(world, self, received, parameters, "", key, authorization, account)
        exchange.action = self.action(received) or exchange.common_parameter("action", "Action")
        action = self.actions.get(exchange.action)
        exchange.address = action.address(exchange) if action else ()
        if exchange.account is not None:
            exchange.stream = world.addresses.get((exchange.account.name, exchange.address))
        return exchange

    def answer(self, exchange: Exchange) -> Outgoing:
        """Respond to a call as the vendor's gateway and the service behind it do.

        Raises:
            Refusal: The vendor's error code.
        """
        self.authenticate(exchange)
        exchange.verified = True
        if exchange.action in exchange.caller.denied:
            raise Refusal(self.denied, exchange.action)
        _count_call(exchange)
        self.check(exchange)
        return self.actions[exchange.action].answer(exchange)

    def refuse(self, exchange: Exchange, refusal: Refusal) -> Outgoing:
        """Build the vendor's error response for a refusal."""
        message = refusal.message or self.messages.get(refusal.code, "").format(refusal.detail)
        outgoing = self.error(exchange, refusal.code, message)
        outgoing.status = refusal.status or outgoing.status
        outgoing.headers |= refusal.headers
        return outgoing


def _count_call(exchange: Exchange) -> None:
    """Count a call against the quota of its account and action; raise the vendor's refusal if it is exceeded.

    Only accepted calls count: a caller far above the limit still gets its share.
    """
    account, action, now = exchange.caller, exchange.action, exchange.now
    rate = account.quota.get(action)
    limit = exchange.fake.actions[action].limit(exchange) if rate is None else Limit.per_second(rate)
    window: deque[float] = exchange.world.memory.windows.setdefault((account.name, action), deque())
    while window and not now - limit.seconds < window[0] <= now:
        window.popleft()
    if len(window) >= limit.calls:
        raise exchange.fake.throttled(exchange, window[0] + limit.seconds - now)
    window.append(now)
