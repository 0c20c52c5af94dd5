"""Injected faults in a cloud's response: in its clock, codes, fields, bytes or connection."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pydantic import ConfigDict

from exporter.simulator.exchange import Names, Outgoing
from exporter.simulator.fake import Fake
from exporter.simulator.types import STRICT

PLAYBACK = "playback"  # stands for a provider where viewers ask
REMOVED = object()  # a field with this value is removed
HTML = "<!DOCTYPE html><html><head><title>{status}</title></head><body><h1>{status}</h1><hr>nginx</body></html>"


@dataclass(slots=True)
class Fault:
    """One fault and the calls that it affects; a field that is None matches every call.

    docs/simulator.md describes each kind and the fields that it uses.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    kind: str
    provider: str | None = None
    account: str | None = None
    action: str | None = None
    stream: str | None = None
    count: int | None = None  # affects so many calls; None for all
    probability: float = 1.0  # for each call, by the world's random numbers
    code: str = ""
    message: str = ""
    status: int | None = None
    seconds: float = 1.0
    field: str = ""  # path of the field to change, such as `Response.OnlineInfo.0.StreamName`, instead of the state
    value: Any = None
    size: int = 2 << 20
    hits: int = 0  # calls affected so far

    def matches(self, names: Names) -> bool:
        """Whether the fault applies to a call, leaving probability aside; what viewers ask for is hit by name only."""
        if names.provider == PLAYBACK != self.provider:
            return False
        wanted = (self.provider, self.account, self.action, self.stream)
        return (self.count is None or self.hits < self.count) and all(
            want in (None, have) for want, have in zip(wanted, names, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Wire:
    """An encoded response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def _objects_at(node: Any, path: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the objects at the end of a path; a number is a list index, a star matches any part."""
    if not path:
        yield from [node] if isinstance(node, dict) else []
        return
    parts = node if isinstance(node, dict) else dict(enumerate(node)) if isinstance(node, list) else {}
    for name, part in parts.items():
        if path[0] in ("*", str(name)):
            yield from _objects_at(part, path[1:])


FIELD_FAULTS: Mapping[str, Callable[[Fake, Fault], Any]] = {
    "value": lambda _fake, fault: fault.value,
    "unknown": lambda fake, _fault: fake.unknown,
    "missing": lambda _fake, _fault: REMOVED,
    "nan": lambda _fake, _fault: float("nan"),
    "huge_int": lambda _fake, _fault: 10**400,
    "surrogate": lambda _fake, _fault: "\ud800",
}
PAYLOAD_FAULTS: Mapping[str, Callable[[Fault, Any], Any]] = {
    "document": lambda fault, _payload: fault.value,
    "extra": lambda _fault, payload: {**payload, "Added": {"Since": "yesterday", "Flags": [True, None]}},
    "huge": lambda fault, payload: {**payload, "Padding": "x" * fault.size},
}


def _spoil(fake: Fake, fault: Fault, payload: Any) -> None:
    """Change the field that the fault names, or else all state fields."""
    for path in [fault.field] if fault.field else fake.states:
        *way, name = path.split(".")
        for holder in _objects_at(payload, way):
            if fault.field or name in holder:
                holder[name] = FIELD_FAULTS[fault.kind](fake, fault)
                if holder[name] is REMOVED:
                    del holder[name]


def _nested(_fault: Fault, wire: Wire) -> Wire:
    # Enough brackets to break a recursive parser, our own encoder included: hence built as text.
    return replace(wire, body=wire.body[:-1] + b', "Nested": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def _packed(_fault: Fault, wire: Wire) -> Wire:
    return replace(wire, headers={**wire.headers, "Content-Encoding": "gzip"}, body=gzip.compress(wire.body))


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


def _other_content_type(fault: Fault, wire: Wire) -> Wire:
    return replace(wire, headers={**wire.headers, "Content-Type": str(fault.value or "text/plain")})


def _redirect(fault: Fault, _wire: Wire) -> Wire:
    target = str(fault.value or "https://login.example.com/")
    return Wire(fault.status or 302, {"Location": target, "Content-Type": "text/html"}, b"moved")


def _repeat_fields(_fault: Fault, wire: Wire) -> Wire:
    """Repeat every outer field."""
    inner = wire.body.strip()[1:-1]
    return replace(wire, body=b"{" + inner + b"," + inner + b"}")


BYTE_FAULTS: Mapping[str, Callable[[Fault, Wire], Wire]] = {
    "truncated": lambda _fault, wire: replace(wire, body=wire.body[: len(wire.body) // 2]),
    "empty": lambda _fault, wire: replace(wire, body=b""),
    "text": lambda fault, wire: replace(wire, body=str(fault.value or "upstream busy").encode()),
    "html": _html,
    "gateway": _gateway,
    "gzip": _packed,
    "cached": _cached,
    "redirect": _redirect,
    "status": lambda fault, wire: replace(wire, status=fault.status or 500),
    "utf8": lambda _fault, wire: replace(
        wire, body=wire.body.replace(b'":', b'\xff":', 1).replace(b"</", b"\xff</", 1)
    ),
    "bom": lambda _fault, wire: replace(wire, body=b"\xef\xbb\xbf" + wire.body),
    "bomb": _bomb,
    "deep": _nested,
    "content_type": _other_content_type,
    "duplicate_keys": _repeat_fields,
}
CODE_FAULTS = ("code", "throttle")
CONNECTION_FAULTS = ("hang", "delay", "reset", "close", "drip_head", "drip_body", "cut", "stray", "again", "idle")
CLOCK_FAULTS = ("skew",)
UNANSWERED = ("hang", "reset", "close")
KINDS = (*CODE_FAULTS, *CONNECTION_FAULTS, *CLOCK_FAULTS, *FIELD_FAULTS, *PAYLOAD_FAULTS, *BYTE_FAULTS)
"""Every kind of fault at a cloud; docs/simulator.md describes them."""
PLAYBACK_KINDS = (
    *CONNECTION_FAULTS, *CLOCK_FAULTS, "truncated", "empty", "text", "html", "cached", "redirect", "status", "bom",
    "gzip", "bomb", "content_type", "endless", "whole",
)  # fmt: skip
"""Every kind of fault in what viewers ask for."""


def write(outgoing: Outgoing, fake: Fake, faults: list[Fault]) -> Wire:
    """Encode a response; apply the faults of fields and payload, then those of bytes, each in the given order."""
    payload = outgoing.payload
    for fault in faults:
        if fault.kind in FIELD_FAULTS:
            _spoil(fake, fault, payload)
        elif fault.kind in PAYLOAD_FAULTS and isinstance(payload, dict):
            payload = PAYLOAD_FAULTS[fault.kind](fault, payload)
    body = outgoing.encode(payload)
    content_type = outgoing.content_type or fake.content_type
    return spoil(Wire(outgoing.status, {"Content-Type": content_type, **outgoing.headers}, body), faults)


def spoil(wire: Wire, faults: list[Fault]) -> Wire:
    """Apply the faults of bytes, in the given order."""
    for fault in faults:
        if fault.kind in BYTE_FAULTS:
            wire = BYTE_FAULTS[fault.kind](fault, wire)
    return wire
