"""Tencent's callbacks: verified by a signature that covers neither address nor event."""

from __future__ import annotations

from typing import Any

from exporter.model import Account
from exporter.providers import reading
from exporter.providers.encoding import expiry_signature, same
from exporter.providers.interface import Callback, Event, Refused
from exporter.providers.reading import as_integer, as_text
from exporter.providers.received import fields_of

# push_begin and push_end: https://www.tencentcloud.com/document/product/267/38081
# push_error: https://www.tencentcloud.com/document/product/267/53310
END_REASONS = {
    **dict.fromkeys((1, 2, 3, 4, 35), "client"),
    **dict.fromkeys((5, 9, 10, 11, 24), "internal"),
    **dict.fromkeys((6, 7, 23, 33), "content"),
    **dict.fromkeys((8, 20), "timeout"),
    **dict.fromkeys(range(12, 18), "network"),
    **dict.fromkeys((18, 19), "rejected"),
}
EVENTS = {0: "push_end", 1: "push_begin", 321: "push_error"}
LIVE = {"push_begin": True, "push_end": False}
VALID_SECONDS = 600  # the signed `t` is this much later than the callback


def verify(_account: Account, key: str, callback: Callback, now: float) -> Event:
    """Verify `sign`, which covers only the key and `t`."""
    body = fields_of(callback)
    kind = as_integer(body.get("event_type"))
    event = EVENTS.get(-1 if kind is None else kind, "unknown")
    expires, sign = as_integer(body.get("t")), as_text(body.get("sign"))
    # Unless a key is set in the console, neither is sent.
    if expires is None or not same(expiry_signature(key=key, t=expires), sign.lower()):
        raise Refused("forged", event)
    if now > expires:
        raise Refused("expired", event)
    sent = expires - VALID_SECONDS
    address, at = _callback_address(body), reading.event_time(body, {"event_time": 1.0, "data_time": 0.001}, sent)
    sequence, code = as_text(body.get("sequence")), as_integer(body.get("errcode"))
    return Event(
        event=event,
        live=LIVE.get(event),
        keys=(address,) if all(address) and event != "unknown" else (),
        sent=float(sent),
        identity=(event, address, sequence, at),
        session=sequence,
        # A push ends after it begins, even within the same second.
        order=at + 0.5 * (event == "push_end"),
        at=at,
        end_reason=END_REASONS.get(-1 if code is None else code, "unknown") if event == "push_end" else None,
    )


def _callback_address(body: dict[str, Any]) -> tuple[str, str, str]:
    """Return domain, app and stream. Push errors use other fields for the first two than begin and end do."""
    domain = as_text(body.get("app")) or as_text(body.get("domain"))
    app = as_text(body.get("appname")) or as_text(body.get("path"))
    return domain.lower(), app.strip("/"), as_text(body.get("stream_id"))
