"""Volcengine Live's callbacks: verified by a signature that covers neither address nor event."""

from __future__ import annotations

from typing import Any

from exporter.model import Account
from exporter.providers import reading
from exporter.providers.encoding import expiry_signature, same
from exporter.providers.interface import Callback, Event, Refused
from exporter.providers.reading import as_integer, as_text
from exporter.providers.received import fields_of

# https://www.volcengine.com/docs/6469/1126932
LIVE = {"push_start": True, "push_end": False}
VALID_SECONDS = 600  # the signed `t` is this much later than the callback


def verify(_account: Account, key: str, callback: Callback, now: float) -> Event:
    """Verify `sign`, which covers only the key and `t`."""
    body = _flat(fields_of(callback))
    kind = as_text(body.get("event_type"))
    event = kind if kind in LIVE else "unknown"
    expires, sign = as_integer(body.get("t")), as_text(body.get("sign"))
    if expires is None or not same(expiry_signature(key=key, t=expires), sign.lower()):
        raise Refused("forged", event)
    if now > expires:
        raise Refused("expired", event)
    sent = float(expires - VALID_SECONDS)
    at = reading.event_time(body, {"time_ms": 0.001, "time": 1.0}, sent)
    session = as_text(body.get("session_id"))
    # What is transcoded is not what is pushed.
    push = event in LIVE and body.get("transcoded") in (None, False, 0, "", "false")
    return Event(
        event=event,
        live=LIVE[event] if push else None,
        keys=_keys(body) if push else (),
        sent=sent,
        identity=(event, push, *map(as_text, map(body.get, ("vhost", "domain", "app", "stream"))), session, at),
        session=session,
        # A push ends after it begins, even within the same moment.
        order=at + 0.5 * (event == "push_end"),
        at=at,
        end_reason="unknown" if push and event == "push_end" else None,
    )


def _flat(body: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a callback; older pages of the documentation nest them under `data` and `detail`."""
    for name in ("data", "detail"):
        inner = body.get(name)
        body = {**inner, **body} if isinstance(inner, dict) else body
    return body


def _keys(body: dict[str, Any]) -> tuple[tuple[str, str, str, str], ...]:
    app, stream = as_text(body.get("app")), as_text(body.get("stream"))
    return addresses(as_text(body.get("vhost")), as_text(body.get("domain")), app, stream)


def addresses(vhost: str, domain: str, app: str, stream: str) -> tuple[tuple[str, str, str, str], ...]:
    """Return the addresses of a stream, which its configuration gives by vhost or by domain."""
    hosts = (("vhost", vhost), ("domain", domain.lower().removesuffix(".")))
    return tuple((kind, host, app, stream) for kind, host in hosts if host and app and stream)
