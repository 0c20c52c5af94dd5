"""Volcengine RTC OpenAPI: GetUserStreamState (2020-12-01), and GetRoomOnlineUsers (2023-11-01) for rooms."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from exporter.document import LISTED_VALUES, MOST_VALUES
from exporter.model import (
    Account,
    Answer,
    Call,
    Credentials,
    Endpoint,
    Moment,
    Reply,
    Request,
    SecretField,
    State,
    Stream,
    Text,
)
from exporter.provider import (
    MEBIBYTE,
    Api,
    Listing,
    Malformed,
    Page,
    Provider,
    ProviderError,
    definite,
    envelope,
    host,
    integer_of,
    message_of,
    object_of,
    request_id_of,
    rows_of,
    text_of,
    timestamp,
)
from exporter.signing import volc
from exporter.signing.encoding import EMPTY_SHA256, canonical_query

STATE = "GetUserStreamState"
USERS = "GetRoomOnlineUsers"
MEDIA = {"Audio": "audio", "Video": "video", "ScreenAudio": "screen_audio", "ScreenVideo": "screen_video"}
Media = Literal["audio", "video", "screen_audio", "screen_video"]


class VolcengineAccount(Account):
    """A Volcengine account, by an access key of IAM."""

    endpoint: Endpoint = Field("https://rtc.volcengineapi.com", description="host of the RTC OpenAPI")
    access_key_id: SecretField
    secret_access_key: SecretField
    session_token: SecretField
    app_id: Text | None = Field(None, description="AppId of the RTC console, for streams that name none")
    region: Text = Field("cn-north-1", description="region of the signature's scope")


class VolcengineStream(Stream):
    """What one user publishes in one room."""

    room_id: Text = Field(description="RoomId")
    user_id: Text | None = Field(None, description="UserId; default: name")
    app_id: Text | None = Field(None, description="AppId; default: the account's")
    media: list[Media] = Field(
        default_factory=lambda: list(MEDIA.values()),  # type: ignore[arg-type]
        min_length=1,
        description="media types that count: the stream is active while any of them is published",
    )


def _app_id(account: VolcengineAccount, stream: VolcengineStream) -> str:
    return stream.app_id or account.app_id or ""


def _ask(account: VolcengineAccount, stream: VolcengineStream) -> Call:
    user = stream.user_id or stream.name
    return Call(STATE, "2020-12-01", {"AppId": _app_id(account, stream), "RoomId": stream.room_id, "UserId": user})


def _result(reply: Reply, values: int = MOST_VALUES) -> tuple[dict[str, Any], str]:
    """Return Result and RequestId, or raise the error of ResponseMetadata, which may come with any status."""
    found = envelope(reply, values)
    metadata = object_of(found, "ResponseMetadata")
    request_id = request_id_of(metadata)
    if metadata.get("Error") is not None:
        error = object_of(metadata, "Error")
        raise ProviderError(text_of(error, "Code"), message_of(error), request_id)
    definite(reply)
    return object_of(found, "Result"), request_id


def _media(result: dict[str, Any]) -> dict[str, bool]:
    """Return for each media type whether it is published; a type that is not told of is not."""
    found: dict[str, bool] = {}
    for row in rows_of(result, "StreamStates"):
        name = MEDIA.get(text_of(row, "MediaType"))
        state = integer_of(row, "State")
        if state not in (0, 1):
            raise Malformed("State holds an unknown value")
        if name is not None and found.setdefault(name, state == 1) != (state == 1):
            raise Malformed("one MediaType stands twice with different State")
    return {name: found.get(name, False) for name in MEDIA.values()}


def _read(_account: VolcengineAccount, stream: VolcengineStream, reply: Reply) -> Answer:
    result, request_id = _result(reply)
    media = _media(result)
    active = any(media[name] for name in stream.media)
    return Answer(State.ACTIVE if active else State.INACTIVE, media=tuple(media.items()), request_id=request_id)


def _scope(account: VolcengineAccount, stream: VolcengineStream) -> str | None:
    return f"{_app_id(account, stream)}\n{stream.room_id}"


def _keys(_account: VolcengineAccount, stream: VolcengineStream) -> tuple[str, ...]:
    return (stream.user_id or stream.name,)


def _ask_users(_account: VolcengineAccount, scope: str, _page: int) -> Call:
    app_id, _, room_id = scope.partition("\n")
    return Call(USERS, "2023-11-01", {"AppId": app_id, "RoomId": room_id})


def _read_users(_account: VolcengineAccount, reply: Reply) -> Page:
    """Read who is in the room; presence says nothing of publishing, absence from a whole list settles it."""
    result, _ = _result(reply, LISTED_VALUES)
    users: list[str] = []
    for name in ("VisibleUserList", "InvisibleUserList"):
        listed = result.get(name)
        if listed is None:
            continue
        if not isinstance(listed, list):
            raise Malformed(f"{name} is not a list")
        users += [user if isinstance(user, str) else _user_id(user) for user in listed]
    exists = result.get("RoomExists")
    total = integer_of(result, "TotalUser") if exists is not False or result.get("TotalUser") is not None else 0
    whole = isinstance(exists, bool) and total == len(set(users)) and (exists or not users)
    return Page(dict.fromkeys(users), complete=whole)


def _user_id(user: Any) -> str:
    if not isinstance(user, dict):
        raise Malformed("a user is neither text nor an object")
    return text_of(user, "UserId")


def _sign(account: VolcengineAccount, credentials: Credentials, call: Call, moment: Moment) -> Request:
    query = [("Action", call.action), ("Version", call.version)]
    query += [(name, str(value)) for name, value in call.params.items()]
    headers = {
        "Host": host(account.endpoint),
        "X-Content-Sha256": EMPTY_SHA256,
        "X-Date": timestamp(moment, "%Y%m%dT%H%M%SZ"),
    }
    if credentials.token:
        headers["X-Security-Token"] = credentials.token.reveal()
    headers["Authorization"] = volc.authorization(
        access_key_id=credentials.key_id,
        secret_access_key=credentials.key_secret.reveal(),
        region=account.region,
        service="rtc",
        query=query,
        headers=headers,
    )
    headers["Accept"] = "application/json"
    return Request("GET", f"{account.endpoint}/?{canonical_query(query)}", headers)


def _problems(account: VolcengineAccount, stream: VolcengineStream) -> list[tuple[str, str]]:
    if _app_id(account, stream):
        return []
    return [("app_id", "is missing: set app_id here or at the account")]


PROVIDER: Provider[VolcengineAccount, VolcengineStream] = Provider(
    name="volcengine",
    title="Volcengine RTC",
    account=VolcengineAccount,
    stream=VolcengineStream,
    single=Api(action=STATE, version="2020-12-01", limit=lambda _account: 60.0, ask=_ask, read=_read),
    listings=(
        Listing(
            action=USERS,
            version="2023-11-01",
            limit=lambda _account: 40.0,
            scope=_scope,
            keys=_keys,
            ask=_ask_users,
            read=_read_users,
            absent=Answer(State.INACTIVE, media=tuple((name, False) for name in MEDIA.values())),
            largest=4 * MEBIBYTE,
        ),
    ),
    sign=_sign,
    environment={
        "access_key_id": ("VOLC_ACCESSKEY", "VOLCENGINE_ACCESS_KEY"),
        "secret_access_key": ("VOLC_SECRETKEY", "VOLCENGINE_SECRET_KEY"),
        "session_token": ("VOLCENGINE_SESSION_TOKEN",),
    },
    credentials=("access_key_id", "secret_access_key", "session_token"),
    problems=_problems,
)
