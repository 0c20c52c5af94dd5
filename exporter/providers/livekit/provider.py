"""LiveKit's server API, which has lists only: who publishes in a room, if there is one, and all ingresses."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from typing import Any, Final, Literal, get_args

from pydantic import Field

from exporter.fields import Endpoint, Secret, SecretField, Text
from exporter.model import Account, Answer, Call, Credentials, Moment, Reply, Request, State, Stream
from exporter.providers import interface, jwt, reading
from exporter.providers.document import LISTED_VALUES
from exporter.providers.encoding import host, same
from exporter.providers.figures import PICTURE, RATES, Columns
from exporter.providers.interface import Callback, Event, Listing, Malformed, Page, ProviderError, Refused
from exporter.providers.reading import as_integer, as_text, choice_of, object_of, text_of, unix_seconds

PARTICIPANTS, INGRESS = "ListParticipants", "ListIngress"
Source = Literal["camera", "microphone", "screen_share", "screen_share_audio"]
# https://github.com/livekit/protocol/blob/main/protobufs/livekit_models.proto
SOURCES: Final = {name.upper(): name for name in (*get_args(Source), "unknown")}
CONNECTED: Final = {"JOINING": True, "JOINED": True, "ACTIVE": True, "DISCONNECTED": False}
IS_MEDIA: Final = {"AUDIO": True, "VIDEO": True, "DATA": False}
# https://github.com/livekit/protocol/blob/main/protobufs/livekit_ingress.proto
DOWN: Final = ("ENDPOINT_INACTIVE", "ENDPOINT_BUFFERING", "ENDPOINT_ERROR", "ENDPOINT_COMPLETE")
STATUSES: Final = {"ENDPOINT_PUBLISHING": State.ACTIVE, **dict.fromkeys(DOWN, State.INACTIVE)}
BITS: Final = {"video": "video_bits", "audio": "audio_bits"}
FIGURES: Final = Columns(bits=BITS, frames="framerate", width="width", height="height", now=False)  # averages
ANY, NONE = "any", "none"  # beside the sources in the keys of rows


class LiveKitAccount(Account):
    """A LiveKit server, or a project of LiveKit Cloud."""

    endpoint: Endpoint = Field(description="address of the server, such as `https://NAME.livekit.cloud`")
    api_key: SecretField
    api_secret: SecretField


class LiveKitStream(Stream):
    """What a participant publishes in a room, or an ingress."""

    room: Text | None = Field(None, description="name of the room; required without `ingress_id`")
    identity: Text | None = Field(None, description="identity of the participant; default: name")
    sources: list[Source] = Field([], description="active while any of them is published; default: any track")
    ingress_id: Text | None = Field(None, description="id of an ingress, instead of room and identity")


def _rows(reply: Reply, name: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the rows of a list and what stands around them. Errors are Twirp's, but a bad token's, which are text."""
    reading.check_fresh(reply)
    if reply.status == 401 and reply.headers.get("content-type", "").lower().startswith("text/plain"):
        # https://github.com/livekit/livekit/blob/master/pkg/service/auth.go
        text = reply.body.decode("utf-8", "replace")
        raise ProviderError("token_not_valid_now" if "(exp)" in text or "(nbf)" in text else "unauthenticated", text)
    document = reading.envelope(reply, LISTED_VALUES)
    if reply.status != reading.OK:
        code = reading.envelope_field(reply, document, "code", str, beside="msg")
        raise ProviderError(code, reading.message_of(document, "msg"))
    # `attributes` are the users' own, and in `state` is the error of an ingress.
    reading.check_success(reply, document, free=("attributes", "state"))
    if document.get(name) is None:
        raise Malformed(f"{name} is missing, which an empty list has too")
    return reading.rows_of(document, name), document


def _read_participants(_account: LiveKitAccount, _room: str, _call: Call, reply: Reply) -> Page:
    people, _ = _rows(reply, "participants")
    rows: dict[Any, Answer | None] = {}
    for person in people:
        identity = text_of(person, "identity")
        if (identity, NONE) in rows:
            raise Malformed("an identity stands twice")
        rows |= {(identity, source): answer for source, answer in _published(person).items()}
    return Page(rows, size=len(people))


def _published(person: dict[str, Any]) -> dict[str, Answer]:
    """Return an answer for each source that a participant publishes, for ANY if there is one, and for NONE."""
    joined, connected = unix_seconds(person.get("joined_at")), choice_of(person, "state", CONNECTED)
    since: dict[str, float | None] = {}
    media = dict.fromkeys(get_args(Source), False)
    for track in reading.rows_of(person, "tracks"):
        if choice_of(track, "type", IS_MEDIA) and connected:
            source, muted = choice_of(track, "source", SOURCES), reading.boolean_of(track, "muted")
            began = unix_seconds(object_of(track, "version", {}).get("unix_micro"), 1e6) or joined
            media[source] = media.get(source, False) or not muted
            for name in (source, ANY):
                since[name] = min(filter(None, (since.get(name), began)), default=None)
    told = tuple(media.items())
    live = {name: Answer(State.ACTIVE, started=began, media=told) for name, began in since.items()}
    return {**live, NONE: Answer(State.INACTIVE, media=told)}


def _read_ingress(_account: LiveKitAccount, _scope: str, _call: Call, reply: Reply) -> Page:
    items, document = _rows(reply, "items")
    rows: dict[Any, Answer | None] = {}
    for item in items:
        state, ingress_id = object_of(item, "state"), text_of(item, "ingress_id")
        if ingress_id in rows:
            raise Malformed("an ingress stands twice")
        answer = Answer(choice_of(state, "status", STATUSES), text_of(state, "status"))
        if answer.state is State.ACTIVE:
            video, audio = (part if isinstance(part := state.get(name), dict) else {} for name in BITS)
            bits = {"video_bits": video.get("average_bitrate"), "audio_bits": audio.get("average_bitrate")}
            started = unix_seconds(state.get("started_at"), 1e9)
            answer = answer._replace(started=started, figures=FIGURES.read({**video, **bits}))
        rows[ingress_id] = answer
    return Page(rows, token=text_of(object_of(document, "next_page_token", {}), "token", ""))


def _sign(account: LiveKitAccount, credentials: Credentials, call: Call, moment: Moment) -> Request:
    """Grant the call's room alone: https://docs.livekit.io/home/get-started/authentication/."""
    room, secret = call.params.get("room"), credentials.key_secret.reveal()
    video = {"ingressAdmin": True} if room is None else {"roomAdmin": True, "room": room}
    token = jwt.grant(credentials.key_id, secret, {"video": video}, moment.now, life=600)
    headers = {"Host": host(account.endpoint), "Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = {name: {"token": value} if name == "page_token" else value for name, value in call.params.items()}
    url = f"{account.endpoint}/twirp/{call.version}/{call.action}"
    return Request("POST", url, headers, json.dumps(body).encode())


def _problems(_account: LiveKitAccount, stream: LiveKitStream) -> list[tuple[str, str]]:
    if stream.ingress_id is None:
        return [] if stream.room is not None else [("room", "is missing: set room or ingress_id")]
    given = {"room": stream.room, "identity": stream.identity, "sources": stream.sources}
    return [(name, "does not go with ingress_id: remove one of them") for name, value in given.items() if value]


LEFT: Final = {"participant_left": False, "participant_connection_aborted": False}
PUSHES: Final = {"track_published": True, "track_unpublished": False, "ingress_started": True, "ingress_ended": False}
EVENTS: Final = {**PUSHES, **LEFT, **dict.fromkeys(("participant_joined", "room_started", "room_finished"))}
# DisconnectReason: https://github.com/livekit/protocol/blob/main/protobufs/livekit_models.proto
ENDED: Final = {
    "client": ("CLIENT_INITIATED", "MIGRATION"), "network": ("SIGNAL_CLOSE", "STATE_MISMATCH", "MEDIA_FAILURE"),
    "kicked": ("DUPLICATE_IDENTITY", "PARTICIPANT_REMOVED", "ROOM_DELETED", "ROOM_CLOSED"),
    "timeout": ("CONNECTION_TIMEOUT",), "rejected": ("JOIN_FAILURE", "USER_REJECTED"),
    "internal": ("SERVER_SHUTDOWN", "AGENT_ERROR"),
}  # fmt: skip
VALID_SECONDS: Final = 600  # our own limit; the vendor's tokens are valid for 300


def _verify(account: LiveKitAccount, secret: str, callback: Callback, now: float) -> Event:
    """Verify a webhook by its token, which covers the body: https://docs.livekit.io/home/server/webhooks/.

    The token has no `Bearer`. Users' tokens for rooms are made with the same key, but have no `sha256`. The key's id is
    compared if the configuration itself has it.
    """
    try:
        claims, body = jwt.decode(callback.headers.get("authorization", ""), secret), reading.object_in(callback.body)
        room, person, ingress = (object_of(body, name, {}) for name in ("room", "participant", "ingressInfo"))
    except (ValueError, Malformed):
        raise Refused("forged") from None
    sent, end, issuer = as_integer(claims.get("nbf")), as_integer(claims.get("exp")), as_text(claims.get("iss"))
    digest, key = base64.b64encode(sha256(callback.body).digest()).decode(), getattr(account.api_key, "value", None)
    ours = issuer == (key.reveal() if isinstance(key, Secret) else issuer or None)
    if not ours or sent is None or end is None or not same(digest, as_text(claims.get("sha256"))):
        raise Refused("forged")
    event = name if (name := as_text(body.get("event"))) in EVENTS else "unknown"
    if not sent - jwt.LEEWAY <= now <= min(end + jwt.LEEWAY, sent + VALID_SECONDS):
        raise Refused("expired", event)
    address = as_text(room.get("name")), as_text(person.get("identity"))
    if event.startswith("ingress_"):
        address = "", as_text(ingress.get("ingressId"))
    # One track may end while others go on, and who never published ends nothing.
    ended = event == "ingress_ended" or (event in LEFT and person.get("isPublisher") is True)
    why = next((why for why, words in ENDED.items() if person.get("disconnectReason") in words), "unknown")
    at = reading.event_time(body, {"createdAt": 1.0}, sent)
    return Event(
        event=event, live=EVENTS.get(event), keys=(address,) if address[1] and EVENTS.get(event) is not None else (),
        sent=float(sent), identity=digest, session=as_text(person.get("sid")), order=at, at=at,
        end_reason=why if ended else None,
    )  # fmt: skip


PROVIDER: interface.Provider[LiveKitAccount, LiveKitStream] = interface.Provider(
    name="livekit",
    title="LiveKit",
    account=LiveKitAccount,
    stream=LiveKitStream,
    listings=(
        # https://docs.livekit.io/reference/other/roomservice-api/#listparticipants
        Listing(
            action=PARTICIPANTS,
            limit=lambda _account: 100.0,  # our own: a server has none, and LiveKit Cloud documents none
            scope=lambda _account, stream: None if stream.ingress_id else stream.room,
            # Any of the sources that count makes it active; NONE is told of everybody in the room.
            keys=lambda _, one: tuple((one.identity or one.name, key) for key in (*(one.sources or (ANY,)), NONE)),
            ask=lambda _account, room, _page: Call(PARTICIPANTS, "livekit.RoomService", {"room": room}),
            read=_read_participants,
            absent=Answer(State.INACTIVE, media=tuple((name, False) for name in get_args(Source))),
            largest=8 * interface.MEBIBYTE,
        ),
        # https://docs.livekit.io/reference/other/ingress/api/#listingress
        Listing(
            action=INGRESS,
            limit=lambda _account: 100.0,
            scope=lambda _account, stream: "all" if stream.ingress_id else None,
            keys=lambda _account, stream: (stream.ingress_id or "",),
            ask=lambda _account, _scope, _page: Call(INGRESS, "livekit.Ingress"),
            ask_next=lambda _account, _scope, token: Call(INGRESS, "livekit.Ingress", {"page_token": token}),
            read=_read_ingress,
            absent=Answer(State.NOT_FOUND, "not listed"),
            largest=8 * interface.MEBIBYTE,
        ),
    ),
    sign=_sign,
    hides=("Authorization", "stream_key", "streamKey", "turn_password", "turnPassword"),
    metric_sources={
        "stream_state": PARTICIPANTS,
        **dict.fromkeys(("stream_media_active", "stream_start_timestamp_seconds"), f"LiveKit {PARTICIPANTS}"),
        **dict.fromkeys((*RATES, *PICTURE), f"LiveKit {INGRESS}"),
    },
    environment={"api_key": ("LIVEKIT_API_KEY",), "api_secret": ("LIVEKIT_API_SECRET",)},
    credentials=("api_key", "api_secret", ""),
    callbacks=interface.Callbacks(
        method="POST",
        events=tuple(EVENTS),
        key_field="api_secret",
        verify=_verify,
        authentic=True,
        keys=lambda _, one: ((one.room or "", one.ingress_id or one.identity or one.name),),
    ),
    problems=_problems,
)
