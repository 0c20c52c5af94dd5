"""The interface of one fake cloud: what was received, what is answered, and the table that a provider's file fills."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl

from exporter.simulator.nouns import Account, Event, Letter, Manners, Stream, Tricks

if TYPE_CHECKING:
    from exporter.simulator.world import World

Row = TypeVar("Row")


@dataclass(frozen=True)
class Received:
    """One HTTP request as it came in; header names in lower case.

    Attributes:
        raw_query: What stood after "?", still encoded.
        now: Unix seconds by the cloud's clock, which a fault may have set wrong.
    """

    method: str
    path: str
    raw_query: str
    headers: Mapping[str, str]
    body: bytes
    now: float

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        """The decoded query in its own order: "+" is a space, blank values stay."""
        return parse_qsl(self.raw_query, keep_blank_values=True)

    @cached_property
    def query(self) -> dict[str, str]:
        """The decoded query; of a repeated name the last value."""
        return dict(self.pairs)

    @property
    def authorization(self) -> str:
        """The `Authorization` header, or nothing."""
        return self.headers.get("authorization", "")


class Refusal(Exception):  # noqa: N818 - what a gateway does, not a mistake of ours
    """The cloud answers with one of its error codes.

    Attributes:
        status: HTTP status, or None for the provider's usual one.
        verified: Whether the caller had proved by then to be the account.
    """

    def __init__(
        self, code: str, message: str = "", status: int | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.status = status
        self.headers = dict(headers or {})


def dump(payload: Any) -> bytes:
    """Write JSON as the clouds do, in UTF-8; as ASCII escapes where a text cannot be UTF-8."""
    try:
        return json.dumps(payload, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(payload).encode()


@dataclass(slots=True)
class Outgoing:
    """An answer before it is written: the payload stays open to faults."""

    code: str
    payload: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str | None = None
    encode: Callable[[Any], bytes] = dump


@dataclass(slots=True)
class Exchange:
    """One call under way: what was received, and whom and what it concerns."""

    world: World
    fake: Fake
    received: Received
    action: str
    key: str
    account: Account | None = None
    address: tuple[str, ...] = ()
    stream: Stream | None = None
    verified: bool = False

    @property
    def known(self) -> Account:
        """The account; only to be asked for once it was found."""
        if self.account is None:
            raise LookupError("no account")
        return self.account

    @property
    def random(self) -> Random:
        """The world's random numbers."""
        return self.world.random

    @property
    def now(self) -> float:
        """Unix seconds by the world's clock, for states and quotas."""
        return self.world.clock()

    @property
    def tricks(self) -> Tricks:
        """How this provider's lists mislead."""
        return self.world.tricks(self.fake.name)


@dataclass(frozen=True, slots=True)
class Limit:
    """A documented rate: so many calls in any window of so many seconds."""

    calls: int
    seconds: float = 1.0

    @classmethod
    def per_second(cls, rate: float) -> Limit:
        """Return the limit of a rate, which may be below one call a second."""
        return cls(int(rate)) if rate >= 1 else cls(1, 1 / rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
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
    write: Callable[[Event, str | None, Manners], Letter]
    retries: Sequence[float]
    patience: float
    settles: float = 0.0
    strict: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Fake:
    """One fake cloud.

    Attributes:
        name: The provider.
        key: The account field by which a request names its account.
        account_fields: Type of each account field, by the configuration's names.
        account_needs: Those that an account must have.
        stream_fields: Address fields of a stream, by the configuration's names.
        stream_needs: Those that a stream must have.
        complete: Fills the defaults of an address in, given account, stream name and fields.
        addresses: Every address under which the stream is known.
        actions: Every action it knows.
        group: The room or domain by which a list API finds the stream.
        limit: The documented limit that a call falls under.
        content_type: Of every answer, to the letter.
        marks: Whether a request carries the vendor's marks.
        action: The action that a request asks for.
        identity: The account key that a request names.
        asked: The address that a request asks for.
        nonce: The request's nonce.
        answer: Decides; raises `Refusal`.
        refuse: Writes a refusal in the vendor's envelope.
        throttled: The refusal of an action called too often, given the seconds until the next slot.
        spoil: Puts a value wherever the payload tells a state (or, for a list, its rows); `GONE` removes it.
        unknown: A value of the state that no documentation lists.
        post: How it calls back, if it does.
    """

    name: str
    key: str
    account_fields: Mapping[str, type]
    account_needs: Sequence[str]
    stream_fields: Sequence[str]
    stream_needs: Sequence[str]
    complete: Callable[[Account, str, Mapping[str, str]], dict[str, str]]
    addresses: Callable[[Stream], list[tuple[str, ...]]]
    group: Callable[[Stream], tuple[str, ...]]
    actions: Sequence[str]
    limit: Callable[[Exchange], Limit]
    content_type: str
    marks: Callable[[Received], bool]
    action: Callable[[Received], str]
    identity: Callable[[Received], str]
    asked: Callable[[Exchange], tuple[str, ...]]
    nonce: Callable[[Received], str]
    answer: Callable[[Exchange], Outgoing]
    refuse: Callable[[Exchange, Refusal], Outgoing]
    throttled: Callable[[Exchange, float], Refusal]
    spoil: Callable[[Any, Any], None]
    unknown: Any
    post: Post | None = None


GONE = object()
"""Stands for "remove the field" in `Fake.spoil`."""


def put(holder: Any, name: str, value: Any) -> None:
    """Set a field of a JSON object, or remove it for `GONE`."""
    if value is GONE:
        holder.pop(name, None)
    else:
        holder[name] = value


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


def spend(exchange: Exchange) -> None:
    """Count a call against the quota of its account and action, or refuse it in the vendor's words."""
    account, action = exchange.known, exchange.action
    own = account.quota.get(action)
    limit = exchange.fake.limit(exchange) if own is None else Limit.per_second(own)
    wait = take(exchange, (account.name, action), limit)
    if wait:
        raise exchange.fake.throttled(exchange, wait)


@dataclass(frozen=True, slots=True)
class Paged:
    """One page of a list, tricks played on it: the rows (None for null) and what is told of the whole."""

    rows: list[Any] | None
    total: int
    pages: int


def page(rows: list[Row], number: int, size: int, tricks: Tricks, foreign: Callable[[int], Row]) -> Paged:
    """Cut one page, counted from 1, out of a list, with the tricks asked for.

    Args:
        rows: The true rows.
        number: The page asked for.
        size: Rows on a page.
        tricks: What is to be wrong.
        foreign: Makes the row of somebody else's stream from a number.
    """
    whole = [foreign(count) for count in range(tricks.foreign)] + rows
    whole = [row for row in whole for _ in range(tricks.duplicates + 1)]
    turn = 0 if tricks.loop else number - 1
    start = max(0, turn * (size - tricks.drift))
    total = len(whole) if tricks.total is None else tricks.total
    pages = number + 1 if tricks.loop else -(-len(whole) // size)
    return Paged(
        None if tricks.null else whole[start : start + size], total, pages if tricks.pages is None else tricks.pages
    )


def uuid(random: Random) -> str:
    """Return a random UUID in lower case."""
    digits = f"{random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
