"""The fake of Alibaba ApsaraVideo Live (live 2016-11-01): both signature styles, V3 and RPC.

RPC calls without Format answer XML, as the vendor's default is. The gateway's order of checks is not documented.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl, urlencode
from xml.sax.saxutils import escape  # nosec B406 - writes, reads nothing

from exporter.model import State
from exporter.providers.alibaba import rpc_signing as acs_rpc
from exporter.providers.alibaba import signing as acs3
from exporter.providers.encoding import sha256_hex
from exporter.simulator.fake import Exchange, Fake, Limit, Outgoing, Post, Received, Refusal, page, put, spend, uuid
from exporter.simulator.nouns import Account, Event, Letter, Manners, Stream

STATE = "DescribeLiveStreamState"
ONLINE = "DescribeLiveStreamsOnlineList"
VERSION = "2016-11-01"
WINDOW = 900
LIMITS = {STATE: Limit(30), ONLINE: Limit(10_000, 60.0)}
STATES = {State.ACTIVE: "online", State.INACTIVE: "offline", State.FORBIDDEN: "forbidden"}
MANDATORY = ("x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version")
STATUS = {"InvalidAccessKeyId.NotFound": 404, "InvalidApi.NotFound": 404, "InvalidDomain.NotFound": 404} | {
    "IllegalOperation": 403,
    "Forbidden.RAM": 403,
    "InternalError": 500,
    "ServiceUnavailable": 503,
}
_RPC_MARKS = ("AccessKeyId", "SignatureMethod", "Signature")


def _complete(_account: Account, name: str, fields: Mapping[str, str]) -> dict[str, str]:
    return {"stream": name, **fields}


def _addresses(stream: Stream) -> list[tuple[str, ...]]:
    return [(stream.address["domain"], stream.address["app"], stream.address["stream"])]


def _group(stream: Stream) -> tuple[str, ...]:
    return (stream.address.get("streaming_domain", stream.address["domain"]),)


def _form(received: Received) -> list[tuple[str, str]]:
    if not received.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return []
    return parse_qsl(received.body.decode("utf-8", "replace"), keep_blank_values=True)


def _parameters(received: Received) -> dict[str, str]:
    return {**received.query, **dict(_form(received))}


def _is_rpc(received: Received) -> bool:
    return not received.authorization and not set(_RPC_MARKS).isdisjoint(_parameters(received))


def _action(received: Received) -> str:
    return _parameters(received).get("Action") or received.headers.get("x-acs-action", "")


def _asked(exchange: Exchange) -> tuple[str, ...]:
    found = _parameters(exchange.received)
    if exchange.action == STATE:
        return tuple(found.get(name, "") for name in ("DomainName", "AppName", "StreamName"))
    return (found.get("DomainName", ""),)


def _nonce(received: Received) -> str:
    return received.headers.get("x-acs-signature-nonce") or _parameters(received).get("SignatureNonce", "")


def _missing(name: str) -> Refusal:
    return Refusal(f"Missing{name}", f"{name} is mandatory for this action.")


def _parse(exchange: Exchange) -> None:
    received = exchange.received
    version = _parameters(received).get("Version") or received.headers.get("x-acs-version", "")
    if received.method not in ("GET", "POST"):
        raise Refusal("UnsupportedHTTPMethod", "This http method is not supported.")
    if not exchange.action:
        raise _missing("Action")
    if not version:
        raise _missing("Version")
    if version != VERSION:
        raise Refusal("NoSuchVersion", "The specified version does not exist.")
    if exchange.action not in ACTIONS:
        raise Refusal("InvalidApi.NotFound", "Specified api is not found, please check your url and method.")
    if _format(received) not in ("json", "xml"):
        raise Refusal("InvalidParameter.Format", "The specified format is not valid.")


def _format(received: Received) -> str:
    return _parameters(received).get("Format", "xml").lower() if _is_rpc(received) else "json"


def _credential(exchange: Exchange) -> None:
    if not exchange.key:
        raise Refusal("IncompleteSignature", "The request signature does not conform to the standards.")
    if exchange.account is None:
        raise Refusal("InvalidAccessKeyId.NotFound", "Specified access key is not found.")


def _token(exchange: Exchange) -> None:
    received, account = exchange.received, exchange.known
    given = received.headers.get("x-acs-security-token") or _parameters(received).get("SecurityToken", "")
    token = account.text("security_token")
    if token and not given:
        raise Refusal("MissingSecurityToken", "SecurityToken is mandatory for this action.")
    if given != token:
        raise Refusal(
            "InvalidSecurityToken.MismatchWithAccessKey", "Specified SecurityToken mismatch with the AccessKey."
        )
    if account.token_expires is not None and received.now >= account.token_expires:
        raise Refusal("InvalidSecurityToken.Expired", "Specified SecurityToken is expired.")


def _timestamp(received: Received) -> None:
    text = received.headers.get("x-acs-date") or _parameters(received).get("Timestamp", "")
    if not text:
        raise Refusal("IllegalTimestamp", "The input parameter Timestamp that is mandatory is not supplied.")
    try:
        when = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise Refusal("InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted.") from None
    if abs(received.now - when) > WINDOW:
        raise Refusal("InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")


def _mismatch(ours: str) -> Refusal:
    return Refusal(
        "SignatureDoesNotMatch",
        f"Specified signature does not match our calculation. server string to sign is:{ours}",
    )


def _sign_v3(exchange: Exchange) -> None:
    received = exchange.received
    given = acs3.parse_authorization(received.authorization)
    if given is None or not {"host", *MANDATORY} <= set(given.signed_headers) & set(received.headers):
        raise Refusal("IncompleteSignature", "The request signature does not conform to the standards.")
    headers = {name: received.headers.get(name, "") for name in given.signed_headers}
    headers["x-acs-content-sha256"] = sha256_hex(received.body)
    query, method = received.pairs, received.method
    written = acs3.authorization(
        access_key_id=given.credential,
        access_key_secret=exchange.known.text("access_key_secret"),
        method=method,
        query=query,
        headers=headers,
        path=received.path,
    )
    if not hmac.compare_digest(written.rpartition("=")[2], given.signature):
        request = acs3.canonical_request(method=method, query=query, headers=headers, path=received.path)
        raise _mismatch(acs3.string_to_sign(request))


def _sign_rpc(exchange: Exchange) -> None:
    received = exchange.received
    found = _parameters(received)
    if found.get("SignatureMethod", "HMAC-SHA1") != "HMAC-SHA1" or found.get("SignatureVersion", "1.0") != "1.0":
        raise Refusal("InvalidSignatureMethod", "Specified signature method is not valid.")
    given = found.get("Signature")
    if not given:
        raise Refusal("IncompleteSignature", "The request signature does not conform to the standards.")
    pairs = received.pairs + _form(received)
    secret = exchange.known.text("access_key_secret")
    expected = acs_rpc.signature(access_key_secret=secret, method=received.method, query=pairs)
    if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
        raise _mismatch(acs_rpc.string_to_sign(method=received.method, query=pairs))


def _use_nonce(exchange: Exchange) -> None:
    nonce, nonces, now = _nonce(exchange.received), exchange.world.memory.nonces, exchange.now
    if not nonce:
        raise _missing("SignatureNonce")
    key = (exchange.known.name, nonce)
    if now - nonces.get(key, -1e12) < 2 * WINDOW:
        raise Refusal("SignatureNonceUsed", "Specified signature nonce was used already.")
    nonces.pop(key, None)
    nonces[key] = now
    # The oldest stands first: two are forgotten for each one remembered, so that the memory keeps to the window.
    for old in list(islice(nonces, 2)):
        if now - nonces[old] >= 2 * WINDOW:
            del nonces[old]


def _authenticate(exchange: Exchange) -> None:
    _credential(exchange)
    _token(exchange)
    _timestamp(exchange.received)
    (_sign_rpc if _is_rpc(exchange.received) else _sign_v3)(exchange)
    _use_nonce(exchange)
    exchange.verified = True


def _domain(exchange: Exchange, found: Mapping[str, str]) -> str | None:
    """Refuse a domain that the account does not have, or return the state that is told of it."""
    account = exchange.known
    if found["DomainName"] in account.domains | exchange.world.owned(account):
        return None
    quirk = exchange.world.quirks.alibaba_foreign_domain
    if quirk in STATES.values():
        return quirk
    raise Refusal(quirk, "The domain provided does not belong to you.")


def _reply(exchange: Exchange, fields: dict[str, Any]) -> Outgoing:
    payload = {"RequestId": uuid(exchange.random).upper(), **fields}
    if _format(exchange.received) == "xml":
        return _xml(Outgoing("ok", payload), f"{exchange.action}Response")
    if exchange.world.quirks.alibaba_envelope == "nested":
        payload = {f"{exchange.action}Response": payload}
    return Outgoing("ok", payload)


def _xml(outgoing: Outgoing, root: str) -> Outgoing:
    outgoing.content_type = "text/xml;charset=utf-8"
    outgoing.encode = lambda payload: f"<?xml version='1.0' encoding='UTF-8'?>{_element(root, payload)}".encode()
    return outgoing


def _element(name: str, value: Any) -> str:
    if isinstance(value, dict):
        inner = "".join(_element(key, part) for key, part in value.items())
    elif isinstance(value, list):
        return "".join(_element(name, part) for part in value)
    else:
        inner = escape(str(value))
    return f"<{name}>{inner}</{name}>"


def _streamed(exchange: Exchange, found: Mapping[str, str]) -> Stream | None:
    """Return a stream by its streaming domain; if several ingest domains have one, a live one."""
    wanted = (found["AppName"], found["StreamName"])
    streams = exchange.world.group(exchange.known, (found["DomainName"],))
    named = [each for each in streams if (each.address["app"], each.address["stream"]) == wanted]
    return next((each for each in named if each.is_active(exchange.now)), named[0] if named else None)


def _state(exchange: Exchange, found: Mapping[str, str]) -> Outgoing:
    stream, now = exchange.stream or _streamed(exchange, found), exchange.now
    word = _domain(exchange, found)
    if word is None:
        state = stream.script.state(now) if stream else State.NOT_FOUND
        word = STATES.get(state, exchange.world.quirks.alibaba_absent)
    if word not in STATES.values():
        raise Refusal(word, "The specified stream does not exist.")
    return _reply(exchange, {"StreamState": word, "Type": stream.ingest if stream else "push"})


def _online_row(domain: str, ingest: str, app: str, name: str, started: float) -> dict[str, Any]:
    """Write a row of a streaming domain; the first four fields are all that OnlyStream=yes leaves."""
    when = datetime.fromtimestamp(started, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    url = f"rtmp://{ingest}/{app}/{name}?auth_key=1700000000-0-0-00000000000000000000000000000000"
    return {
        "DomainName": domain,
        "AppName": app,
        "StreamName": name,
        "PublishTime": when,
        "PublishUrl": url,
        "PublishDomain": ingest,
        "PublishType": "edge",
        "Transcoded": "no",
        "ClientIp": "192.0.2.1",
        "Width": 1280,
        "Height": 720,
    }


def _whole(found: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = found.get(name, str(default))
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or not 1 <= int(text) <= most:
        raise Refusal(f"Invalid{name}.Malformed", f"The specified {name} is not valid.")
    return int(text)


def _matches(stream: Stream, found: Mapping[str, str]) -> bool:
    address = stream.address
    name = found.get("StreamName", "")
    fuzzy = found.get("QueryType", "fuzzy") == "fuzzy" and name in address["stream"]
    return found.get("AppName", address["app"]) == address["app"] and (not name or fuzzy or name == address["stream"])


def _shown(
    exchange: Exchange, found: Mapping[str, str], rows: list[dict[str, Any]] | None
) -> list[dict[str, Any]] | None:
    """Keep the fields that the caller wants, and the ingest domain only if the cloud names it."""
    hidden: set[str] = set()
    if not exchange.world.quirks.alibaba_publish_domain:
        hidden = {"PublishDomain", "PublishUrl"}
    if found.get("OnlyStream") == "yes":
        hidden = {name for row in rows or () for name in row} - {"DomainName", "AppName", "StreamName", "PublishTime"}
    return rows and [{name: value for name, value in row.items() if name not in hidden} for row in rows]


def _online(exchange: Exchange, found: Mapping[str, str]) -> Outgoing:
    number = _whole(found, "PageNum", 1, 10**8)
    size = _whole(found, "PageSize", 2000, 3000)
    _domain(exchange, found)
    domain, now = found["DomainName"], exchange.now
    rows = [
        _online_row(domain, at["domain"], at["app"], at["stream"], stream.script.started(now))
        for stream in exchange.world.group(exchange.known, (domain,))
        if stream.is_active(now) and _matches(stream, found)
        for at in [stream.address]
    ]
    listed = page(
        rows, number, size, exchange.tricks, lambda count: _online_row(domain, domain, "foreign", f"foreign-{count}", 0)
    )
    return _reply(
        exchange,
        {
            "PageNum": number,
            "PageSize": size,
            "TotalNum": listed.total,
            "TotalPage": listed.pages,
            "OnlineInfo": {"LiveStreamOnlineInfo": _shown(exchange, found, listed.rows)},
        },
    )


ACTIONS = {STATE: _state, ONLINE: _online}
REQUIRED = {STATE: ("AppName", "DomainName", "StreamName"), ONLINE: ("DomainName",)}


def _answer(exchange: Exchange) -> Outgoing:
    _parse(exchange)
    _authenticate(exchange)
    if exchange.action in exchange.known.denied:
        raise Refusal("Forbidden.RAM", "User not authorized to operate on the specified resource.")
    spend(exchange)
    found = _parameters(exchange.received)
    for name in REQUIRED[exchange.action]:
        if not found.get(name):
            raise _missing(name)
    return ACTIONS[exchange.action](exchange, found)


def _refuse(exchange: Exchange, refusal: Refusal) -> Outgoing:
    payload = {
        "RequestId": uuid(exchange.random).upper(),
        "HostId": exchange.received.headers.get("host", ""),
        "Code": refusal.code,
        "Message": refusal.message,
        "Recommend": f"https://api.alibabacloud.com/troubleshoot?q={refusal.code}&product=live",
    }
    status = refusal.status or STATUS.get(refusal.code, 400)
    outgoing = Outgoing(refusal.code, payload, status, headers=refusal.headers)
    return _xml(outgoing, "Error") if _format(exchange.received) == "xml" else outgoing


def _throttled(exchange: Exchange, wait: float) -> Refusal:
    milliseconds = max(1, round(wait * 1000))
    hints = {
        "x-acs-retry-after": str(milliseconds),
        "x-ratelimit-user-api": f"Limit:1,Remain:0,TimeLeft:{milliseconds},Reset:{int(exchange.now + wait) * 1000}",
    }
    message = "Request was denied due to user flow control."
    return Refusal("Throttling.User", message, headers=hints if exchange.world.quirks.alibaba_retry_hints else {})


def _spoil(payload: Any, value: Any) -> None:
    for nested in (STATE, ONLINE):
        payload = payload.get(f"{nested}Response", payload)
    for name in ("StreamState", "OnlineInfo"):
        if name in payload:
            put(payload, name, value)


def _identity(received: Received) -> str:
    given = acs3.parse_authorization(received.authorization)
    return given.credential if given else _parameters(received).get("AccessKeyId", "")


def _marks(received: Received) -> bool:
    found = _parameters(received)
    return (
        any(name.startswith("x-acs-") for name in received.headers)
        or received.authorization.startswith("ACS3-")
        or "AccessKeyId" in found
        or "SignatureMethod" in found
        or found.get("Version") == VERSION
    )


def _write(event: Event, secret: str | None, _manners: Manners) -> Letter:
    """Put a push into Alibaba's words: all of it in the query, what it is signed with in two headers."""
    address = event.stream.address
    name, sent = "publish" if event.live else "publish_done", str(int(event.sent))
    query = {
        "action": name,
        "app": address["domain"],
        "appname": address["app"],
        "id": address["stream"],
        "ip": "192.0.2.2",
        "node": "192.0.2.1",
        "time": str(int(event.at)),
        "usrargs": f"vhost={address['domain']}",
        "height": "720",
        "width": "1280",
    }
    headers = {}
    if secret is not None:
        signature = acs3.callback_signature(domain=address["domain"], timestamp=sent, key=secret)
        headers = {"ALI-LIVE-TIMESTAMP": sent, "ALI-LIVE-SIGNATURE": signature}
    return Letter(name, "GET", urlencode(query), headers)


FAKE = Fake(
    name="alibaba",
    key="access_key_id",
    account_fields={"access_key_id": str, "access_key_secret": str, "security_token": str, "callback_key": str},
    account_needs=("access_key_id", "access_key_secret"),
    stream_fields=("domain", "app", "stream", "streaming_domain"),
    stream_needs=("domain", "app"),
    complete=_complete,
    addresses=_addresses,
    group=_group,
    actions=(STATE, ONLINE),
    limit=lambda exchange: LIMITS[exchange.action],
    content_type="application/json;charset=utf-8",
    marks=_marks,
    action=_action,
    identity=_identity,
    asked=_asked,
    nonce=_nonce,
    answer=_answer,
    refuse=_refuse,
    throttled=_throttled,
    spoil=_spoil,
    unknown="paused",
    post=Post(key_field="callback_key", write=_write, retries=(1,) * 5, patience=5.0, settles=2.0),
)
