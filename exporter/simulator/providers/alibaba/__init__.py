"""The fake of Alibaba ApsaraVideo Live (live 2016-11-01): both signature styles, V3 and RPC.

RPC calls without Format return XML, the vendor's default. The gateway's order of checks is not documented.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode
from xml.sax.saxutils import escape  # nosec B406 - writes, reads nothing

from exporter.model import State
from exporter.providers.alibaba import rpc_signing as acs_rpc
from exporter.providers.alibaba import signing as acs3
from exporter.providers.encoding import sha256_hex
from exporter.simulator.answers import paginate, parse_decimal, parse_time, state_word, uuid
from exporter.simulator.exchange import Exchange, Outgoing, Received, Refusal, refuse_if
from exporter.simulator.fake import Action, CallbackSpec, Fake, Limit, Marks, named
from exporter.simulator.providers.alibaba.demo import DEMO
from exporter.simulator.providers.alibaba.rows import online_row, rates_row
from exporter.simulator.types import Callback, Event, Figures, Manners, Stream

STATE = "DescribeLiveStreamState"
ONLINE = "DescribeLiveStreamsOnlineList"
RATES = "DescribeLiveDomainFrameRateAndBitRateData"
VERSION = "2016-11-01"
WINDOW = 900
STATES = {State.ACTIVE: "online", State.INACTIVE: "offline", State.FORBIDDEN: "forbidden"}
_XML = b"<?xml version='1.0' encoding='UTF-8'?>"
SIGNED = {
    "host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version",
}  # fmt: skip
REQUIRED = {
    STATE: ("AppName", "DomainName", "StreamName"), ONLINE: ("DomainName",), RATES: ("DomainName", "QueryTime"),
}  # fmt: skip
STATUS = {
    "InvalidAccessKeyId.NotFound": 404, "InvalidApi.NotFound": 404, "InvalidDomain.NotFound": 404,
    "IllegalOperation": 403, "Forbidden.RAM": 403, "InternalError": 500, "ServiceUnavailable": 503,
}  # fmt: skip
MESSAGES = {
    "UnsupportedHTTPMethod": "This http method is not supported.",
    "NoSuchVersion": "The specified version does not exist.",
    "InvalidApi.NotFound": "Specified api is not found, please check your url and method.",
    "InvalidParameter.Format": "The specified format is not valid.",
    "IncompleteSignature": "The request signature does not conform to the standards.",
    "InvalidAccessKeyId.NotFound": "Specified access key is not found.",
    "MissingSecurityToken": "SecurityToken is mandatory for this action.",
    "InvalidSecurityToken.MismatchWithAccessKey": "Specified SecurityToken mismatch with the AccessKey.",
    "InvalidSecurityToken.Expired": "Specified SecurityToken is expired.",
    "IllegalTimestamp": "The input parameter Timestamp that is mandatory is not supplied.",
    "InvalidTimeStamp.Format": "Specified time stamp or date value is not well formatted.",
    "InvalidTimeStamp.Expired": "Specified time stamp or date value is expired.",
    "InvalidSignatureMethod": "Specified signature method is not valid.",
    "SignatureDoesNotMatch": "Specified signature does not match our calculation. server string to sign is:{}",
    "SignatureNonceUsed": "Specified signature nonce was used already.",
    "Forbidden.RAM": "User not authorized to operate on the specified resource.",
    "Throttling.User": "Request was denied due to user flow control.",
    **{
        f"Missing{name}": f"{name} is mandatory for this action."
        for name in ("Action", "Version", "SignatureNonce", *REQUIRED[STATE], "QueryTime")
    },
}


@dataclass
class Quirks:
    """Switches; docs/simulator.md describes each."""

    alibaba_envelope: Literal["flat", "nested"] = "flat"
    alibaba_absent: str = "offline"
    alibaba_foreign_domain: str = "InvalidDomain.NotFound"
    alibaba_publish_domain: bool = True
    alibaba_retry_hints: bool = False
    alibaba_rates_seconds: float = 240.0


def _form(received: Received) -> list[tuple[str, str]]:
    if not received.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return []
    return parse_qsl(received.body.decode("utf-8", "replace"), keep_blank_values=True)


def _is_rpc(exchange: Exchange) -> bool:
    marks = {"AccessKeyId", "SignatureMethod", "Signature"}
    return not exchange.received.authorization and not marks.isdisjoint(exchange.parameters)


def _format(exchange: Exchange) -> str:
    return str(exchange.parameters.get("Format", "xml")).lower() if _is_rpc(exchange) else "json"


def _authenticate(exchange: Exchange) -> None:
    received = exchange.received
    version = exchange.parameters.get("Version") or received.headers.get("x-acs-version", "")
    refuse_if(
        (received.method not in ("GET", "POST"), "UnsupportedHTTPMethod"),
        (not exchange.action, "MissingAction"),
        (not version, "MissingVersion"),
        (version != VERSION, "NoSuchVersion"),
        (exchange.action not in REQUIRED, "InvalidApi.NotFound"),
        (_format(exchange) not in ("json", "xml"), "InvalidParameter.Format"),
        (not exchange.key, "IncompleteSignature"),
        (exchange.account is None, "InvalidAccessKeyId.NotFound"),
    )
    token, given = exchange.caller.text("security_token"), exchange.common_parameter("security-token", "SecurityToken")
    date = exchange.common_parameter("date", "Timestamp")
    when = parse_time(date)
    refuse_if(
        (token and not given, "MissingSecurityToken"),
        (given != token, "InvalidSecurityToken.MismatchWithAccessKey"),
        (exchange.expired, "InvalidSecurityToken.Expired"),
        (not date, "IllegalTimestamp"),
        (when is None, "InvalidTimeStamp.Format"),
        (abs(received.now - (when or 0.0)) > WINDOW, "InvalidTimeStamp.Expired"),
    )
    (_verify_rpc if _is_rpc(exchange) else _verify_v3)(exchange)
    _use_nonce(exchange)


def _verify_v3(exchange: Exchange) -> None:
    received, given = exchange.received, exchange.authorization
    if given is None or not set(given.signed_headers) & set(received.headers) >= SIGNED:
        raise Refusal("IncompleteSignature")
    headers = {**exchange.signed_headers(), "x-acs-content-sha256": sha256_hex(received.body)}
    signed: Any = {
        "method": received.method, "query": received.query_pairs, "headers": headers, "path": received.path,
    }  # fmt: skip
    secret = exchange.caller.text("access_key_secret")
    if not exchange.has_signature_of(
        acs3.authorization(access_key_id=given.credential, access_key_secret=secret, **signed)
    ):
        request = acs3.canonical_request(**signed)
        raise Refusal("SignatureDoesNotMatch", acs3.SCHEME.string_to_sign(request))


def _verify_rpc(exchange: Exchange) -> None:
    received, sent = exchange.received, exchange.parameters
    refuse_if(
        (sent.get("SignatureMethod", "HMAC-SHA1") != "HMAC-SHA1", "InvalidSignatureMethod"),
        (sent.get("SignatureVersion", "1.0") != "1.0", "InvalidSignatureMethod"),
        (not sent.get("Signature"), "IncompleteSignature"),
    )
    pairs, secret = received.query_pairs + _form(received), exchange.caller.text("access_key_secret")
    expected = acs_rpc.signature(access_key_secret=secret, method=received.method, query=pairs)
    if not hmac.compare_digest(expected.encode(), sent["Signature"].encode("utf-8", "replace")):
        raise Refusal("SignatureDoesNotMatch", acs_rpc.string_to_sign(method=received.method, query=pairs))


def _use_nonce(exchange: Exchange) -> None:
    nonces, now = exchange.world.memory.nonces, exchange.now
    key = (exchange.caller.name, exchange.common_parameter("signature-nonce", "SignatureNonce"))
    is_used = now - nonces.get(key, -1e12) < 2 * WINDOW
    refuse_if((not key[1], "MissingSignatureNonce"), (is_used, "SignatureNonceUsed"))
    nonces.pop(key, None)
    nonces[key] = now
    # The oldest comes first: for each nonce stored, up to two expired ones are removed.
    for old in list(islice(nonces, 2)):
        if now - nonces[old] >= 2 * WINDOW:
            del nonces[old]


def _check(exchange: Exchange) -> None:
    for name in REQUIRED[exchange.action]:
        if not exchange.parameters.get(name):
            raise Refusal(f"Missing{name}")


def _foreign(exchange: Exchange) -> str | None:
    """Refuse a domain of another account, or return the state to report for it; None for the account's own."""
    account, quirk = exchange.caller, exchange.world.quirks.alibaba_foreign_domain
    if exchange.parameters["DomainName"] in account.domains | exchange.world.owned(account):
        return None
    if quirk not in STATES.values():
        raise Refusal(quirk, message="The domain provided does not belong to you.")
    return str(quirk)


def _outgoing(exchange: Exchange, code: str, fields: dict[str, Any], root: str, status: int = 200) -> Outgoing:
    payload = {"RequestId": uuid(exchange.world.random).upper(), **fields}
    outgoing = Outgoing(code, payload, status)
    if _format(exchange) == "xml":
        outgoing.content_type = "text/xml;charset=utf-8"
        outgoing.encode = lambda spoiled: _XML + _element(root, spoiled).encode(errors="xmlcharrefreplace")
    elif code == "ok" and exchange.world.quirks.alibaba_envelope == "nested":
        outgoing.payload = {root: payload}
    return outgoing


def _element(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "".join(_element(name, part) for part in value)
    is_object = isinstance(value, dict)
    inner = "".join(_element(*pair) for pair in value.items()) if is_object else escape(str(value))
    return f"<{name}>{inner}</{name}>"


def _reply(exchange: Exchange, fields: dict[str, Any]) -> Outgoing:
    return _outgoing(exchange, "ok", fields, f"{exchange.action}Response")


def _error(exchange: Exchange, code: str, message: str) -> Outgoing:
    fields = {
        "HostId": exchange.received.headers.get("host", ""),
        "Code": code,
        "Message": message,
        "Recommend": f"https://api.alibabacloud.com/troubleshoot?q={code}&product=live",
    }
    return _outgoing(exchange, code, fields, "Error", STATUS.get(code, 400))


def _throttled(exchange: Exchange, wait: float) -> Refusal:
    milliseconds = max(1, round(wait * 1000))
    hints = {
        "x-acs-retry-after": str(milliseconds),
        "x-ratelimit-user-api": f"Limit:1,Remain:0,TimeLeft:{milliseconds},Reset:{int(exchange.now + wait) * 1000}",
    }
    return Refusal("Throttling.User", headers=hints if exchange.world.quirks.alibaba_retry_hints else {})


def _streamed(exchange: Exchange) -> Stream | None:
    """Return a stream by its streaming domain; if several ingest domains have it, prefer a live one."""
    requested = (exchange.parameters["AppName"], exchange.parameters["StreamName"])
    streams = exchange.world.group(exchange.caller, (exchange.parameters["DomainName"],))
    named = [each for each in streams if (each.address["app"], each.address["stream"]) == requested]
    return next((each for each in named if each.is_active(exchange.now)), named[0] if named else None)


def _state(exchange: Exchange) -> Outgoing:
    stream = exchange.stream or _streamed(exchange)
    word = _foreign(exchange) or state_word(exchange, stream, STATES, exchange.world.quirks.alibaba_absent)
    return _reply(exchange, {"StreamState": word, "Type": stream.ingest if stream else "push"})


def _is_asked_for(stream: Stream, sent: dict[str, Any]) -> bool:
    app, own = stream.address["app"], stream.address["stream"]
    requested = sent.get("StreamName") or own
    fuzzy = sent.get("QueryType", "fuzzy") == "fuzzy"
    return sent.get("AppName", app) == app and (requested in own if fuzzy else requested == own)


def _is_shown(exchange: Exchange, place: int, name: str) -> bool:
    if exchange.parameters.get("OnlyStream") == "yes":
        return place < 4
    return exchange.world.quirks.alibaba_publish_domain or name not in ("PublishDomain", "PublishUrl")


def _online(exchange: Exchange) -> Outgoing:
    sent, now, domain = exchange.parameters, exchange.now, exchange.parameters["DomainName"]
    number, size = parse_decimal(sent.get("PageNum", "1"), 10**8), parse_decimal(sent.get("PageSize", "2000"), 3000)
    refuse_if((number < 1, "InvalidPageNum.Malformed"), (size < 1, "InvalidPageSize.Malformed"))
    _foreign(exchange)
    rows = [
        online_row(stream.figures, domain, stream.script.started(now), *exchange.fake.address_of(stream))
        for stream in exchange.world.group(exchange.caller, (domain,))
        if stream.is_active(now) and _is_asked_for(stream, sent)
    ]

    def foreign(count: int) -> dict[str, Any]:
        return online_row(Figures(), domain, 0, domain, "foreign", f"foreign-{count}")

    listed = paginate(rows, number, size, exchange.tricks, foreign)
    shown = listed.rows and [
        {name: value for place, (name, value) in enumerate(row.items()) if _is_shown(exchange, place, name)}
        for row in listed.rows
    ]
    totals = {"PageNum": number, "PageSize": size, "TotalNum": listed.total, "TotalPage": listed.pages}
    return _reply(exchange, {**totals, "OnlineInfo": {"LiveStreamOnlineInfo": shown}})


def _rates(exchange: Exchange) -> Outgoing:
    """Answer what arrived from the streams of an ingest domain at a time; nothing is known of the last minutes."""
    sent = exchange.parameters
    at = parse_time(sent["QueryTime"])
    if at is None:
        raise Refusal("InvalidQueryTime.Malformed", message="Specified QueryTime is malformed.")
    _foreign(exchange)
    rows = [
        rates_row(stream.figures, stream.figures.is_moving(at), *exchange.fake.address_of(stream))
        for stream in exchange.world.group(exchange.caller)
        if stream.address["domain"] == sent["DomainName"] and stream.is_active(at)
    ]
    if at > exchange.now - exchange.world.quirks.alibaba_rates_seconds:
        rows = []
    more = [rates_row(Figures(), True, sent["DomainName"], "foreign", f"f-{n}") for n in range(exchange.tricks.foreign)]
    listed = None if exchange.tricks.null else [*more, *rows]
    return _reply(exchange, {"FrameRateAndBitRateInfos": {"FrameRateAndBitRateInfo": listed}})


def _callback(event: Event, secret: str | None, _manners: Manners) -> Callback:
    """Build Alibaba's callback: the event in the query, the signature in two headers."""
    address, sent = event.stream.address, str(int(event.sent))
    name = "publish" if event.live else "publish_done"
    query = {
        "action": name, "app": address["domain"], "appname": address["app"], "id": address["stream"],
        "ip": "192.0.2.2", "node": "192.0.2.1", "time": str(int(event.at)), "usrargs": f"vhost={address['domain']}",
        "height": "720", "width": "1280",
    }  # fmt: skip
    headers = {}
    if secret is not None:
        signature = acs3.callback_signature(domain=address["domain"], timestamp=sent, key=secret)
        headers = {"ALI-LIVE-TIMESTAMP": sent, "ALI-LIVE-SIGNATURE": signature}
    return Callback(name, "GET", urlencode(query), headers)


FAKE = Fake(
    name="alibaba",
    account_fields={"access_key_id": str, "access_key_secret": str, "security_token": str, "callback_key": str},
    stream_fields={"domain": None, "app": None, "stream": "{name}", "streaming_domain": ""},
    address=("domain", "app", "stream"),
    group=lambda stream: (stream.address.get("streaming_domain", stream.address["domain"]),),
    owns=("domain", "streaming_domain"),
    marks=Marks(
        headers=("x-acs-",), schemes=("ACS3-",), parameters=("AccessKeyId", "SignatureMethod"), versions=(VERSION,)
    ),
    prefix="x-acs-",
    key_parameter="AccessKeyId",
    authorization=acs3.SCHEME.parse_authorization,
    read=lambda received: {**received.query, **dict(_form(received))},
    quirks=Quirks,
    authenticate=_authenticate,
    denied="Forbidden.RAM",
    check=_check,
    actions={
        STATE: Action(_state, lambda _exchange: Limit(30), named("DomainName", "AppName", "StreamName")),
        ONLINE: Action(_online, lambda _exchange: Limit(10_000, 60.0), named("DomainName")),
        RATES: Action(_rates, lambda _exchange: Limit(100), named("DomainName")),
    },
    messages=MESSAGES,
    error=_error,
    throttled=_throttled,
    content_type="application/json;charset=utf-8",
    states=tuple(
        f"{at}{name}" for at in ("", "*.") for name in ("StreamState", "OnlineInfo", "FrameRateAndBitRateInfos")
    ),
    unknown="paused",
    callbacks=CallbackSpec(key_field="callback_key", write=_callback, retries=(1,) * 5, timeout=5.0, settle=2.0),
    demo=DEMO,
    demo_rank=3,
)
