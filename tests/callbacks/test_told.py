"""What each cloud's callback tells, field by field, and what a refused one is counted as."""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from exporter.providers import all_providers
from exporter.providers.interface import Callback, Event, Refused

from . import deliveries
from .deliveries import DOMAIN, NOW, SECRET, alibaba, huawei, posted, raw, tencent, zego
from .receiving import account


def event(
    name: str,
    live: bool | None,
    keys: tuple[Hashable, ...],
    sent: float,
    identity: Hashable,
    session: str,
    order: float,
    at: float,
    end_reason: str | None = None,
) -> Event:
    """Return an event."""
    return Event(
        event=name,
        live=live,
        keys=keys,
        sent=sent,
        identity=identity,
        session=session,
        order=order,
        at=at,
        end_reason=end_reason,
    )


UPPER = deliveries.zego_fields()["signature"].upper()
ADDRESS = (DOMAIN, "live", "s1")
SEQUENCE = "2210464508206756938"
ZEGO_CREATE = event("stream_create", True, ("rtc01",), NOW, ("stream_create", "rtc01", "5", 1), "5", 1, NOW)
ZEGO_CLOSE = event("stream_close", False, ("rtc01",), NOW, ("stream_close", "rtc01", "5", 1), "5", 1, NOW, "client")


def verified(provider: str, received: Callback, now: float = NOW, **fields: Any) -> Event:
    """Verify a callback."""
    callbacks = all_providers()[provider].callbacks
    assert callbacks is not None
    return callbacks.verify(account(provider, **fields), SECRET, received, now)


def without(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return a callback's fields without some."""
    return {name: value for name, value in fields.items() if name not in names}


@pytest.mark.parametrize(
    ("received", "told"),
    [
        (zego(), ZEGO_CREATE),
        (zego(signature=UPPER), ZEGO_CREATE),
        (zego("stream_close"), ZEGO_CLOSE),
        (zego("stream_close", type=4), replace(ZEGO_CLOSE, end_reason="network")),
        (zego("stream_close", type="100"), replace(ZEGO_CLOSE, end_reason="kicked")),
        (zego("stream_close", type="9"), replace(ZEGO_CLOSE, end_reason="unknown")),
        (zego("stream_close", type="-1"), replace(ZEGO_CLOSE, end_reason="unknown")),
        (posted(without(deliveries.zego_fields("stream_close"), "type")), replace(ZEGO_CLOSE, end_reason="unknown")),
        (zego("room_create"),
         event("unknown", None, (), NOW, ("unknown", "rtc01", "5", 1), "5", 1, NOW)),
        (posted(without(deliveries.zego_fields(), "stream_id")), ZEGO_CREATE),
        (zego(stream_alias="else"), ZEGO_CREATE),
        (posted(without(deliveries.zego_fields(), "stream_id", "stream_alias")),
         replace(ZEGO_CREATE, keys=(), identity=("stream_create", "", "5", 1))),
        (zego(stream_seq="x"), replace(ZEGO_CREATE,
            identity=("stream_create", "rtc01", str(NOW), "7"), session="", order=NOW)),
        (zego(stream_seq="x", create_time=str(NOW - 9)), replace(ZEGO_CREATE,
            identity=("stream_create", "rtc01", str(NOW), "7"), session="", order=NOW - 9, at=NOW - 9)),
        (zego(create_time_ms=str(NOW * 1000 - 2500), create_time=str(NOW - 9)), replace(ZEGO_CREATE, at=NOW - 2.5)),
        (zego("stream_close", create_time=str(NOW - 9), destroy_timemillis=NOW * 1000 - 500),
         replace(ZEGO_CLOSE, at=NOW - 0.5)),
        (zego(stream="zegotest-77-rtc01"), replace(ZEGO_CREATE,
            keys=("zegotest-77-rtc01",), identity=("stream_create", "zegotest-77-rtc01", "5", 1))),
    ],
)  # fmt: skip
def test_what_zego_tells(received: Callback, told: Event) -> None:
    """Event, stream, order and reason are those of the documented fields, and nothing is guessed from missing ones."""
    assert verified("zego", received) == told


def test_zegos_test_prefix_is_cut_for_its_own_app_in_the_test_environment() -> None:
    """A stream's key is its id without the prefix of this very app."""
    for stream, key in (("zegotest-77-a", "a"), ("a", "a"), ("zegotest-78-a", "zegotest-78-a")):
        assert verified("zego", zego(stream=stream), is_test=True).keys == (key,)


SPACED = json.dumps(deliveries.zego_fields(user_name="a b+c", stream="st reäm"), ensure_ascii=False)
FORM = deliveries.zego_fields(stream="st reäm")
ZEGO_BODIES = {
    "white space before it": b" \r\n\t" + SPACED.encode(),
    "a byte order mark": b"\xef\xbb\xbf" + SPACED.encode(),
    "all encoded": quote(SPACED, safe="").encode(),
    "braces left as they are": quote(SPACED, safe='{}":,').encode(),
    "white space before what is encoded": b" \r\n\t" + quote(SPACED, safe="").encode(),
    "plus signs before what is encoded": b"+" + quote(SPACED, safe=" ").replace(" ", "+").encode(),
    "a form": urlencode(FORM).encode(),
    "a form with lists": urlencode([*FORM.items(), ("a[]", 1), ("a[]", 2)]).encode(),
    "a form with an empty field": urlencode({**FORM, "title": ""}).encode(),
    "a form of 128 fields": urlencode(
        {**FORM, **{f"f{number}": 1 for number in range(116)}}
    ).encode(),
}  # fmt: skip


@pytest.mark.parametrize("form", ZEGO_BODIES)
def test_zegos_bodies_are_read_in_any_form(form: str) -> None:
    """JSON, encoded JSON and forms are all in the vendor's samples, and give the same stream."""
    assert verified("zego", raw(ZEGO_BODIES[form])).keys == ("st reäm",)


@pytest.mark.parametrize(
    "body",
    [
        urlencode([*deliveries.zego_fields().items(), ("event", "stream_close")]).encode(),
        urlencode({**deliveries.zego_fields(), **{f"f{number}": 1 for number in range(117)}}).encode(),
        urlencode(deliveries.zego_fields()).encode() + b"&title=&title=",
        urlencode(deliveries.zego_fields()).encode() + b"&broken",
        urlencode(deliveries.zego_fields()).encode() + b"&name=\xff",
    ],
    ids=["a field twice", "129 fields", "an empty field twice", "a field without a value", "no text"],
)
def test_a_form_that_is_none_is_forged(body: bytes) -> None:
    """A form is read strictly: what could be read in two ways is refused."""
    with pytest.raises(Refused) as caught:
        verified("zego", raw(body))
    assert (caught.value.outcome, caught.value.event) == ("forged", "unknown")


TENCENT_BEGIN = event(
    "push_begin", True, (ADDRESS,), NOW, ("push_begin", ADDRESS, SEQUENCE, NOW), SEQUENCE, NOW, NOW
)  # fmt: skip
TENCENT_END = event(
    "push_end", False, (ADDRESS,), NOW, ("push_end", ADDRESS, SEQUENCE, NOW), SEQUENCE, NOW + 0.5, NOW, "unknown"
)
TENCENT_ERROR = {
    **without(deliveries.tencent_fields(321), "app", "appname", "event_time", "sequence"),
    "domain": DOMAIN.upper(), "path": "/live/", "data_time": NOW * 1000 - 1500,
}  # fmt: skip


@pytest.mark.parametrize(
    ("received", "told"),
    [
        (tencent(1), TENCENT_BEGIN),
        (tencent(1, sign=deliveries.tencent_fields(1)["sign"].upper(), event_type="1"), TENCENT_BEGIN),
        (tencent(1, errcode=1), TENCENT_BEGIN),
        (tencent(0), TENCENT_END),
        (tencent(0, errcode=1), replace(TENCENT_END, end_reason="client")),
        (tencent(0, errcode="35"), replace(TENCENT_END, end_reason="client")),
        (tencent(0, errcode=8), replace(TENCENT_END, end_reason="timeout")),
        (tencent(0, errcode=17), replace(TENCENT_END, end_reason="network")),
        (tencent(0, errcode=-1), TENCENT_END),
        (posted(without(deliveries.tencent_fields(0), "errcode")), TENCENT_END),
        (posted(TENCENT_ERROR), event("push_error", None, (ADDRESS,), NOW, ("push_error", ADDRESS, "", NOW - 1.5), "",
                                      NOW - 1.5, NOW - 1.5)),
        (tencent(100), event("unknown", None, (), NOW, ("unknown", ADDRESS, SEQUENCE, NOW), SEQUENCE, NOW, NOW)),
        (posted(without(deliveries.tencent_fields(1), "event_type")),
         event("unknown", None, (), NOW, ("unknown", ADDRESS, SEQUENCE, NOW), SEQUENCE, NOW, NOW)),
        (tencent(1, appname=""), replace(TENCENT_BEGIN,
            keys=(), identity=("push_begin", (DOMAIN, "", "s1"), SEQUENCE, NOW))),
        (tencent(1, event_time=NOW - 9), replace(TENCENT_BEGIN,
            identity=("push_begin", ADDRESS, SEQUENCE, NOW - 9), order=NOW - 9, at=NOW - 9)),
    ],
)  # fmt: skip
def test_what_tencent_tells(received: Callback, told: Event) -> None:
    """Errors name domain and path where begin and end name app and appname; an end counts as later than its begin."""
    assert verified("tencent", received) == told


ALIBABA_KEYS = (ADDRESS, ("", "live", "s1"))
ALIBABA_BEGIN = event("publish", True, ALIBABA_KEYS, NOW, ("publish", *ADDRESS, NOW), "", NOW, NOW)
SIGNATURE = alibaba().headers["ali-live-signature"]


@pytest.mark.parametrize(
    ("received", "told"),
    [
        (alibaba(), ALIBABA_BEGIN),
        (Callback("GET", "", {"ali-live-timestamp": str(NOW), "ali-live-signature": SIGNATURE.upper()},
                  alibaba().query, b""), ALIBABA_BEGIN),
        (alibaba("publish_done", at=NOW - 9, sent=NOW),
         event("publish_done", False, ALIBABA_KEYS, NOW, ("publish_done", *ADDRESS, NOW - 9), "", NOW - 9, NOW - 9,
               "unknown")),
        (alibaba("record"), event("unknown", None, (), NOW, ("unknown", *ADDRESS, NOW), "", NOW, NOW)),
        (alibaba(id=""), replace(ALIBABA_BEGIN, keys=(), identity=("publish", DOMAIN, "live", "", NOW))),
        (alibaba(signed=DOMAIN.upper(), app=DOMAIN.upper()),
         replace(ALIBABA_BEGIN, identity=("publish", DOMAIN.upper(), "live", "s1", NOW))),
        (alibaba(signed="exporter.example"), ALIBABA_BEGIN),
    ],
)  # fmt: skip
def test_what_alibaba_tells(received: Callback, told: Event) -> None:
    """The stream is matched by its ingest domain in lower case, and by app and name for a streaming domain."""
    assert verified("alibaba", received) == told


HUAWEI_BEGIN = event("PUBLISH", True, (ADDRESS,), NOW + 300, ("PUBLISH", *ADDRESS, NOW), str(float(NOW)), 0.0, NOW)


@pytest.mark.parametrize(
    ("received", "told"),
    [
        (huawei(), HUAWEI_BEGIN),
        (huawei(auth_sign=deliveries.huawei_fields()["auth_sign"].upper()), HUAWEI_BEGIN),
        (huawei("PUBLISH_DONE", began=NOW - 50),
         event("PUBLISH_DONE", False, (ADDRESS,), NOW + 300, ("PUBLISH_DONE", *ADDRESS, NOW - 50),
               str(NOW - 50.0), 1.0, NOW - 50, "unknown")),
        (huawei("RECORD"),
         event("unknown", None, (), NOW + 300, ("unknown", *ADDRESS, NOW), str(float(NOW)), 0.0, NOW)),
        (huawei(stream=""), replace(HUAWEI_BEGIN, keys=(), identity=("PUBLISH", DOMAIN, "live", "", NOW))),
    ],
)  # fmt: skip
def test_what_huawei_tells(received: Callback, told: Event) -> None:
    """The beginning of the push tells pushes apart, and its end comes after it."""
    assert verified("huawei", received) == told


@pytest.mark.parametrize(
    ("provider", "received", "now", "refused"),
    [
        ("zego", zego("stream_close", secret="else"), NOW, ("forged", "stream_close")),
        ("zego", zego("room", secret="else"), NOW, ("forged", "unknown")),
        ("zego", zego(appid="78"), NOW, ("forged", "stream_create")),
        ("zego", zego(timestamp="soon"), NOW, ("forged", "stream_create")),
        ("zego", zego(), NOW + 601, ("expired", "stream_create")),
        ("zego", zego(), NOW - 601, ("expired", "stream_create")),
        ("tencent", raw(b"[]"), NOW, ("forged", "unknown")),
        ("tencent", tencent(0, key="else"), NOW, ("forged", "push_end")),
        ("tencent", tencent(0), NOW + 601, ("expired", "push_end")),
        ("alibaba", alibaba("publish_done", key="else"), NOW, ("forged", "publish_done")),
        ("alibaba", alibaba(sent=""), NOW, ("forged", "publish")),
        ("alibaba", alibaba(), NOW + 301, ("expired", "publish")),
        ("alibaba", alibaba(), NOW - 301, ("expired", "publish")),
        ("huawei", raw(b"[]"), NOW, ("forged", "unknown")),
        ("huawei", huawei("PUBLISH_DONE", key="else"), NOW, ("forged", "PUBLISH_DONE")),
        ("huawei", huawei(expires="soon"), NOW, ("forged", "PUBLISH")),
        ("huawei", huawei(expires=NOW + 86_401), NOW, ("forged", "PUBLISH")),
        ("huawei", huawei(), NOW + 301, ("expired", "PUBLISH")),
    ],
)
def test_a_refused_callback_is_counted_as_what_it_claims_to_be(
    provider: str, received: Callback, now: float, refused: tuple[str, str]
) -> None:
    """Forged or expired, under the event that it names if that is one of the cloud's."""
    with pytest.raises(Refused) as caught:
        verified(provider, received, now)
    assert (caught.value.outcome, caught.value.event) == refused


@pytest.mark.parametrize(
    ("provider", "received", "now"),
    [
        ("zego", zego(), NOW + 600),
        ("zego", zego(), NOW - 600),
        ("tencent", tencent(), NOW + 600),
        ("alibaba", alibaba(), NOW + 300),
        ("alibaba", alibaba(), NOW - 300),
        ("huawei", huawei(), NOW + 300),
        ("huawei", huawei(expires=NOW + 86_400), NOW),
    ],
)
def test_the_last_second_of_a_signature_counts(provider: str, received: Callback, now: float) -> None:
    """The limits of a callback's age are inclusive."""
    assert verified(provider, received, now).live is True
