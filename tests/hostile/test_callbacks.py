"""Callbacks whose signature is right and whose content is anything: three of the signatures do not cover it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model import Account
from exporter.providers import found
from exporter.providers.alibaba import signing as alibaba_signing
from exporter.providers.interface import END_REASONS, AnyProvider, Callback, Event, Refused
from exporter.providers.tencent import signing as tencent_signing
from exporter.providers.zego import signing as zego_signing
from tests.providers.exchanges import document, make

from . import conftest
from .answers import JUNK, TEXT, WORDS

EFFORT = settings.get_profile("nightly" if conftest.NIGHTLY else "short")
KEY, NOW = "key", 1_800_000_000
FIELDS: dict[str, list[str]] = {
    "zego": ["event", "stream_id", "stream_alias", "room_session_id", "stream_seq", "type", "create_time_ms", "appid"],
    "tencent": ["event_type", "event_time", "app", "appname", "stream_id", "sequence", "errcode", "push_duration"],
    "alibaba": ["action", "appname", "id", "time", "ip", "usrargs"],
}
EVENTS = st.sampled_from(["stream_create", "stream_close", 0, 1, "0", "1", "publish", "publish_done", 321])


def zego(account: Account, fields: dict[str, Any], form: int) -> Callback:
    """Sign a callback of ZEGO's: JSON, JSON that is percent-encoded, or a form."""
    nonce = str(fields.get("nonce", "n"))
    signature = zego_signing.callback_signature(secret=KEY, timestamp=str(NOW), nonce=nonce)
    app = {"appid": getattr(account, "app_id", 0)}
    sent = {**app, **fields, "timestamp": str(NOW), "nonce": nonce, "signature": signature}
    text = json.dumps(sent)
    body = (text, quote(text), urlencode({name: str(value) for name, value in sent.items()}, errors="replace"))[
        form % 3
    ]
    return Callback("POST", "host", {}, {}, body.encode())


def tencent(_account: Account, fields: dict[str, Any], _form: int) -> Callback:
    """Sign a callback of Tencent's."""
    sent = {**fields, "t": NOW + 600, "sign": tencent_signing.callback_signature(key=KEY, t=NOW + 600)}
    return Callback("POST", "host", {}, {}, json.dumps(sent).encode())


def alibaba(_account: Account, fields: dict[str, Any], _form: int) -> Callback:
    """Sign a callback of Alibaba's."""
    query = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    query["app"] = "push.example"
    signature = alibaba_signing.callback_signature(domain="push.example", timestamp=str(NOW), key=KEY)
    headers = {"ali-live-timestamp": str(NOW), "ali-live-signature": signature}
    return Callback("GET", "host", headers, query, b"")


SIGNED: dict[str, Callable[[Account, dict[str, Any], int], Callback]] = {
    "zego": zego,
    "tencent": tencent,
    "alibaba": alibaba,
}
HEARING = [pytest.param(one, id=name) for name, one in found().items() if one.callbacks]


def test_every_cloud_that_calls_back_is_tried() -> None:
    """Whoever adds callbacks to a cloud adds its way of signing here."""
    assert {name for name, one in found().items() if one.callbacks} == set(SIGNED) == set(FIELDS)


@pytest.mark.parametrize("provider", HEARING)
@given(data=st.data(), form=st.integers(0, 2))
@EFFORT
def test_a_signed_callback_with_any_content_is_a_hint_or_refused(
    provider: AnyProvider, data: st.DataObject, form: int
) -> None:
    """Nothing raises; what is heard is of closed sets, can be remembered, and does not come from the future."""
    hooks = provider.callbacks
    assert hooks is not None
    account, _ = make(provider, document(provider.name))
    names = st.sampled_from([*FIELDS[provider.name], "nonce"]) | TEXT
    fields = data.draw(st.dictionaries(names, EVENTS | JUNK | WORDS, max_size=8))
    try:
        heard = hooks.verify(account, KEY, SIGNED[provider.name](account, fields, form), float(NOW))
    except Refused:
        return
    assert isinstance(heard, Event)
    assert heard.ended is None or (heard.ended in END_REASONS and heard.live is False)
    assert len(heard.event) < 40
    assert isinstance(hash((heard.identity, heard.keys, heard.session)), int)
    assert 0 <= heard.at <= heard.sent <= NOW + 600
    assert heard.order == heard.order


@pytest.mark.parametrize("provider", HEARING)
def test_a_plain_signed_callback_is_heard(provider: AnyProvider) -> None:
    """The signatures made here are right: what is refused above is refused for its content."""
    hooks = provider.callbacks
    assert hooks is not None
    account, _ = make(provider, document(provider.name))
    fields: dict[str, dict[str, Any]] = {
        "zego": {"event": "stream_create", "stream_id": "a", "stream_seq": "1"},
        "tencent": {"event_type": 1, "app": "d", "appname": "live", "stream_id": "a", "event_time": NOW},
        "alibaba": {"action": "publish", "appname": "live", "id": "a", "time": str(NOW)},
    }
    heard = hooks.verify(account, KEY, SIGNED[provider.name](account, fields[provider.name], 0), float(NOW))
    assert heard.live is True
    assert heard.keys
