"""Huawei's callbacks, signed as a whole: https://support.huaweicloud.com/bestpractice-live/live_14_0003.html."""

from __future__ import annotations

from exporter.model import Account
from exporter.providers import reading
from exporter.providers.encoding import same
from exporter.providers.huawei import signing
from exporter.providers.interface import Callback, Event, Refused
from exporter.providers.reading import as_integer, as_text
from exporter.providers.received import fields_of

EVENTS = {"PUBLISH": True, "PUBLISH_DONE": False}
# Ours. Nothing separates what is signed: a digit moved from the stream's name to the time makes an expiry far away.
LONGEST_VALID = 86_400


def verify(_account: Account, key: str, callback: Callback, now: float) -> Event:
    """Verify `auth_sign`, which covers event, domain, app, stream and expiry; the time of the push is not signed."""
    body = fields_of(callback)
    name, domain, app, stream = signed = [as_text(body.get(part)) for part in ("event", "domain", "app", "stream")]
    event = name if name in EVENTS else "unknown"
    stamp, given = as_text(body.get("auth_timestamp")), as_text(body.get("auth_sign"))
    expected = signing.callback_signature(key, name, domain, app, stream, stamp)
    expires = as_integer(stamp)
    if not same(expected, given.lower()) or expires is None or expires > now + LONGEST_VALID:
        raise Refused("forged", event)
    if now > expires:
        raise Refused("expired", event)
    # The beginning and the end of a push have the same time: that of its beginning.
    began = reading.event_time(body, {"publish_timestamp": 1.0}, expires)
    return Event(
        event=event,
        live=EVENTS.get(event),
        keys=((domain.lower(), app, stream),) if all(signed) and event in EVENTS else (),
        sent=float(expires),
        identity=(event, domain, app, stream, began),
        session=str(began),
        order=float(event == "PUBLISH_DONE"),
        at=began,
        # Callbacks do not say why a push ended.
        end_reason="unknown" if event == "PUBLISH_DONE" else None,
    )
