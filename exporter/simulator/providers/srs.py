"""The fake of SRS's HTTP API: the list of streams, in the order of their random ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from zlib import crc32

from exporter.model import State
from exporter.providers.authorization import parse_basic
from exporter.simulator.answers import admit, paginate, parse_decimal
from exporter.simulator.exchange import Exchange, Outgoing, Refusal
from exporter.simulator.fake import Action, Fake, Limit, Marks
from exporter.simulator.types import Figures, Stream

STREAMS = "streams"
PATH = "/api/v1/streams/"
LEAST_ROWS, MOST_COUNT = 10, 1 << 31
SETTLING = 30.0  # seconds until the first rate
NO_LIMIT = Limit(1_000_000)
DEFAULT_VHOST = "__defaultVhost__"
ABOUT = {"server": "vid-o061359", "service": "r0184vkd", "pid": "20877"}


@dataclass
class Quirks:
    """Switches; docs/simulator.md describes each."""

    srs_idle: Literal["absent", "players"] = "absent"


def _row(
    vhost: str, app: str, name: str, now: float, received: int, figures: Figures | None, rate: int
) -> dict[str, Any]:
    """Return a stream's row; without figures nobody publishes it."""
    short = name.rpartition(".")[0] or name
    video = audio = None
    if figures is not None:
        video = {"codec": "H264", "profile": "High", "level": "4", "width": figures.width, "height": figures.height}
        audio = {"codec": "AAC", "sample_rate": 44100, "channel": 2, "profile": "LC"}
    return {
        "id": f"vid-{crc32(f'{vhost}/{app}/{name}'.encode('utf-8', 'replace')):07x}",
        "name": name,
        "vhost": f"vid-{crc32(vhost.encode('utf-8', 'replace')):07x}",
        "app": app,
        "tcUrl": f"rtmp://127.0.0.1:19353/{app}",
        "url": f"{'' if vhost == DEFAULT_VHOST else vhost}/{app}/{short}",
        "live_ms": int(now * 1000),
        "clients": 1,
        "frames": 0,
        "send_bytes": 4384,
        "recv_bytes": received,
        "kbps": {"recv_30s": rate, "send_30s": 0},
        "publish": {"active": True, "cid": "2z3hd763"} if figures is not None else {"active": False},
        "video": video,
        "audio": audio,
    }


def _of(stream: Stream, exchange: Exchange) -> dict[str, Any] | None:
    address, now, figures = stream.address, exchange.now, stream.figures
    where = (address["vhost"], address["app"], address["stream"])
    if stream.is_active(now):
        settled = now - stream.script.started(now) >= SETTLING
        rate = (figures.video_bits + figures.audio_bits) // 1000 if settled else 0
        return _row(*where, now, stream.received(now), figures, rate)
    waiting = exchange.world.quirks.srs_idle == "players" and stream.script.state(now) is not State.NOT_FOUND
    return _row(*where, now, 3469, None, 0) if waiting else None


def _list(exchange: Exchange) -> Outgoing:
    rows = [row for stream in exchange.world.group(exchange.caller) if (row := _of(stream, exchange)) is not None]
    rows.sort(key=lambda row: str(row["id"]))
    size = max(LEAST_ROWS, parse_decimal(exchange.parameters.get("count", ""), MOST_COUNT))
    foreign = Figures()
    listed = paginate(
        rows, 1, size, exchange.tricks, lambda n: _row("other", "live", f"foreign-{n}", exchange.now, n, foreign, 0)
    )
    return Outgoing("ok", {"code": 0, **ABOUT, "streams": listed.rows})


def _error(exchange: Exchange, code: str, _message: str) -> Outgoing:
    """Answer with a code under status 200, or with the bare status where the caller is not admitted."""
    if code == "401":
        return Outgoing(code, "", 401, encode=lambda _payload: b"")
    if code == "302":
        return Outgoing(code, "", 302, {"Location": PATH}, encode=lambda _payload: b"")
    return Outgoing(code, {"code": int(code)})


def _authenticate(exchange: Exchange) -> None:
    admit(exchange, "401")
    if exchange.received.path != PATH:
        raise Refusal("302")


FAKE = Fake(
    name="srs",
    account_fields={"username": str, "password": str, "token": str},
    stream_fields={"vhost": DEFAULT_VHOST, "app": "live", "stream": "{name}"},
    address=("vhost", "app", "stream"),
    group=lambda _stream: ("all",),
    marks=Marks(paths=(PATH, PATH.rstrip("/"))),
    authorization=parse_basic,
    action=lambda received: STREAMS if received.path.startswith(PATH.rstrip("/")) else "",
    quirks=Quirks,
    authenticate=_authenticate,
    denied="401",
    check=lambda _exchange: None,
    actions={STREAMS: Action(_list, lambda _exchange: NO_LIMIT, lambda _exchange: ())},
    messages={},
    error=_error,
    throttled=lambda _exchange, _wait: Refusal("1089"),
    content_type="application/json",
    states=("streams.*.publish.active", "code"),
    unknown=2,
)
