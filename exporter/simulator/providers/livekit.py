"""The fake of a LiveKit server: Twirp over HTTP, tokens checked first, whose errors are plain text."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from exporter.providers import jwt
from exporter.providers.authorization import ParsedAuthorization
from exporter.simulator.answers import paginate
from exporter.simulator.exchange import Exchange, Outgoing, Received, Refusal, refuse_if
from exporter.simulator.fake import Action, CallbackSpec, Fake, Limit, Marks, named
from exporter.simulator.types import Callback, DemoAccount, DemoStreams, Event, Figures, Manners, Stream

PARTICIPANTS, INGRESS = "ListParticipants", "ListIngress"
SERVICES = {PARTICIPANTS: "livekit.RoomService", INGRESS: "livekit.Ingress"}
LEEWAY, VALID = 60, 300
JOSE = "go-jose/go-jose"
# Errors of the token, in plain text. The last two repeat all of it.
TEXTS = {
    "no_token": "invalid authorization token",
    "unknown_key": "invalid API key: {key}",
    "bad_signature": f"invalid token: {{token}}, error: {JOSE}: error in cryptographic primitive",
    "token_not_valid_now": f"invalid token: {{token}}, error: {JOSE}/jwt: validation failed, token {{message}}",
}
EXPIRED, EARLY = "is expired (exp)", "not valid yet (nbf)"
# https://twitchtv.github.io/twirp/docs/errors.html
STATUSES = {
    "canceled": 408, "invalid_argument": 400, "malformed": 400, "deadline_exceeded": 408, "not_found": 404,
    "bad_route": 404, "already_exists": 409, "permission_denied": 403, "unauthenticated": 401,
    "resource_exhausted": 429, "failed_precondition": 412, "aborted": 409, "out_of_range": 400, "unimplemented": 501,
    "unavailable": 503,
}  # fmt: skip
TRACKS = {
    "Video": ("VIDEO", "CAMERA"), "Audio": ("AUDIO", "MICROPHONE"), "ScreenVideo": ("VIDEO", "SCREEN_SHARE"),
    "ScreenAudio": ("AUDIO", "SCREEN_SHARE_AUDIO"), "Other": ("VIDEO", "UNKNOWN"), "Data": ("DATA", "UNKNOWN"),
}  # fmt: skip
MUTED = "Muted"


@dataclass
class Quirks:
    """Switches; docs/simulator.md describes each."""

    livekit_page: int = 1000


def _read(received: Received) -> dict[str, Any]:
    """Return the parameters in the body, and the service and action in the path."""
    _, root, path = received.path.partition("/twirp/")
    service, _, action = path.partition("/")
    try:
        body = json.loads(received.body or b"{}")
    except ValueError:
        body = None
    return {**(body if isinstance(body, dict) else {}), **({"Service": service, "Action": action} if root else {})}


def _authorization(text: str) -> ParsedAuthorization | None:
    token = text.removeprefix("Bearer ")
    try:
        claims = jwt.decode(token, None)
    except ValueError:
        return None
    return ParsedAuthorization(jwt.ALGORITHM, str(claims.get("iss", "")), (), (), token)


def _authenticate(exchange: Exchange) -> None:
    received, authorization = exchange.received, exchange.authorization
    refuse_if(
        (received.authorization and authorization is None, "no_token"),
        (received.authorization and exchange.account is None, "unknown_key"),
    )
    claims: dict[str, Any] = {}
    if authorization is not None:
        try:
            claims = jwt.decode(authorization.signature, exchange.caller.text("api_secret"))
        except ValueError:
            raise Refusal("bad_signature") from None
        if received.now > claims.get("exp", 0) + LEEWAY:
            raise Refusal("token_not_valid_now", message=EXPIRED)
        if received.now < claims.get("nbf", 0) - LEEWAY:
            raise Refusal("token_not_valid_now", message=EARLY)
    wanted = SERVICES.get(exchange.action)
    refuse_if((received.method != "POST" or exchange.parameters.get("Service") != wanted, "bad_route"))
    grant = claims.get("video", {})
    if exchange.action == PARTICIPANTS:
        allowed = grant.get("roomAdmin") is True and grant.get("room") == exchange.parameters.get("room", "")
    else:
        allowed = grant.get("ingressAdmin") is True
    refuse_if((not allowed, "unauthenticated"))


def _check(exchange: Exchange) -> None:
    room = exchange.parameters.get("room", "")
    refuse_if((exchange.received.body[:1] != b"{" or not isinstance(room, str), "malformed"))


def _error(exchange: Exchange, code: str, message: str) -> Outgoing:
    if code in TEXTS:
        token = exchange.received.authorization.removeprefix("Bearer ")
        told = message if message == EXPIRED else EARLY
        text = TEXTS[code].format(key=exchange.key, token=token, message=told)
        return Outgoing(code, text, 401, {}, "text/plain; charset=utf-8", lambda told: str(told).encode())
    return Outgoing(code, {"code": code, "msg": message}, STATUSES.get(code, 500))


def _participant(identity: str, joined: float, kinds: tuple[str, ...]) -> dict[str, Any]:
    tracks = [
        {
            "sid": f"TR_{kind}", "type": TRACKS[kind.removesuffix(MUTED)][0], "name": "", "muted": kind.endswith(MUTED),
            "width": 1280, "height": 720, "source": TRACKS[kind.removesuffix(MUTED)][1], "layers": [],
            "stream": "camera", "version": {"unix_micro": str(int(joined * 1e6)), "ticks": 0},
        }
        for kind in kinds
    ]  # fmt: skip
    return {
        "sid": f"PA_{identity}", "identity": identity, "state": "ACTIVE", "tracks": tracks, "metadata": "",
        "joined_at": str(int(joined)), "joined_at_ms": str(int(joined * 1000)), "name": "", "version": 2,
        "permission": {"can_subscribe": True, "can_publish": True}, "region": "", "is_publisher": bool(tracks),
        "kind": "STANDARD", "attributes": {}, "disconnect_reason": "UNKNOWN_REASON",
    }  # fmt: skip


def _participants(exchange: Exchange) -> Outgoing:
    now = exchange.now
    people = [
        _participant(
            stream.address["identity"], stream.script.started(now), stream.media if stream.is_active(now) else ()
        )
        for stream in exchange.world.group(exchange.caller, (str(exchange.parameters.get("room", "")),))
        if stream.is_present(now)
    ]
    listed = paginate(people, 1, 1 << 30, exchange.tricks, lambda count: _participant(f"foreign-{count}", now, ()))
    return Outgoing("ok", {"participants": listed.rows})


def _item(ingress_id: str, live: bool, started: float, figures: Figures) -> dict[str, Any]:
    media = {
        "video": {
            "mime_type": "video/h264", "average_bitrate": figures.video_bits, "width": figures.width,
            "height": figures.height, "framerate": figures.frames,
        },
        "audio": {
            "mime_type": "audio/aac", "average_bitrate": figures.audio_bits, "channels": 2, "sample_rate": 48000,
        },
    }  # fmt: skip
    state = {"status": "ENDPOINT_PUBLISHING" if live else "ENDPOINT_INACTIVE", "error": ""}
    return {
        "ingress_id": ingress_id, "name": "", "stream_key": f"demo-key-of-{ingress_id}",
        "url": "rtmp://ingress.livekit.example/x", "input_type": "RTMP_INPUT", "room_name": "ingress",
        "participant_identity": ingress_id,
        "state": {**state, **(media if live else {}), "started_at": str(int(started * 1e9)) if live else "0"},
    }  # fmt: skip


def _ingress(exchange: Exchange) -> Outgoing:
    now, token = exchange.now, exchange.parameters.get("page_token")
    number = int(token.get("token") or 1) if isinstance(token, dict) else 1
    items = [
        _item(stream.address["ingress_id"], stream.is_active(now), stream.script.started(now), stream.figures)
        for stream in exchange.world.group(exchange.caller, ("",))
        if stream.script.state(now) != "not_found"
    ]
    size = exchange.world.quirks.livekit_page
    listed = paginate(
        items, number, size, exchange.tricks, lambda count: _item(f"IN_foreign{count}", False, 0, Figures())
    )
    following = {"token": str(number + 1)} if number < listed.pages else None
    return Outgoing("ok", {"items": listed.rows, "next_page_token": following})


def _callback(event: Event, secret: str | None, _manners: Manners) -> Callback:
    """Build a webhook: the token in `Authorization` covers the body."""
    address, at = event.stream.address, {"id": f"EV_{event.nonce}", "createdAt": str(int(event.at))}
    body: dict[str, Any]
    if "ingress_id" in address:
        name = "ingress_started" if event.live else "ingress_ended"
        body = {"event": name, "ingressInfo": {"ingressId": address["ingress_id"], "streamKey": "demo-key"}, **at}
    else:
        name = "track_published" if event.live else "track_unpublished"
        person = {"sid": f"PA_{event.began[0]}", "identity": address["identity"]}
        body = {"event": name, "room": {"sid": "RM_1", "name": address["room"]}, "participant": person, **at}
    sent, data = int(event.sent), json.dumps(body).encode()
    claims = {
        "iss": event.stream.account.text("api_key"), "nbf": sent, "exp": sent + VALID,
        "sha256": base64.b64encode(sha256(data).digest()).decode(),
    }  # fmt: skip
    signed = {} if secret is None else {"Authorization": jwt.encode(claims, secret)}
    return Callback(name, "POST", "", {"Content-Type": "application/webhook+json", **signed}, data)


def _group(stream: Stream) -> tuple[str, ...]:
    return (stream.address.get("room", ""),)


_CALLS, _STAGE = {"room": "calls"}, {"room": "stage"}
DEMO = (
    DemoAccount(
        "livekit-main",
        {"api_key": "demo-livekit-main-id", "api_secret": "demo-livekit-main-key-of-32-letters"},
        (
            DemoStreams("calls", "gold", {"front-desk": "A"}, _CALLS, {"media": ("Video", f"Audio{MUTED}")}),
            DemoStreams("calls", "silver", {"visitor": "IAA"}, _CALLS, {"media": ("Video",)}, {"sources": ["camera"]}),
            DemoStreams("calls", "silver", {"slides": "A"}, _STAGE, {"media": ("ScreenVideo",)}),
            DemoStreams("calls", "gold", {"studio-feed": "A"}, {"ingress_id": "IN_demo"}),
        ),
    ),
)

FAKE = Fake(
    name="livekit",
    account_fields={"api_key": str, "api_secret": str},
    stream_fields={"room": "", "identity": "{name}", "ingress_id": ""},
    address=("room", "identity", "ingress_id"),
    group=_group,
    marks=Marks(parameters=("Service",), weak=True),
    authorization=_authorization,
    read=_read,
    quirks=Quirks,
    authenticate=_authenticate,
    denied="unauthenticated",
    check=_check,
    actions={
        PARTICIPANTS: Action(_participants, lambda _exchange: Limit(10_000), named("room")),
        INGRESS: Action(_ingress, lambda _exchange: Limit(10_000), lambda _exchange: ()),
    },
    messages={
        "unauthenticated": "permissions denied",
        "malformed": "the json request could not be decoded",
        "bad_route": "no handler for path",
        "resource_exhausted": "too many requests",
    },
    error=_error,
    throttled=lambda _exchange, _wait: Refusal("resource_exhausted"),
    content_type="application/json",
    states=("participants.*.state", "items.*.state.status"),
    unknown="PAUSED",
    callbacks=CallbackSpec(key_field="api_secret", write=_callback, retries=(1, 2, 4), timeout=5.0, strict=False),
    demo=DEMO,
    demo_rank=5,
)
