"""What tests know of LiveKit."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from exporter.model import Account, Reason, State
from exporter.providers.interface import Callback
from tests.providers.facts import Called, Case, Facts, Listed, objects, tells_of_error

WHO = "caster"


def people(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return who is in a room."""
    return objects(found.get("participants"))


def is_published(found: dict[str, Any], stream: Any) -> bool:
    """One row has this participant, with a track of sound or pictures, and nothing looks like an error."""
    own = [one for one in people(found) if one.get("identity") == (stream.identity or stream.name)]
    kinds = [track.get("type") for one in own for track in objects(one.get("tracks"))]
    return len(own) == 1 and not {"AUDIO", "VIDEO"}.isdisjoint(kinds) and not tells_of_error(found)


def is_gone(found: dict[str, Any], stream: Any) -> bool:
    """There is a list, and it has no such row, or one of somebody on the way out."""
    own = [one for one in people(found) if one.get("identity") == (stream.identity or stream.name)]
    whole = isinstance(found.get("participants"), list) and not tells_of_error(found)
    return whole and (not is_published(found, stream) or own[0].get("state") == "DISCONNECTED")


def statuses(found: dict[str, Any], stream: Any) -> list[Any]:
    """Return what is told of an ingress."""
    own = [one for one in objects(found.get("items")) if one.get("ingress_id") == stream.ingress_id]
    return [one["state"]["status"] for one in own]


def is_pushed(found: dict[str, Any], stream: Any) -> bool:
    """Exactly one row has the ingress, and says that it publishes."""
    return statuses(found, stream) == ["ENDPOINT_PUBLISHING"]


def is_not_pushed(found: dict[str, Any], stream: Any) -> bool:
    """There is a list that has no such row."""
    return isinstance(found.get("items"), list) and not is_pushed(found, stream)


def _packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(_account: Account, fields: dict[str, Any], key: str, now: int, form: int) -> Callback:
    """Sign a webhook: by RFC 7519, without the exporter's code; the header's members in two orders, or with a blank."""
    body = json.dumps(fields).encode()
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    claims = {"iss": "id", "nbf": now, "exp": now + 300, "sha256": digest}
    header = [{"alg": "HS256", "typ": "JWT"}, {"typ": "JWT", "alg": "HS256"}, {"alg": "HS256"}][form % 3]
    head = f"{_packed(json.dumps(header).encode())}.{_packed(json.dumps(claims).encode())}"
    signature = _packed(hmac.digest(key.encode(), head.encode(), "sha256"))
    return Callback("POST", "host", {"authorization": f"{head}.{signature}"}, {}, body)


FACTS = Facts(
    keys={"api_key": "livekit-id", "api_secret": "livekit-secret"},
    address={"room": "stage"},
    named_by="identity",
    lists={
        "ListParticipants": Listed(live=is_published, gone=is_gone),
        "ListIngress": Listed(
            live=is_pushed, gone=is_not_pushed, fields={"stream": {"name": "IN_1", "room": None, "ingress_id": "IN_1"}}
        ),
    },
    callback=Called(
        sign=sign,
        names=("event", "room", "participant", "track", "ingressInfo", "id", "createdAt"),
        plain={"event": "track_published", "room": {"name": "stage"}, "participant": {"identity": WHO, "sid": "PA_1"}},
    ),
    states=(
        Case("publishes", "livekit", State.ACTIVE, "ok"),
        Case("gone", "livekit", State.INACTIVE, "ok", state=State.INACTIVE),
        Case("no room", "livekit", State.INACTIVE, "ok", state=State.NOT_FOUND),
    ),
    codes={
        "unauthenticated": Reason.AUTH, "token_not_valid_now": Reason.CLOCK, "resource_exhausted": Reason.THROTTLED,
        "bad_route": Reason.BAD_REQUEST, "internal": Reason.PROVIDER_ERROR,
    },
    unlisted=("invented_today", Reason.PROVIDER_ERROR),
    throttled="resource_exhausted",
    expired="token_not_valid_now",
    free=("attributes", "state"),
)  # fmt: skip
