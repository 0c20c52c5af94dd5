"""One call to a fake cloud: the request, the response, and the vendor's refusal."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape  # nosec B406 - it only writes

from exporter.providers.authorization import ParsedAuthorization
from exporter.simulator.types import Account, Stream, Tricks

if TYPE_CHECKING:
    from exporter.simulator.fake import Fake
    from exporter.simulator.world import World


@dataclass(frozen=True)
class Received:
    """One HTTP request; header names are in lower case."""

    method: str
    path: str
    raw_query: str  # the part after "?", still encoded
    headers: Mapping[str, str]
    body: bytes
    now: float  # Unix seconds by the cloud's clock, which a fault may skew

    @cached_property
    def query_pairs(self) -> list[tuple[str, str]]:
        """The decoded query in order: "+" is a space, blank values are kept."""
        return parse_qsl(self.raw_query, keep_blank_values=True)

    @cached_property
    def query(self) -> dict[str, str]:
        """The decoded query; the last value of a repeated name wins."""
        return dict(self.query_pairs)

    @property
    def authorization(self) -> str:
        """The `Authorization` header, or an empty text."""
        return self.headers.get("authorization", "")


@dataclass(eq=False)
class Refusal(Exception):  # noqa: N818 - a response of the gateway, not an error of ours
    """The cloud responds with one of its error codes."""

    code: str
    detail: object = ""  # fills in the message from `Fake.messages`
    message: str = ""  # replaces that message
    status: int | None = None  # HTTP status; None for the provider's usual one
    headers: Mapping[str, str] = field(default_factory=dict)  # additional response headers


def refuse_if(*checks: tuple[object, str]) -> None:
    """Raise the refusal of the first true condition; each check is (condition, code)."""
    for wrong, code in checks:
        if wrong:
            raise Refusal(code)


def dump(payload: Any) -> bytes:
    """Encode JSON in UTF-8 as the clouds do, or with ASCII escapes if a text is not valid Unicode."""
    try:
        return json.dumps(payload, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(payload).encode()


def dump_xml(root: str, payload: Any) -> bytes:
    """Encode XML in UTF-8: an element for each name, one after another for the parts of a list, empty ones for ""."""
    body = "".join(_elements(root, payload))
    return f'<?xml version="1.0" encoding="utf-8" ?>\n{body}'.encode("utf-8", "surrogatepass")


def _elements(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for part in value:
            yield from _elements(name, part)
    elif value == "":
        yield f"<{name}/>\n"
    elif isinstance(value, dict):
        yield f"<{name}>\n"
        for inner, part in value.items():
            yield from _elements(inner, part)
        yield f"</{name}>\n"
    else:
        yield f"<{name}>{escape(str(value), {chr(34): '&quot;'})}</{name}>\n"


@dataclass(slots=True)
class Outgoing:
    """A response before it is encoded, so that faults can change its payload."""

    code: str
    payload: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str | None = None
    encode: Callable[[Any], bytes] = dump


class Names(NamedTuple):
    """By what a fault finds a call; empty where it has none."""

    provider: str
    account: str
    action: str
    stream: str


@dataclass(slots=True)
class Exchange:
    """One call in progress: its request, and the account and stream that it names."""

    world: World
    fake: Fake
    received: Received
    parameters: dict[str, Any]  # not validated yet
    action: str
    key: str
    # the parsed `Authorization` header; None if it does not have the vendor's format
    authorization: ParsedAuthorization | None = None
    account: Account | None = None
    address: tuple[str, ...] = ()
    stream: Stream | None = None
    verified: bool = False  # whether the caller is authenticated

    @property
    def names(self) -> Names:
        """By what a fault finds this call."""
        account = self.account.name if self.account else ""
        return Names(self.fake.name, account, self.action, self.stream.key if self.stream else "")

    @property
    def caller(self) -> Account:
        """The account, once it is known to exist."""
        if self.account is None:
            raise LookupError("no account")
        return self.account

    @property
    def expired(self) -> bool:
        """Whether the account's temporary credentials have expired."""
        expires = self.account.token_expires if self.account else None
        return expires is not None and self.received.now >= expires

    @property
    def now(self) -> float:
        """Unix seconds by the world's clock, which states and quotas use."""
        return self.world.clock()

    @property
    def tricks(self) -> Tricks:
        """How this provider's lists mislead."""
        return self.world.tricks(self.fake.name)

    def common_parameter(self, header: str, parameter: str) -> str:
        """Return a common parameter, sent either in one of the vendor's headers or as a parameter."""
        prefix = self.fake.prefix
        return (self.received.headers.get(prefix + header) if prefix else "") or str(self.parameters.get(parameter, ""))

    def signed_headers(self) -> dict[str, str]:
        """Return the headers that the signature covers; a missing one is empty."""
        names = self.authorization.signed_headers if self.authorization else ()
        return {name: self.received.headers.get(name, "") for name in names}

    def has_signature_of(self, expected: str) -> bool:
        """Whether the call has the same signature as an `Authorization` header made with the right key."""
        given = self.authorization
        return given is not None and hmac.compare_digest(expected.rpartition("=")[2], given.signature)
