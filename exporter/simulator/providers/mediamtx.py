"""The fake of MediaMTX's Control API, version 3: the list of paths, in order of their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from exporter.model import State
from exporter.providers.authorization import parse_basic
from exporter.simulator.answers import admit, format_time, paginate, parse_decimal
from exporter.simulator.exchange import Exchange, Outgoing, Refusal, refuse_if
from exporter.simulator.fake import Action, Fake, Limit, Marks
from exporter.simulator.types import Stream

PATHS = "paths"
MESSAGES = {
    "400": "invalid items per page",
    "401": "authentication error",
    "404": "path not found",
    "500": "terminated",
}
NEVER = "0001-01-01T00:00:00Z"
NO_LIMIT = Limit(1_000_000)
# How a path stands in the list whose source brings nothing: what is available and online, and the source.
IDLE: dict[str, tuple[bool, bool, str]] = {
    "configured": (False, False, ""),
    "retrying": (False, True, "rtmpSource"),
    "redirect": (False, True, "redirect"),
    "slate": (True, False, ""),
}


@dataclass
class Quirks:
    """Switches; docs/simulator.md describes each."""

    mediamtx_idle: Literal["absent", "configured", "retrying", "redirect", "slate"] = "absent"
    mediamtx_version: Literal["1.20", "1.15"] = "1.20"


def _times(what: str, began: float | None, on: bool) -> dict[str, Any]:
    """Return a flag and its time, with nanoseconds as Go writes them; a time that was never set is in the year 1."""
    time = None if not on else NEVER if began is None else f"{format_time(began)[:-1]}.{int(began % 1 * 1e9):09d}Z"
    return {what: on, f"{what}Time": time}


def _row(
    name: str, available: bool, online: bool, source: str, began: float | None, received: int, stream: Stream | None
) -> dict[str, Any]:
    figures = stream.figures if stream is not None else None
    video = {"codec": "H264", "codecProps": {"width": figures.width, "height": figures.height}} if figures else None
    tracks = [{"codec": "MPEG-4 Audio", "codecProps": {"sampleRate": 48000, "channelCount": 2}}] if available else []
    tracks += [video] if available and video else []
    return {
        "name": name,
        "confName": "all_others",
        **_times("ready", began, available),
        **_times("available", began, available),
        **_times("online", began, online),
        "source": {"type": source, "id": "" if began is None else "e1fdb2a4"} if source else None,
        "tracks": [track["codec"] for track in tracks],
        "tracks2": tracks,
        "readers": [],
        **dict.fromkeys(("inboundBytes", "bytesReceived"), received),
        **dict.fromkeys(("outboundBytes", "inboundFramesInError", "bytesSent"), 0),
    }


def _of(stream: Stream, exchange: Exchange) -> dict[str, Any] | None:
    """Return a path's row; None for one that nobody publishes, unless it is configured."""
    name, now, idle = stream.address["path"], exchange.now, exchange.world.quirks.mediamtx_idle
    if stream.is_active(now):
        began, source = stream.script.started(now), "srtConn" if stream.ingest == "push" else "srtSource"
        return _row(name, True, True, source, began, stream.received(now), stream)
    if idle == "absent" or stream.script.state(now) is State.NOT_FOUND:
        return None
    available, online, source = IDLE[idle]
    return _row(name, available, online, source, 0.0 if available else None, int(now * 1000) if available else 0, None)


def _list(exchange: Exchange) -> Outgoing:
    rows = [row for stream in exchange.world.group(exchange.caller) if (row := _of(stream, exchange)) is not None]
    rows.sort(key=lambda row: str(row["name"]))
    number, size = int(exchange.parameters.get("page", 0)) + 1, int(exchange.parameters.get("itemsPerPage", 100))
    listed = paginate(rows, number, size, exchange.tricks, lambda n: _row(f"!{n}", True, True, "rtmpConn", 1, n, None))
    items = listed.rows
    if items and exchange.world.quirks.mediamtx_version == "1.15":
        later = {"available", "availableTime", "online", "onlineTime", "inboundBytes", "outboundBytes"}
        items = [{name: value for name, value in row.items() if name not in later} for row in items]
    return Outgoing("ok", {"itemCount": listed.total, "pageCount": listed.pages, "items": items})


def _check(exchange: Exchange) -> None:
    size, page = (exchange.parameters.get(name, default) for name, default in (("itemsPerPage", "1"), ("page", "0")))
    refuse_if((parse_decimal(size, 1 << 31) < 1 or parse_decimal(page, 1 << 31) < 0, "400"))


def _error(_exchange: Exchange, code: str, message: str) -> Outgoing:
    return Outgoing(code, {"status": "error", "error": message}, int(code))


FAKE = Fake(
    name="mediamtx",
    account_fields={"username": str, "password": str, "token": str},
    stream_fields={"path": "{name}"},
    address=("path",),
    group=lambda _stream: ("all",),
    marks=Marks(paths=("/v3/paths/list",)),
    authorization=parse_basic,
    action=lambda received: PATHS if received.path == "/v3/paths/list" else "",
    quirks=Quirks,
    authenticate=lambda exchange: admit(exchange, "401"),
    denied="401",
    check=_check,
    actions={PATHS: Action(_list, lambda _exchange: NO_LIMIT, lambda _exchange: ())},
    messages=MESSAGES,
    error=_error,
    throttled=lambda _exchange, _wait: Refusal("429"),
    content_type="application/json; charset=utf-8",
    states=("items.*.online", "itemCount"),
    unknown=2,
)
