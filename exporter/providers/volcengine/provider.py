"""Volcengine RTC OpenAPI: GetUserStreamState (2020-12-01), and GetRoomOnlineUsers (2023-11-01) for rooms."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from exporter.fields import Endpoint, SecretField, ShortId, Text, short_id_problem
from exporter.model import Account, Answer, Call, Credentials, Moment, Reply, Request, State, Stream
from exporter.providers import reading
from exporter.providers import volcengine_openapi as openapi
from exporter.providers.document import LISTED_VALUES
from exporter.providers.interface import MEBIBYTE, Api, Listing, Malformed, Page, Provider

STATE = "GetUserStreamState"
USERS = "GetRoomOnlineUsers"
SERVICE = "rtc"
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

    room_id: ShortId = Field(description="RoomId")
    user_id: ShortId | None = Field(None, description="UserId; default: name")
    app_id: Text | None = Field(None, description="AppId; default: the account's")
    media: list[Media] = Field(
        default_factory=lambda: list(MEDIA.values()),  # type: ignore[arg-type]
        min_length=1,
        description="media types that count: the stream is active while any of them is published",
    )
    media_expected: list[Media] = Field(
        default_factory=list, description="those of them that a live stream must have; it is degraded without one"
    )

    @property
    def expected_media(self) -> list[Media]:
        """The media types that must be published."""
        return self.media_expected


def _app_id(account: VolcengineAccount, stream: VolcengineStream) -> str:
    return stream.app_id or account.app_id or ""


def _ask(account: VolcengineAccount, stream: VolcengineStream) -> Call:
    user = stream.user_id or stream.name
    return Call(STATE, "2020-12-01", {"AppId": _app_id(account, stream), "RoomId": stream.room_id, "UserId": user})


def _media(result: dict[str, Any], call: Call) -> dict[str, bool]:
    """Return for each media type whether it is published; a type that is not listed is not."""
    states: dict[str, bool] = {}
    for row in reading.rows_of(result, "StreamStates"):
        if len(row) > 2:  # more than MediaType and State
            reading.check_echo(row, call.params)
        kind, published = reading.text_of(row, "MediaType"), reading.choice_of(row, "State", {0: False, 1: True})
        if states.setdefault(kind.lower(), published) != published:
            raise Malformed("one MediaType stands twice with different State")
        # It is not known whether such a type makes the stream active.
        if published and kind not in MEDIA:
            raise Malformed("a MediaType that is not known is published")
    return {name: states.get(kind.lower(), False) for kind, name in MEDIA.items()}


def _read(_account: VolcengineAccount, stream: VolcengineStream, call: Call, reply: Reply) -> Answer:
    result, request_id = openapi.result(reply, call, SERVICE)
    media = _media(result, call)
    active = any(media[name] for name in stream.media)
    return Answer(State.ACTIVE if active else State.INACTIVE, media=tuple(media.items()), request_id=request_id)


def _scope(account: VolcengineAccount, stream: VolcengineStream) -> str | None:
    return f"{_app_id(account, stream)}\n{stream.room_id}"


def _keys(_account: VolcengineAccount, stream: VolcengineStream) -> tuple[str, ...]:
    return (stream.user_id or stream.name,)


def _ask_users(_account: VolcengineAccount, scope: str, _page: int) -> Call:
    app_id, _, room_id = scope.partition("\n")
    return Call(USERS, "2023-11-01", {"AppId": app_id, "RoomId": room_id})


def _read_users(_account: VolcengineAccount, _scope: str, call: Call, reply: Reply) -> Page:
    """Read who is in the room. Only absence proves something: a user who is not there publishes nothing.

    The list is complete only if it has both parts, nobody appears twice, and its total agrees.
    """
    result, _ = openapi.result(reply, call, SERVICE, LISTED_VALUES)
    lists = [result.get(name) for name in ("VisibleUserList", "InvisibleUserList")]
    if not all(listed is None or isinstance(listed, list) for listed in lists):
        raise Malformed("a list of users is not a list")
    users = [user if isinstance(user, str) else _user_id(user) for listed in lists for user in listed or ()]
    exists = result.get("RoomExists")
    total = reading.integer_of(result, "TotalUser", -1)
    agrees = total == len(users) == len(set(users)) and (exists is True or (exists is False and not users))
    return Page(dict.fromkeys(users), complete=agrees and None not in lists)


def _user_id(user: Any) -> str:
    if not isinstance(user, dict):
        raise Malformed("a user is neither text nor an object")
    return reading.text_of(user, "UserId")


def _sign(account: VolcengineAccount, credentials: Credentials, call: Call, moment: Moment) -> Request:
    return openapi.sign(account, credentials, call, moment, (account.region, SERVICE))


def _problems(account: VolcengineAccount, stream: VolcengineStream) -> list[tuple[str, str]]:
    problems = [] if _app_id(account, stream) else [("app_id", "is missing: set app_id here or at the account")]
    if stream.user_id is None and (problem := short_id_problem(stream.name)):
        problems.append(("name", f"{problem}, where it is the UserId; or give user_id"))
    if unwatched := [kind for kind in stream.media_expected if kind not in stream.media]:
        problems.append(("media_expected", f"has {', '.join(unwatched)}, which media does not"))
    if len(set(stream.media_expected)) < len(stream.media_expected):
        problems.append(("media_expected", "has a type twice"))
    return problems


PROVIDER: Provider[VolcengineAccount, VolcengineStream] = Provider(
    name="volcengine",
    title="Volcengine RTC",
    aliases=("volc", "volc_rtc", "vertc", "byteplus"),
    account=VolcengineAccount,
    stream=VolcengineStream,
    # The action has no public page of its own. How to call the RTC OpenAPI: https://www.volcengine.com/docs/6348/69828
    single=Api(action=STATE, limit=lambda _account: 60.0, ask=_ask, read=_read),
    listings=(
        # https://www.volcengine.com/docs/6348/1188355
        Listing(
            action=USERS,
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
    hides=openapi.HIDES,
    metric_sources={"stream_state": STATE, "stream_media_active": f"Volcengine {STATE}"},
    environment=openapi.ENVIRONMENT,
    credentials=openapi.CREDENTIALS,
    sources=openapi.SOURCES,
    problems=_problems,
)
