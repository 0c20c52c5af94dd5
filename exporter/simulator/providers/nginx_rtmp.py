"""The fake of nginx with the RTMP module: one page, which lists the streams of the worker that answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from exporter.model import State
from exporter.providers.authorization import parse_basic
from exporter.simulator.answers import admit, paginate
from exporter.simulator.exchange import Exchange, Outgoing, Refusal, dump_xml, refuse_if
from exporter.simulator.fake import Action, Fake, Limit, Marks
from exporter.simulator.types import DemoAccount, DemoStreams, Stream

STAT = "rtmp_stat"
PATH = "/stat"
FIRST_PID = 4000
TITLES = {"401": "401 Authorization Required", "403": "403 Forbidden", "404": "404 Not Found",
          "429": "429 Too Many Requests"}  # fmt: skip
HTML = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
    "<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
)


@dataclass
class Quirks:
    """Switches; docs/simulator.md describes each."""

    nginx_rtmp_workers: int = 1
    nginx_rtmp_reloads: int = 0
    nginx_rtmp_global: bool = False


def _check(exchange: Exchange) -> None:
    refuse_if((exchange.received.path != PATH, "404"))


def _shown(name: str) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else " " for byte in name.encode("utf-8", "surrogatepass"))


def _row(exchange: Exchange, stream: Stream) -> dict[str, Any]:
    """Return a stream as its worker shows it; what moves grows with the time since the push began."""
    now, figures, live = exchange.now, stream.figures, stream.is_active(exchange.now)
    lasted = max(0.0, now - stream.script.started(now))
    rates = (figures.video_bits, figures.audio_bits) if live and figures.is_moving(now) and lasted >= 10 else (0, 0)
    marks: dict[str, Any] = {"publishing": "", "active": ""} if live else {}
    video = {"width": figures.width, "height": figures.height, "frame_rate": figures.frames, "codec": "H264"}
    meta = {"meta": {"video": video, "audio": {"codec": "AAC", "channels": 2}}} if live else {}
    return {
        "name": _shown(stream.address["stream"]),
        "time": int(lasted * 1000),
        "bw_in": sum(rates),
        "bytes_in": stream.received(now) if live else 0,
        "bw_out": 0,
        "bytes_out": 0,
        "bw_audio": rates[1],
        "bw_video": rates[0],
        "client": [{"id": 1, "address": "192.0.2.1", "time": int(lasted * 1000), "flashver": "FMLE/3.0", **marks}],
        **meta,
        "nclients": 1,
        **marks,
    }


def _application(exchange: Exchange, app: str, streams: list[Stream]) -> dict[str, Any]:
    if exchange.world.quirks.nginx_rtmp_global:
        return {"name": _shown(app)}
    present = [_row(exchange, stream) for stream in streams if stream.is_present(exchange.now)]
    foreign = _row(exchange, streams[0])
    rows = paginate(present, 1, 1 << 30, exchange.tricks, lambda count: {**foreign, "name": f"foreign-{count}"}).rows
    return {"name": _shown(app), "live": {"stream": rows or [], "nclients": len(rows or [])}}


def _stat(exchange: Exchange) -> Outgoing:
    """Answer as the worker whose turn it is; after a reload, older streams stay with a worker that answers no more."""
    quirks, windows = exchange.world.quirks, exchange.world.memory.windows
    calls = windows[exchange.caller.name, "calls"] = windows.get((exchange.caller.name, "calls"), -1) + 1
    worker = calls % quirks.nginx_rtmp_workers
    streams = [one for one in exchange.world.group(exchange.caller) if _exists(exchange, one)]
    apps: dict[str, list[Stream]] = {}
    for number, stream in enumerate(streams):
        apps.setdefault(stream.address["app"], [])
        if number % quirks.nginx_rtmp_workers == worker and not quirks.nginx_rtmp_reloads:
            apps[stream.address["app"]].append(stream)
    applications = [_application(exchange, app, own) if own else _empty(exchange, app) for app, own in apps.items()]
    page = {
        "nginx_version": "1.22.1",
        "nginx_rtmp_version": "1.1.4",
        "pid": FIRST_PID + worker + 100 * quirks.nginx_rtmp_reloads,
        "uptime": 3600,
        "server": [{"application": [*applications, {"name": "spare", "live": {"nclients": 0}}]}],
    }
    return Outgoing("ok", page, encode=partial(dump_xml, "rtmp"))


def _empty(exchange: Exchange, app: str) -> dict[str, Any]:
    return {"name": _shown(app), **({} if exchange.world.quirks.nginx_rtmp_global else {"live": {"nclients": 0}})}


def _exists(exchange: Exchange, stream: Stream) -> bool:
    return stream.script.state(exchange.now) is not State.NOT_FOUND


def _error(_exchange: Exchange, code: str, _message: str) -> Outgoing:
    title = TITLES.get(code, f"{code} Error")
    status = int(code) if code.isdigit() else 500
    headers = {"WWW-Authenticate": 'Basic realm="stat"'} if code == "401" else {}
    return Outgoing(code, title, status, headers, "text/html", encode=lambda shown: HTML.format(shown).encode())


DEMO = (
    DemoAccount(
        "studio-nginx",
        {"username": "watcher", "password": "demo-studio-password"},
        (
            DemoStreams("studio", "gold", {"studio-main": "A"}),
            DemoStreams("studio", "silver", {"studio-spare": "AAI"}),
            DemoStreams("studio", "silver", {"studio-preview": "I"}, {"app": "preview"}, {"in_room": True}),
        ),
    ),
)

FAKE = Fake(
    name="nginx_rtmp",
    account_fields={"username": str, "password": str},
    stream_fields={"app": "live", "stream": "{name}"},
    address=("app", "stream"),
    group=lambda stream: (stream.address["app"],),
    marks=Marks(paths=(PATH,)),
    authorization=parse_basic,
    action=lambda received: STAT if received.path == PATH else "",
    quirks=Quirks,
    authenticate=lambda exchange: admit(exchange, "401"),
    denied="403",
    check=_check,
    actions={STAT: Action(_stat, lambda _exchange: Limit(1000), lambda _exchange: ())},
    messages=TITLES,
    error=_error,
    throttled=lambda _exchange, _wait: Refusal("429"),
    content_type="text/xml",
    states=tuple(f"server.*.application.*.live.stream.*.{name}" for name in ("publishing", "nclients")),
    unknown="several",
    demo=DEMO,
    demo_rank=5,
)
