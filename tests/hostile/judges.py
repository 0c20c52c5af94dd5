"""What an answer may be taken for, decided without the exporter: strict, and as the vendors document it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from exporter.model import Reply, State, Stream

APP_ID = "661e0000000000000543cf00"
Judge = Callable[[dict[str, Any]], State | None]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)


def _no(text: str) -> Any:
    raise ValueError(text)


def document(reply: Reply) -> dict[str, Any] | None:
    """Return the answer's object, or None where no answer can be definite."""
    if reply.status != 200 or reply.headers.get("age", "0").strip(" 0"):
        return None
    try:
        text = reply.body.decode("utf-8-sig")
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_no)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _names(value: Any) -> list[str]:
    """Return the lower-case names of all members that say something, at any depth."""
    if isinstance(value, list):
        return [name for part in value for name in _names(part)]
    if not isinstance(value, dict):
        return []
    own = [name.lower() for name, part in value.items() if part is not None]
    return own + [name for part in value.values() for name in _names(part)]


def _tells_of_error(found: dict[str, Any]) -> bool:
    return bool({"error", "code", "message"} & set(_names(found)))


def _zego(found: dict[str, Any]) -> State | None:
    code = found.get("Code")
    if _tells_of_error({name: value for name, value in found.items() if name not in ("Code", "Message")}):
        return None
    return {0: State.ACTIVE, 41006: State.INACTIVE, 41004: State.NOT_FOUND}.get(code) if type(code) is int else None


def _word(found: Any, error: str, words: dict[str, State]) -> State | None:
    if not isinstance(found, dict) or found.get(error) is not None:
        return None
    word = found.get("StreamState")
    return words.get(word) if isinstance(word, str) else None


def _tencent(found: dict[str, Any]) -> State | None:
    words = {"active": State.ACTIVE, "inactive": State.INACTIVE, "forbid": State.FORBIDDEN}
    return None if _tells_of_error(found) else _word(found.get("Response"), "Error", words)


def _alibaba(found: dict[str, Any]) -> State | None:
    words = {"online": State.ACTIVE, "offline": State.INACTIVE, "forbidden": State.FORBIDDEN}
    nested = found.get("DescribeLiveStreamStateResponse")
    if _tells_of_error(found):
        return None
    return _word(found if nested is None else nested, "Code", words)


def _volcengine(found: dict[str, Any]) -> State | None:
    metadata, result = found.get("ResponseMetadata"), found.get("Result")
    if not isinstance(metadata, dict) or _tells_of_error(found) or not isinstance(result, dict):
        return None
    if metadata.get("Action") not in (None, "GetUserStreamState") or result.get("UserId") not in (None, "caster"):
        return None
    if result.get("RoomId") not in (None, "board") or result.get("AppId") not in (None, APP_ID):
        return None
    rows = result.get("StreamStates")
    rows = [] if rows is None else rows
    if not isinstance(rows, list) or not all(_is_row(row) for row in rows):
        return None
    published = {row["MediaType"] for row in rows if row["State"]}
    if published - {"Audio", "Video", "ScreenAudio", "ScreenVideo"}:
        return None
    return State.ACTIVE if published else State.INACTIVE


def _is_row(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and isinstance(row.get("MediaType"), str)
        and type(row.get("State")) is int
        and row["State"] in (0, 1)
    )


SINGLE: dict[str, Judge] = {"zego": _zego, "tencent": _tencent, "alibaba": _alibaba, "volcengine": _volcengine}


def verdict(provider: str, reply: Reply) -> State | None:
    """Return the only definite state for which a single stream's answer may be taken, or None for none at all."""
    found = document(reply)
    return None if found is None else SINGLE[provider](found)


def _objects(found: Any) -> list[dict[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _is_domain(told: Any, domain: str) -> bool:
    return isinstance(told, str) and told.lower().removesuffix(".") == domain


def _in_online(found: dict[str, Any], stream: Any) -> bool:
    rows = _objects(found["Response"].get("OnlineInfo"))
    return any(_is_domain(row.get("DomainName"), stream.domain) and _is_of(row, stream) for row in rows)


def _in_backup(found: dict[str, Any], stream: Any) -> bool:
    groups = _objects(found["Response"].get("StreamInfoList"))
    pushes = [
        {**push, "StreamName": one.get("StreamName")} for one in groups for push in _objects(one.get("BackupList"))
    ]
    return any(_is_domain(push.get("DomainName"), stream.domain) and _is_of(push, stream) for push in pushes)


def _in_alibaba(found: dict[str, Any], stream: Any) -> bool:
    found = found.get("DescribeLiveStreamsOnlineListResponse", found)
    return any(
        _is_domain(row.get("DomainName"), stream.streaming_domain)
        and _is_domain(row.get("PublishDomain"), stream.domain)
        and _is_of(row, stream)
        for row in _objects(found["OnlineInfo"].get("LiveStreamOnlineInfo"))
    )


def _is_of(row: dict[str, Any], stream: Any) -> bool:
    return (row.get("AppName"), row.get("StreamName")) == (stream.app, stream.stream or stream.name)


LISTED: dict[str, Callable[[dict[str, Any], Stream], bool]] = {
    "DescribeLiveStreamOnlineList": _in_online,
    "DescribeBackupStreamList": _in_backup,
    "DescribeLiveStreamsOnlineList": _in_alibaba,
}
"""Whether a list says of this very stream that it is being published, by the list's action."""
