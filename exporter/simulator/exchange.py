"""One call to a fake cloud under way: what was received, what is answered, and the vendor's no."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from exporter.providers.authorization import ParsedAuthorization
from exporter.simulator.types import Account, Stream, Tricks

if TYPE_CHECKING:
    from exporter.simulator.fake import Fake
    from exporter.simulator.world import World


@dataclass(frozen=True)
class Received:
    """One HTTP request as it came in; header names in lower case."""

    method: str
    path: str
    raw_query: str  # what stood after "?", still encoded
    headers: Mapping[str, str]
    body: bytes
    now: float  # Unix seconds by the cloud's clock, which a fault may have set wrong

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


@dataclass(eq=False)
class Refusal(Exception):  # noqa: N818 - what a gateway does, not a mistake of ours
    """The cloud answers with one of its error codes."""

    code: str
    detail: object = ""  # fills the message of the fake's table
    message: str = ""  # instead of the table's
    status: int | None = None  # HTTP status, or None for the provider's usual one
    headers: Mapping[str, str] = field(default_factory=dict)  # more headers of the answer


def refuse_if(*checks: tuple[object, str]) -> None:
    """Raise the refusal of the first check that holds; each is (what is wrong, code)."""
    for wrong, code in checks:
        if wrong:
            raise Refusal(code)


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
    sent: dict[str, Any]  # the parameters, not judged yet
    action: str
    key: str
    # the `Authorization` header taken apart, None where it has not the vendor's form
    given: ParsedAuthorization | None = None
    account: Account | None = None
    address: tuple[str, ...] = ()
    stream: Stream | None = None
    verified: bool = False  # whether the caller has proved to be the account

    @property
    def known(self) -> Account:
        """The account; only to be asked for once it was found."""
        if self.account is None:
            raise LookupError("no account")
        return self.account

    @property
    def expired(self) -> bool:
        """Whether the account's temporary credentials are out of date."""
        expires = self.account.token_expires if self.account else None
        return expires is not None and self.received.now >= expires

    @property
    def now(self) -> float:
        """Unix seconds by the world's clock, for states and quotas."""
        return self.world.clock()

    @property
    def tricks(self) -> Tricks:
        """How this provider's lists mislead."""
        return self.world.tricks(self.fake.name)

    def common(self, header: str, parameter: str) -> str:
        """Return a common parameter, which stands in a header of the vendor's or among the parameters."""
        prefix = self.fake.prefix
        return (self.received.headers.get(prefix + header) if prefix else "") or str(self.sent.get(parameter, ""))

    def signed_headers(self) -> dict[str, str]:
        """Return the headers that the signature covers, empty where they are missing."""
        names = self.given.signed_headers if self.given else ()
        return {name: self.received.headers.get(name, "") for name in names}

    def is_signed_as(self, written: str) -> bool:
        """Tell whether the signature is the one of an `Authorization` header that was written with the right key."""
        return self.given is not None and hmac.compare_digest(written.rpartition("=")[2], self.given.signature)
