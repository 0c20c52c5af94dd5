"""The fake of Volcengine Live (2023-01-01): the service behind the gateway."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from exporter.model import State
from exporter.providers.encoding import expiry_signature
from exporter.providers.volcengine_openapi import SCHEME
from exporter.simulator.answers import format_time, paginate, parse_decimal, state_word
from exporter.simulator.exchange import Exchange, Outgoing, Refusal, refuse_if
from exporter.simulator.fake import Action, CallbackSpec, Fake, Limit
from exporter.simulator.providers import _volcengine as gateway
from exporter.simulator.types import Callback, Event, Manners, Stream

STATE = "DescribeLiveStreamState"
ONLINE = "DescribeLiveStreamInfoByPage"
SERVICE = "live"
VERSIONS = dict.fromkeys((STATE, ONLINE), "2023-01-01")
STATES = {State.ACTIVE: "online", State.INACTIVE: "offline", State.FORBIDDEN: "forbidden"}
CALLBACK_SECONDS = 600
VHOST = "space.example"  # of streams that are known by a domain alone, and the other way round
MESSAGES = {
    **gateway.MESSAGES,
    "InvalidParameter": "The specified parameter is not valid.",
    "InvalidParameter.Stream": "The stream does not exist.",
}
_APP = re.compile(r"[A-Za-z0-9_.-]{1,30}")


@dataclass
class Quirks:
    """Switches; docs/simulator.md describes each."""

    volcengine_live_absent: str = "offline"
    volcengine_live_count: Literal["all", "page"] = "all"


def _quirks(exchange: Exchange) -> Quirks:
    quirks: Quirks = exchange.world.quirks
    return quirks


def _check(exchange: Exchange) -> None:
    query = exchange.received.query
    if exchange.action == STATE:
        refuse_if(
            (bool(query.get("Vhost")) == bool(query.get("Domain")), "InvalidParameter"),
            (not _APP.fullmatch(query.get("App", "")), "InvalidParameter"),
            (not query.get("Stream"), "InvalidParameter"),
        )
    else:
        number, size = (parse_decimal(query.get(name, ""), 1 << 31) for name in ("PageNum", "PageSize"))
        refuse_if((number < 1 or not 1 <= size <= 1000, "InvalidParameter"))


def _address(exchange: Exchange) -> tuple[str, ...]:
    query = exchange.parameters
    return (query.get("Vhost", ""), query.get("Domain", "").lower(), query.get("App", ""), query.get("Stream", ""))


def _state(exchange: Exchange) -> Outgoing:
    stream = exchange.stream
    word = state_word(exchange, stream, STATES, _quirks(exchange).volcengine_live_absent)
    return gateway.result(exchange, SERVICE, {"stream_state": word, "type": stream.ingest if stream else "push"})


def _row(number: int, stream: Stream, now: float) -> dict[str, Any]:
    address = stream.address
    return {
        "ID": number,
        "Vhost": address.get("vhost") or VHOST,
        "Domain": address.get("domain") or f"push.{VHOST}",
        "App": address["app"],
        "Stream": address["stream"],
        "SessionStartTime": format_time(stream.script.started(now), "%Y-%m-%dT%H:%M:%S.000Z"),
        "SourceType": "push" if stream.ingest == "push" else "relay",
    }


def _foreign(count: int) -> dict[str, Any]:
    return {
        "ID": 1_000_000 + count,
        "Vhost": "foreign.example",
        "Domain": "push.foreign.example",
        "App": "live",
        "Stream": f"foreign-{count}",
        "SessionStartTime": "2026-01-01T00:00:00.000Z",
        "SourceType": "push",
    }


def _online(exchange: Exchange) -> Outgoing:
    query, now = exchange.received.query, exchange.now
    streams = [stream for stream in exchange.world.group(exchange.caller) if stream.is_active(now)]
    rows = [_row(number, stream, now) for number, stream in enumerate(streams, 1)]
    for name in ("Vhost", "Domain", "App", "Stream"):
        rows = [row for row in rows if query.get(name) in (None, "", row[name])]
    listed = paginate(rows, int(query["PageNum"]), int(query["PageSize"]), exchange.tricks, _foreign)
    of_page = _quirks(exchange).volcengine_live_count == "page"
    count = len(listed.rows or ()) if of_page else listed.total
    return gateway.result(exchange, SERVICE, {"StreamInfoList": listed.rows, "RoughCount": count})


def _error(exchange: Exchange, code: str, message: str) -> Outgoing:
    return gateway.error(exchange, SERVICE, code, message, 400)


def _callback(event: Event, secret: str | None, manners: Manners) -> Callback:
    """Build the callback; without a key in the console it has neither `sign` nor `t`."""
    address, name, at = event.stream.address, "push_start" if event.live else "push_end", int(event.at)
    told: dict[str, Any] = {
        "vhost": address.get("vhost") or VHOST, "domain": address.get("domain") or f"push.{VHOST}",
        "app": address["app"], "stream": address["stream"], "event_type": name,
    }  # fmt: skip
    detail = {
        "time": at, "time_ms": int(event.at * 1000), "transcoded": False, "priority": 0, "backup_count": 0,
        "session_id": f"session-{event.began[0]}", "sequence_id": event.number, "fp_node_ip": "192.0.2.1",
        "fp_client_ip": "192.0.2.2", "fp_user_url": "rtmp://push.example/live/x?volcSecret=made-up&volcTime=made-up",
    }  # fmt: skip
    signed: dict[str, Any] = {}
    if secret is not None:
        signed = {"sign": expiry_signature(key=secret, t=at + CALLBACK_SECONDS), "t": at + CALLBACK_SECONDS}
    fields = {**told, **detail, **signed}
    if manners.body == "nested":
        fields = {"code": 0, "message": "ok", **signed, "data": {**told, "detail": detail}}
    return Callback(name, "POST", "", {"Content-Type": "application/json"}, json.dumps(fields).encode())


FAKE = Fake(
    name="volcengine_live",
    account_fields=dict.fromkeys(
        ("access_key_id", "secret_access_key", "session_token", "callback_key", "region"), str
    ),
    stream_fields={"vhost": "", "domain": "", "app": None, "stream": "{name}"},
    address=("vhost", "domain", "app", "stream"),
    group=lambda stream: (stream.address["app"],),
    marks=gateway.marks(VERSIONS),
    authorization=SCHEME.parse_authorization,
    quirks=Quirks,
    authenticate=lambda exchange: gateway.authenticate(exchange, SERVICE, VERSIONS),
    denied="AccessDenied",
    check=_check,
    actions={
        STATE: Action(_state, lambda _exchange: Limit(10), _address),
        ONLINE: Action(_online, lambda _exchange: Limit(10), lambda _exchange: ()),
    },
    messages=MESSAGES,
    error=_error,
    throttled=lambda _exchange, _wait: Refusal("FlowLimitExceeded"),
    content_type="application/json; charset=utf-8",
    states=("Result.stream_state", "Result.StreamInfoList"),
    unknown="paused",
    callbacks=CallbackSpec(key_field="callback_key", write=_callback, retries=(3, 3, 3), timeout=4.0),
)
