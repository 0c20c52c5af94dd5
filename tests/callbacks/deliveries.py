"""Callbacks written from the vendors' documents alone, with `hashlib` and nothing of ours."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import quote, urlencode

from exporter.providers.interface import Callback

NOW = 1_767_323_045
SECRET = "callbacksecret0"
DOMAIN = "push.example"
JSON = {"content-type": "application/json"}


def zego_fields(event: str = "stream_create", stream: str = "rtc01", seq: int = 1, **fields: Any) -> dict[str, Any]:
    """Return the fields of a ZEGO callback, signed; `secret`, `timestamp` and `nonce` may differ."""
    secret, stamp, nonce = (
        str(fields.pop(name, usual)) for name, usual in (("secret", SECRET), ("timestamp", NOW), ("nonce", seq * 7))
    )
    signature = hashlib.sha1("".join(sorted((secret, stamp, nonce))).encode(), usedforsecurity=False).hexdigest()
    return {
        "event": event, "appid": "77", "timestamp": stamp, "nonce": nonce, "signature": signature,
        "room_id": "room", "room_session_id": "5", "user_id": "u", "stream_id": stream, "stream_alias": stream,
        "stream_seq": str(seq), "type": "0", **fields,
    }  # fmt: skip


def zego(event: str = "stream_create", stream: str = "rtc01", seq: int = 1, **fields: Any) -> Callback:
    """Return a ZEGO callback as JSON."""
    return posted(zego_fields(event, stream, seq, **fields))


def zego_forms(fields: dict[str, Any]) -> dict[str, bytes]:
    """Return one ZEGO callback in every way that the documentation's samples read one."""
    text = json.dumps(fields, ensure_ascii=False)
    return {
        "json": text.encode(),
        "percent-encoded": quote(text, safe="").encode(),
        "percent-encoded, spaces as plus": quote(text, safe=" ").replace(" ", "+").encode(),
        "form": urlencode({**fields, "rtmp_url[]": ""}).encode(),
    }


def tencent_fields(kind: int = 1, stream: str = "s1", at: float = NOW, **fields: Any) -> dict[str, Any]:
    """Return the fields of a Tencent callback, signed; `key` and `t` may differ."""
    key, t = fields.pop("key", SECRET), fields.pop("t", int(at) + 600)
    sign = hashlib.md5(f"{key}{t}".encode(), usedforsecurity=False).hexdigest()
    return {
        "app": DOMAIN, "appid": 12345678, "appname": "live", "channel_id": stream, "errcode": 0, "errmsg": "ok",
        "event_time": int(at), "event_type": kind, "sequence": "2210464508206756938", "stream_id": stream,
        "stream_param": "txSecret=canary", "t": t, "sign": sign, **fields,
    }  # fmt: skip


def tencent(kind: int = 1, stream: str = "s1", at: float = NOW, **fields: Any) -> Callback:
    """Return a Tencent callback."""
    return posted(tencent_fields(kind, stream, at, **fields))


def alibaba(action: str = "publish", stream: str = "s1", at: int = NOW, **fields: Any) -> Callback:
    """Return an Alibaba callback; `key`, `sent` and `signed` (the domain that is signed) may differ."""
    key, sent = fields.pop("key", SECRET), fields.pop("sent", at)
    signed = f"{fields.pop('signed', DOMAIN)}|{sent}|{key}"
    signature = hashlib.md5(signed.encode(), usedforsecurity=False).hexdigest()
    query = {"action": action, "app": DOMAIN, "appname": "live", "id": stream, "time": str(at), **fields}
    headers = {"ali-live-timestamp": str(sent), "ali-live-signature": signature}
    return Callback("GET", "exporter.example", headers, query, b"")


def huawei_fields(event: str = "PUBLISH", stream: str = "s1", at: int = NOW, **fields: Any) -> dict[str, Any]:
    """Return the fields of a Huawei callback, signed; `key`, `expires` and when the push `began` may differ."""
    key, expires, began = fields.pop("key", SECRET), fields.pop("expires", at + 300), fields.pop("began", at)
    signed = {"event": event, "domain": DOMAIN, "app": "live", "stream": stream, "auth_timestamp": expires}
    text = "".join(map(str, signed.values()))
    sign = hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
    return {**signed, "publish_timestamp": str(began), "user_args": "canary", "auth_sign": sign, **fields}


def huawei(event: str = "PUBLISH", stream: str = "s1", at: int = NOW, **fields: Any) -> Callback:
    """Return a Huawei callback."""
    return posted(huawei_fields(event, stream, at, **fields))


def posted(fields: Any) -> Callback:
    """Return a callback that is posted as JSON."""
    return raw(json.dumps(fields).encode())


def raw(body: bytes, method: str = "POST") -> Callback:
    """Return a callback of these bytes."""
    return Callback(method, "exporter.example", JSON, {}, body)
