"""Faults on request: what may be wrong with a cloud's answer, from its clock and its codes to the bytes on the wire."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pydantic import ConfigDict

from exporter.simulator.exchange import Exchange, Outgoing
from exporter.simulator.fake import Fake
from exporter.simulator.types import STRICT

GONE = object()
"""Stands for "remove the field"."""
HTML = "<!DOCTYPE html><html><head><title>{status}</title></head><body><h1>{status}</h1><hr>nginx</body></html>"


@dataclass(slots=True)
class Fault:
    """One fault and the calls that it is put upon; what is None matches every call.

    docs/simulator.md says what each kind does and which of the other fields it uses.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    kind: str
    provider: str | None = None
    account: str | None = None
    action: str | None = None
    stream: str | None = None
    count: int | None = None  # how many calls it is put upon, or None for all
    probability: float = 1.0  # chance for each call, by the world's random numbers
    code: str = ""
    message: str = ""
    status: int | None = None
    seconds: float = 1.0
    field: str = ""  # path of the field to spoil, such as `Response.OnlineInfo.0.StreamName`, instead of the state
    value: Any = None
    size: int = 2 << 20
    hits: int = 0  # how many calls it was put upon so far

    def matches(self, exchange: Exchange) -> bool:
        """Tell whether a call is one that this fault is meant for, chance left aside."""
        account = exchange.account.name if exchange.account else ""
        stream = exchange.stream.key if exchange.stream else ""
        pairs = (
            (self.provider, exchange.fake.name),
            (self.account, account),
            (self.action, exchange.action),
            (self.stream, stream),
        )
        return (self.count is None or self.hits < self.count) and all(want in (None, have) for want, have in pairs)


@dataclass(frozen=True, slots=True)
class Wire:
    """An answer as it goes out."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def _holders(node: Any, way: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the objects at the end of a path; a number is a place in a list, a star stands for any part."""
    if not way:
        yield from [node] if isinstance(node, dict) else []
        return
    parts = node if isinstance(node, dict) else dict(enumerate(node)) if isinstance(node, list) else {}
    for name, part in parts.items():
        if way[0] in ("*", str(name)):
            yield from _holders(part, way[1:])


def _put(holder: dict[str, Any], name: str, value: Any) -> None:
    if value is GONE:
        holder.pop(name, None)
    else:
        holder[name] = value


SPOILING: Mapping[str, Callable[[Fake, Fault], Any]] = {
    "value": lambda _fake, fault: fault.value,
    "unknown": lambda fake, _fault: fake.unknown,
    "missing": lambda _fake, _fault: GONE,
    "nan": lambda _fake, _fault: float("nan"),
    "huge_int": lambda _fake, _fault: 10**400,
    "surrogate": lambda _fake, _fault: "\ud800",
}
REPLACING: Mapping[str, Callable[[Fault, Any], Any]] = {
    "document": lambda fault, _payload: fault.value,
    "extra": lambda _fault, payload: {**payload, "Added": {"Since": "yesterday", "Flags": [True, None]}},
    "huge": lambda fault, payload: {**payload, "Padding": "x" * fault.size},
}


def _spoil(fake: Fake, fault: Fault, payload: Any) -> None:
    """Change the field that the fault names, or all that tell a state."""
    for path in [fault.field] if fault.field else fake.states:
        *way, name = path.split(".")
        for holder in _holders(payload, way):
            if fault.field or name in holder:
                _put(holder, name, SPOILING[fault.kind](fake, fault))


def _deep(_fault: Fault, wire: Wire) -> Wire:
    # Brackets enough to break a recursive parser, ours too: written as text.
    return replace(wire, body=wire.body[:-1] + b', "Nested": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def _bomb(fault: Fault, wire: Wire) -> Wire:
    packed = gzip.compress(wire.body[:1] + b" " * fault.size + wire.body[1:], 9)
    return replace(wire, headers={**wire.headers, "Content-Encoding": "gzip"}, body=packed)


def _html(fault: Fault, _wire: Wire) -> Wire:
    status = fault.status or 502
    return Wire(status, {"Content-Type": "text/html"}, HTML.format(status=status).encode())


def _gateway(fault: Fault, _wire: Wire) -> Wire:
    status = fault.status or 502
    page = {"code": status, "message": "upstream busy"} if fault.value is None else fault.value
    return Wire(status, {"Content-Type": "application/json"}, json.dumps(page).encode())


def _cached(fault: Fault, wire: Wire) -> Wire:
    return replace(wire, headers={**wire.headers, "Age": str(60 if fault.value is None else fault.value)})


def _retyped(fault: Fault, wire: Wire) -> Wire:
    return replace(wire, headers={**wire.headers, "Content-Type": str(fault.value or "text/plain")})


def _redirect(fault: Fault, _wire: Wire) -> Wire:
    target = str(fault.value or "https://login.example.com/")
    return Wire(fault.status or 302, {"Location": target, "Content-Type": "text/html"}, b"moved")


def _twice(_fault: Fault, wire: Wire) -> Wire:
    """Write every outer field twice."""
    inner = wire.body.strip()[1:-1]
    return replace(wire, body=b"{" + inner + b"," + inner + b"}")


BYTES: Mapping[str, Callable[[Fault, Wire], Wire]] = {
    "truncated": lambda _fault, wire: replace(wire, body=wire.body[: len(wire.body) // 2]),
    "empty": lambda _fault, wire: replace(wire, body=b""),
    "text": lambda fault, wire: replace(wire, body=str(fault.value or "upstream busy").encode()),
    "html": _html,
    "gateway": _gateway,
    "cached": _cached,
    "redirect": _redirect,
    "status": lambda fault, wire: replace(wire, status=fault.status or 500),
    "utf8": lambda _fault, wire: replace(wire, body=wire.body.replace(b'":', b'\xff":', 1)),
    "bom": lambda _fault, wire: replace(wire, body=b"\xef\xbb\xbf" + wire.body),
    "bomb": _bomb,
    "deep": _deep,
    "content_type": _retyped,
    "duplicate_keys": _twice,
}
CODES = ("code", "throttle")
CONDUCT = ("hang", "delay", "reset", "close", "drip_head", "drip_body", "cut", "stray", "again", "idle")
CLOCK = ("skew",)
SILENT = ("hang", "reset", "close")
KINDS = (*CODES, *CONDUCT, *CLOCK, *SPOILING, *REPLACING, *BYTES)
"""Every kind of fault; docs/simulator.md says what each does."""


def write(outgoing: Outgoing, fake: Fake, faults: list[Fault]) -> Wire:
    """Turn an answer into bytes, with the faults of payload and bytes in the order in which they were asked for."""
    payload = outgoing.payload
    for fault in faults:
        if fault.kind in SPOILING:
            _spoil(fake, fault, payload)
        elif fault.kind in REPLACING and isinstance(payload, dict):
            payload = REPLACING[fault.kind](fault, payload)
    body = outgoing.encode(payload)
    wire = Wire(outgoing.status, {"Content-Type": outgoing.content_type or fake.content_type, **outgoing.headers}, body)
    for fault in faults:
        if fault.kind in BYTES:
            wire = BYTES[fault.kind](fault, wire)
    return wire
