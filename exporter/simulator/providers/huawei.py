"""The fake of Huawei Cloud Live: one path, which lists the streams of a push domain or looks for one of them.

It is not documented whether a stream's name is compared as a whole or as a part: a switch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from exporter.providers.encoding import sha256_hex
from exporter.providers.huawei import signing
from exporter.simulator.answers import format_time, paginate, parse_decimal, parse_time
from exporter.simulator.exchange import Exchange, Outgoing, Received, Refusal, dump, refuse_if
from exporter.simulator.fake import Action, CallbackSpec, Fake, Limit, Marks, named
from exporter.simulator.types import Callback, Event, Figures, Manners, Stream

ONLINE = "ListLiveStreamsOnline"
WINDOW = 900
FIELDS = ("access_key", "secret_key", "security_token", "project_id", "region", "callback_key")
DATE = "%Y%m%dT%H%M%SZ"
STATUS = {
    "APIGW.0101": 404, "APIGW.0301": 401, "APIGW.0301.expired": 401, "APIGW.0302": 401, "APIGW.0305": 401,
    "APIGW.0308": 429, "APIGW.0601": 500, "LIVE.100011003": 401, "LIVE.100011014": 401,
}  # fmt: skip
WRONG = "Incorrect IAM authentication information: "
MESSAGES = {
    "APIGW.0101": "The API does not exist or has not been published in the environment",
    "APIGW.0301": WRONG + "{}",
    "APIGW.0301.expired": WRONG + "calc ak sk signature fail:signature expired",
    "APIGW.0308": "The throttling threshold has been reached: policy user over ratelimit,limit:1000,time:1 minute",
    "LIVE.100011001": "Invalid request parameter.",
    "LIVE.100011003": "You do not have permission to access the API.",
}
_PATH = re.compile(r"/v1/([^/]+)/realtime/streams")


@dataclass
class Quirks:
    """Switches; docs/simulator.md describes each."""

    huawei_fuzzy: bool = False


def _read(received: Received) -> dict[str, Any]:
    """Return the query, and the project that the path names."""
    path = _PATH.fullmatch(received.path)
    return {**received.query, "project_id": unquote(path[1]) if path else ""}


def _authenticate(exchange: Exchange) -> None:
    received, given = exchange.received, exchange.authorization
    when = parse_time(received.headers.get("x-sdk-date", ""), DATE)
    refuse_if((not exchange.action or received.method != "GET", "APIGW.0101"))
    if given is None or when is None or not {"host", "x-sdk-date"} <= set(given.signed_headers):
        raise Refusal("APIGW.0301", "AK, SignedHeaders or Signature not found")
    refuse_if((abs(received.now - when) > WINDOW, "APIGW.0301.expired"))
    if exchange.account is None:
        raise Refusal("APIGW.0301", f"Get secretKey failed,ak:{given.credential},err:ak not exist")
    request = signing.canonical_request(
        method=received.method,
        path=received.path,
        query=received.query_pairs,
        headers=exchange.signed_headers(),
        body=sha256_hex(received.body),
    )
    secret, date = exchange.caller.text("secret_key"), received.headers["x-sdk-date"]
    expected = signing.SCHEME.authorization(given.credential, secret, request, date)
    token = received.headers.get("x-security-token", "")
    if token != exchange.caller.text("security_token") or exchange.expired:
        raise Refusal("APIGW.0301", "decrypt token fail")
    if not exchange.has_signature_of(expected):
        # The vendor's gateway repeats the whole request, its Authorization included.
        told = request.replace("\n", "|") + received.authorization
        raise Refusal("APIGW.0301", f"verify aksk signature fail,canonicalRequest:{told}")


def _check(exchange: Exchange) -> None:
    sent, world = exchange.parameters, exchange.world
    limit, offset = parse_decimal(sent.get("limit", "10"), 100), parse_decimal(sent.get("offset", "0"), 10**8)
    domains = exchange.caller.domains | world.owned(exchange.caller)
    refuse_if(
        (sent["project_id"] != exchange.caller.text("project_id"), "APIGW.0305"),
        (limit < 1 or offset < 0, "LIVE.100011001"),
        (sent.get("publish_domain") not in domains, "LIVE.100011001"),
        (sent.get("stream") and not sent.get("app"), "LIVE.100011001"),
    )


def _row(stream: Stream | None, now: float, domain: str, app: str, name: str) -> dict[str, Any]:
    """Return a row of a stream, or of somebody else's where there is none."""
    figures = stream.figures if stream else Figures()
    moving, began = figures.is_moving(now), stream.script.started(now) if stream else 0.0
    return {
        "publish_domain": domain, "app": app, "stream": name, "video_codec": "H264", "audio_codec": "AAC",
        "video_frame_rate": round(figures.frames) * moving, "audio_frame_rate": round(figures.audio_frames) * moving,
        "video_bitrate": figures.video_bits // 1000 * moving, "audio_bitrate": figures.audio_bits // 1000 * moving,
        "resolution": f"{figures.width}x{figures.height}", "client_ip": "192.0.2.1", "start_time": format_time(began),
    }  # fmt: skip


def _address(exchange: Exchange) -> tuple[str, ...]:
    """Return the stream's address, or the push domain to list."""
    return tuple(filter(None, named("publish_domain", "app", "stream")(exchange)))


def _is_asked_for(exchange: Exchange, stream: Stream) -> bool:
    app, name = exchange.parameters.get("app"), exchange.parameters.get("stream")
    own, fuzzy = stream.address["stream"], exchange.world.quirks.huawei_fuzzy
    return app in (None, "", stream.address["app"]) and (not name or name == own or (fuzzy and name in own))


def _online(exchange: Exchange) -> Outgoing:
    sent, now, single = exchange.parameters, exchange.now, exchange.parameters.get("stream")
    offset, limit = int(sent.get("offset", "0")), int(sent.get("limit", "10"))
    rows = [
        _row(stream, now, *exchange.fake.address_of(stream))
        for stream in exchange.world.group(exchange.caller, (sent["publish_domain"],))
        if stream.is_active(now) and _is_asked_for(exchange, stream)
    ]

    def foreign(count: int) -> dict[str, Any]:
        return _row(None, now, sent["publish_domain"], "foreign", f"foreign-{count}")

    tricks = exchange.tricks if not single else type(exchange.tricks)()
    listed = paginate(rows, offset // limit + 1, limit, tricks, foreign)
    totals = {"total_page": listed.pages, "total_num": listed.total, "offset": offset, "limit": limit}
    return _outgoing(exchange, "ok", {**totals, "streams": listed.rows})


def _outgoing(exchange: Exchange, code: str, payload: dict[str, Any], status: int = 200) -> Outgoing:
    request_id = f"{exchange.world.random.getrandbits(128):032x}"
    # The service's own errors have it in the header alone.
    payload |= {} if code.startswith("LIVE") else {"request_id": request_id}
    return Outgoing(code, payload, status, {"X-Request-Id": request_id})


def _error(exchange: Exchange, code: str, message: str) -> Outgoing:
    payload = {"error_msg": message, "error_code": code.removesuffix(".expired")}
    return _outgoing(exchange, code, payload, STATUS.get(code, 400))


def _callback(event: Event, key: str | None, _manners: Manners) -> Callback:
    """Build Huawei's callback; its signature covers all that it says, but for the time."""
    name, address, expires = "PUBLISH" if event.live else "PUBLISH_DONE", event.stream.address, int(event.sent) + 300
    place = {part: address[part] for part in ("domain", "app", "stream")}
    body = {
        **place, "event": name, "publish_timestamp": str(int(event.began[1])), "auth_timestamp": expires,
        "user_args": "hwSecret=0&hwTime=0", "client_ip": "192.0.2.1", "node_ip": "192.0.2.2",
    }  # fmt: skip
    if key is not None:
        body["auth_sign"] = signing.callback_signature(key=key, event=name, auth_timestamp=str(expires), **place)
    return Callback(name, "POST", headers={"Content-Type": "application/json"}, body=dump(body))


FAKE = Fake(
    name="huawei",
    account_fields=dict.fromkeys(FIELDS, str),
    stream_fields={"domain": None, "app": None, "stream": "{name}"},
    address=("domain", "app", "stream"),
    group=lambda stream: (stream.address["domain"],),
    owns=("domain",),
    marks=Marks(headers=("x-sdk-",), schemes=(signing.SCHEME.algorithm,)),
    authorization=signing.SCHEME.parse_authorization,
    action=lambda received: ONLINE if _PATH.fullmatch(received.path) else "",
    read=_read,
    quirks=Quirks,
    authenticate=_authenticate,
    denied="LIVE.100011003",
    check=_check,
    actions={ONLINE: Action(_online, lambda _exchange: Limit(1000, 60.0), _address)},
    messages=MESSAGES,
    error=_error,
    throttled=lambda _exchange, _wait: Refusal("APIGW.0308"),
    content_type="application/json",
    states=("total_num", "streams"),
    unknown="many",
    callbacks=CallbackSpec(key_field="callback_key", write=_callback, retries=(1,) * 3, timeout=5.0),
)
