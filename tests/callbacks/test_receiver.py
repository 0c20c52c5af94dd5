"""What is accepted, and what becomes of everything else: no network, no clock."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.fields import Secret
from exporter.providers import all_providers
from exporter.providers.interface import END_REASONS, Callback
from exporter.state.callbacks import MOST_REMEMBERED, ORDER_SECONDS, QUIET_SECONDS
from tests.signing.known_answers import load

from . import deliveries
from .deliveries import DOMAIN, NOW, SECRET, alibaba, huawei, posted, raw, tencent, zego
from .receiving import Receiving

GOOD = {"zego": zego(), "tencent": tencent(), "alibaba": alibaba(), "huawei": huawei()}
CLOUDS = pytest.mark.parametrize("provider", GOOD)


def changed(received: Callback, **parts: Any) -> Callback:
    """Return a callback with parts that differ."""
    given = {name: getattr(received, name) for name in Callback.__slots__}
    return Callback(**{**given, **parts})


@CLOUDS
def test_a_callback_is_accepted_once(provider: str) -> None:
    """The first delivery names its stream; a second one of the same event counts as replayed."""
    receiving = Receiving(provider)
    first, second = receiving.receive(GOOD[provider]), receiving.receive(GOOD[provider])
    assert (first.outcome, second.outcome) == ("accepted", "replayed")
    assert [record.key[0] for record in first.records] == [provider]
    assert second.records == ()
    assert list(receiving.counters.last_callback.values()) == [NOW]


@pytest.mark.parametrize("form", ["json", "percent-encoded", "percent-encoded, spaces as plus", "form"])
@pytest.mark.parametrize("name", ["plain", "名前 and + & % signs"])
def test_zego_in_every_form(form: str, name: str) -> None:
    """JSON, percent-encoded JSON and a form give the same callback for any user name."""
    fields = deliveries.zego_fields("stream_close", user_name=name, type="4")
    receiving = Receiving("zego")
    assert receiving.outcome(raw(deliveries.zego_forms(fields)[form])) == "accepted"
    assert receiving.counters.push_ends == {("zego", "rtc01", "network"): 1}


def test_zego_published_bodies() -> None:
    """The bodies made after the documentation's field lists are accepted, begin and end."""
    bodies = load("zego")["callback_bodies"]
    receiving = Receiving("zego")
    fields = {**bodies["stream_create"], "appid": "77"}, {**bodies["stream_close"], "appid": "77"}
    assert [receiving.outcome(posted(each)) for each in fields] == ["accepted", "accepted"]


def test_tencent_samples() -> None:
    """The documented samples are accepted with the sign that their key gives; the one without a key is forged."""
    samples = load("tencent_callback_samples")
    rows = [{"name": "test_stream", "domain": "test.domain.com"}, {"name": "720000323", "domain": "x"}]
    receiving = Receiving("tencent", rows)
    for name, outcome in (("begin", "accepted"), ("end", "accepted"), ("no_key_configured_begin", "forged")):
        sample = samples[name]
        signed = deliveries.tencent_fields(at=sample["event_time"])
        body = {**sample, "sign": signed["sign"]} if "sign" in sample else sample
        assert receiving.outcome(posted(body), sample["event_time"] + 1) == outcome
    assert receiving.counters.push_ends == {("tencent", "test_stream", "client"): 1}


def test_tencent_push_errors_are_counted() -> None:
    """A push error has domain and path instead of app and appname, and claims no state."""
    receiving = Receiving("tencent")
    fields = deliveries.tencent_fields(321, domain=DOMAIN, path="live", data_time=NOW * 1000)
    del fields["app"], fields["appname"], fields["event_time"]
    verdict = receiving.receive(posted(fields))
    assert verdict.event is not None
    assert (verdict.outcome, verdict.event.event, verdict.event.live) == ("accepted", "push_error", None)


@pytest.mark.parametrize("signed", [DOMAIN, "exporter.example"])
def test_alibaba_signs_the_domain_or_the_host(signed: str) -> None:
    """Newer documents sign the ingest domain, an older one the host that is called."""
    assert Receiving("alibaba").outcome(alibaba(signed=signed)) == "accepted"
    assert Receiving("alibaba").outcome(alibaba(signed="other.example")) == "forged"


def test_alibaba_streams_by_their_streaming_domain() -> None:
    """A stream configured by its streaming domain matches callbacks with any ingest domain."""
    rows = [{"name": "s1", "domain": "play.example", "streaming_domain": "play.example", "app": "live"}]
    assert Receiving("alibaba", rows).outcome(alibaba()) == "accepted"


def test_two_names_for_one_address_are_both_asked_for() -> None:
    """One event may be about several watched streams."""
    rows = [{"name": name, "domain": DOMAIN, "stream": "s1"} for name in ("one", "two")]
    receiving = Receiving("tencent", rows)
    verdict = receiving.receive(tencent(0))
    assert [record.key[1] for record in verdict.records] == ["one", "two"]
    assert set(receiving.counters.last_callback) == {("tencent", "one"), ("tencent", "two")}


def test_zego_test_environment() -> None:
    """A stream matches with and without the test environment's prefix."""
    for name in ("rtc01", "zegotest-77-rtc01"):
        assert Receiving("zego", is_test=True).outcome(zego(stream=name)) == "accepted"


# --- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("received", "good", "late"),
    [
        (zego(), (-600, 600), (-601, 601)),
        (tencent(), (-9999, 600), (601,)),
        (alibaba(), (-300, 300), (-301, 301)),
        (huawei(), (-9999, 300), (301,)),
    ],
    ids=["zego", "tencent", "alibaba", "huawei"],
)
def test_the_time_window(received: Callback, good: tuple[int, ...], late: tuple[int, ...]) -> None:
    """ZEGO's time may be ten minutes off, Alibaba's five; Tencent's `t` and Huawei's `auth_timestamp` are the end."""
    provider = next(name for name, each in GOOD.items() if each == received)
    for seconds in good:
        assert Receiving(provider).outcome(received, NOW + seconds) == "accepted"
    for seconds in late:
        receiving = Receiving(provider)
        assert receiving.outcome(received, NOW + seconds) == "expired"
        assert receiving.untouched()


# --- order -----------------------------------------------------------------------------------------------------------


def test_zego_order() -> None:
    """Within a room's session `stream_seq` decides the order; a new session starts over."""
    receiving = Receiving("zego")
    told = [
        (zego("stream_close", seq=4), "accepted"),
        (zego("stream_create", seq=3), "replayed"),
        (zego("stream_create", seq=5), "accepted"),
        (zego("stream_create", seq=1, room_session_id="6", timestamp=NOW + 1), "accepted"),
        (zego("stream_close", seq=6, timestamp=NOW - 1), "replayed"),
        (zego("stream_close", stream="rtc02", seq=2), "accepted"),
    ]
    assert [receiving.outcome(received) for received, _ in told] == [outcome for _, outcome in told]


def test_tencent_order() -> None:
    """An end is newer than the beginning with the same sequence, even within a second; otherwise the time decides."""
    receiving = Receiving("tencent")
    told = [
        (tencent(0), "accepted"),
        (tencent(1), "replayed"),
        (tencent(1, sequence="2", at=NOW), "accepted"),
        (tencent(0, sequence="1", at=NOW - 5), "replayed"),
        (tencent(0, sequence="2", at=NOW + 9), "accepted"),
    ]
    assert [receiving.outcome(received) for received, _ in told] == [outcome for _, outcome in told]


def test_alibaba_order() -> None:
    """An earlier `time` is older; equal times have no order."""
    receiving = Receiving("alibaba")
    told = [
        (alibaba("publish_done"), "accepted"),
        (alibaba("publish", at=NOW - 1), "replayed"),
        (alibaba("publish"), "accepted"),
        (alibaba("publish_done", at=NOW + 1), "accepted"),
    ]
    assert [receiving.outcome(received) for received, _ in told] == [outcome for _, outcome in told]


def test_huawei_order() -> None:
    """An end is newer than the beginning of the same push; between pushes the time of their beginning decides."""
    receiving = Receiving("huawei")
    told = [
        (huawei("PUBLISH_DONE", began=NOW - 50), "accepted"),
        (huawei("PUBLISH", at=NOW - 50), "replayed"),
        (huawei("PUBLISH", at=NOW + 5), "accepted"),
        (huawei("PUBLISH_DONE", at=NOW + 4, began=NOW - 50), "replayed"),
        (huawei("PUBLISH_DONE", at=NOW + 9, began=NOW + 5), "accepted"),
    ]
    assert [receiving.outcome(received) for received, _ in told] == [outcome for _, outcome in told]
    assert receiving.counters.push_ends == {("huawei", "s1", "unknown"): 2}


SIGNED = ("event", "domain", "app", "stream", "auth_timestamp")


@pytest.mark.parametrize("name", SIGNED)
def test_huawei_signs_what_it_says(name: str) -> None:
    """A callback of which anything that is signed was changed is forged."""
    fields = deliveries.huawei_fields()
    changed_field = {"event": "PUBLISH_DONE", "stream": "s2", "auth_timestamp": NOW + 301}.get(name, "other.example")
    receiving = Receiving("huawei")
    assert receiving.outcome(posted({**fields, name: changed_field})) == "forged"
    assert receiving.untouched()


def test_huawei_signs_without_anything_between() -> None:
    """A digit moved from the stream's name to the time would make a callback that holds for centuries: it is forged."""
    fields = deliveries.huawei_fields()
    moved = {"stream": "s", "auth_timestamp": f"1{fields['auth_timestamp']}"}
    receiving = Receiving("huawei", [{"name": "s", "domain": DOMAIN, "app": "live"}])
    assert receiving.outcome(posted({**fields, **moved})) == "forged"


FAR = 1 << 60
POISON = [
    ("zego", zego(seq=10**17), zego("stream_close", seq=2)),
    ("zego", zego(seq=10**17), zego("stream_close", seq=2, timestamp=NOW + 1)),
    ("zego", zego(stream_seq=-FAR), zego("stream_close", seq=2)),
    ("zego", zego(seq=9), zego("stream_close", seq=2, timestamp=NOW + 1)),
    ("zego", zego(seq=1, room_session_id="9" * 18), zego("stream_close", seq=2)),
    ("zego", zego(seq=1, room_session_id="6", create_time_ms=str(FAR)), zego("stream_close", seq=2)),
    ("zego", zego(seq=1, stream_seq="x", create_time=str(FAR)), zego("stream_close", seq=2)),
    ("zego", zego(seq=1, stream_seq="2", event="stream_close"), zego("stream_close", seq=2, timestamp=NOW + 1)),
    ("tencent", tencent(1, event_time=FAR, sequence="x"), tencent(0, at=NOW + 1)),
    ("tencent", tencent(0, event_time=FAR), tencent(0, at=NOW + 1)),
    ("tencent", tencent(1, event_time=-FAR, sequence="x"), tencent(0)),
    ("tencent", tencent(1, sequence="x"), tencent(0, at=NOW - 1, t=NOW + 601)),
    ("alibaba", alibaba("publish", time=str(FAR)), alibaba("publish_done", at=NOW + 1)),
    ("alibaba", alibaba("publish"), alibaba("publish_done", at=NOW - 1, sent=NOW + 1)),
    ("alibaba", alibaba("publish_done", at=NOW), alibaba("publish_done", at=NOW, sent=NOW + 1)),
    ("huawei", huawei(began=FAR), huawei("PUBLISH_DONE")),
    ("huawei", huawei(began=-FAR), huawei("PUBLISH_DONE")),
    ("huawei", huawei("PUBLISH_DONE", began=FAR), huawei(at=NOW + 1)),
]


@pytest.mark.parametrize(("provider", "poison", "honest"), POISON)
def test_unsigned_fields_outrank_nothing(provider: str, poison: Callback, honest: Callback) -> None:
    """A replayed signature with absurd numbers, times or sessions does not suppress later events."""
    receiving = Receiving(provider)
    assert [receiving.outcome(poison), receiving.outcome(honest)] == ["accepted", "accepted"]


def test_order_among_what_was_signed_before() -> None:
    """An event that was signed earlier and has a lower number is older; one that contradicts its signature counts."""
    receiving = Receiving("zego")
    told = [
        (zego("stream_close", seq=7, timestamp=NOW), "accepted"),
        (zego("stream_create", seq=6, timestamp=NOW - 9), "replayed"),
        (zego("stream_create", seq=8, timestamp=NOW - 9), "accepted"),
    ]
    assert [receiving.outcome(received) for received, _ in told] == [outcome for _, outcome in told]


def test_order_is_remembered_for_ten_minutes() -> None:
    """After ten minutes no older signature is accepted, so the order need not be remembered."""
    receiving, later = Receiving("zego"), NOW + int(ORDER_SECONDS) + 1
    assert receiving.outcome(zego(seq=9, timestamp=NOW + 2)) == "accepted"
    assert receiving.outcome(zego("stream_close", seq=3, timestamp=NOW + 1), later - 1) == "replayed"
    assert receiving.outcome(zego("stream_close", seq=4, timestamp=NOW + 1), later) == "accepted"


# --- what is refused -------------------------------------------------------------------------------------------------

DEEP = b'{"a":' * 50_000
HOSTILE = {
    "empty": b"",
    "truncated": json.dumps(deliveries.tencent_fields()).encode()[:-9],
    "no object": b"[]",
    "text": b"hello",
    "not utf-8": b'{"sign":"\xff"}',
    "nan": b'{"t":NaN}',
    "deep": DEEP,
    "digits": b'{"t":' + b"9" * 60_000 + b',"sign":"x"}',
    "twice": b'{"t":1,"t":2}',
    "surrogate": b'{"sign":"\\ud800","signature":"\\udfff","nonce":"\\ud800","timestamp":"\\ud800","t":1}',
    "nul": b'{"sign":"\\u0000","signature":"\\u0000","nonce":"\\u0000","timestamp":"1","t":1}',
    "types": b'{"sign":[],"signature":{},"nonce":true,"timestamp":1.5,"t":"x","event":{},"event_type":[1]}',
    "form twice": b"event=stream_create&event=stream_close",
    "form": b"&&==&;%",
}


@pytest.mark.parametrize("provider", ["zego", "tencent", "huawei"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bodies(provider: str, name: str) -> None:
    """Any hostile body counts as forged and has no other effect."""
    receiving = Receiving(provider)
    assert receiving.outcome(raw(HOSTILE[name])) == "forged"
    assert receiving.untouched()
    assert receiving.counted() == {("unknown", "forged"): 1}


@pytest.mark.parametrize("provider", ["zego", "tencent", "huawei"])
@given(
    body=st.binary(max_size=300)
    | st.text(max_size=100).map(lambda text: json.dumps({"event": text, "t": text}).encode())
)
@pytest.mark.no_cover
def test_any_bytes(provider: str, body: bytes) -> None:
    """Arbitrary bytes raise nothing but a refusal."""
    assert Receiving(provider).outcome(raw(body)) == "forged"


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
ZEGO_FIELDS = ("event", "room_session_id", "stream_seq", "stream_id", "stream_alias", "type", "create_time_ms", "appid")
TENCENT_FIELDS = ("event_type", "event_time", "sequence", "stream_id", "app", "appname", "errcode", "data_time")


@pytest.mark.parametrize(("provider", "names"), [("zego", ZEGO_FIELDS), ("tencent", TENCENT_FIELDS)])
@given(data=st.data())
def test_any_field_under_a_good_signature(provider: str, names: tuple[str, ...], data: st.DataObject) -> None:
    """Signatures do not cover the body, so any field may be made up: labels stay within their closed sets."""
    spoiled = data.draw(st.dictionaries(st.sampled_from(names), JUNK, max_size=4))
    made = deliveries.zego_fields() if provider == "zego" else deliveries.tencent_fields(0)
    receiving = Receiving(provider)
    receiving.outcome(posted({**made, **spoiled}))
    known = {*(all_providers()[provider].callbacks.events), "unknown"}  # type: ignore[union-attr]
    assert {event for event, _ in receiving.counted()} <= known
    assert {key[2] for key in receiving.counters.push_ends} <= set(END_REASONS)
    assert not [record for record in receiving.board if record.answer is not None]


@given(st.dictionaries(st.sampled_from(["action", "app", "appname", "id", "time"]), st.text(max_size=300)))
def test_any_alibaba_query(spoiled: dict[str, str]) -> None:
    """A query is not signed either."""
    receiving = Receiving("alibaba")
    signed = alibaba(signed="exporter.example")
    receiving.outcome(changed(signed, query={**signed.query, **spoiled}))
    assert {event for event, _ in receiving.counted()} <= {"publish", "publish_done", "unknown"}


@pytest.mark.parametrize(
    ("provider", "received"),
    [
        ("zego", zego(secret="other")),
        ("zego", zego(signature="")),
        ("zego", zego(appid="78")),
        ("tencent", tencent(key="other")),
        ("tencent", tencent(sign="f" * 32)),
        ("tencent", tencent(sign=None)),
        ("tencent", tencent(t=None)),
        ("huawei", huawei(key="other")),
        ("huawei", huawei(auth_sign="")),
        ("huawei", huawei(auth_sign="\udcff")),
        ("huawei", huawei(expires="")),
        ("alibaba", alibaba(key="other")),
        ("alibaba", alibaba(sent="")),
        ("alibaba", alibaba(sent="१२३")),
        ("alibaba", changed(alibaba(), headers={})),
        ("alibaba", changed(alibaba(), headers={"ali-live-timestamp": "1\udcff", "ali-live-signature": "\udcff"})),
    ],
    ids=str,
)
def test_forgeries(provider: str, received: Callback) -> None:
    """A wrong secret, another app, a missing or mangled signature are forged."""
    receiving = Receiving(provider)
    assert receiving.outcome(received) == "forged"
    assert receiving.untouched()


def test_a_mangled_host() -> None:
    """An invalid host is harmless if the domain was signed."""
    assert Receiving("alibaba").outcome(changed(alibaba(), host="\udcff")) == "accepted"


@CLOUDS
def test_a_wrong_method(provider: str) -> None:
    """Each cloud accepts only its own method."""
    receiving = Receiving(provider)
    other = "POST" if provider == "alibaba" else "GET"
    assert receiving.outcome(changed(GOOD[provider], method=other)) == "forged"
    assert receiving.untouched()


@pytest.mark.parametrize(
    ("provider", "received"),
    [
        ("zego", zego(stream="nobody")),
        ("zego", zego("room_create")),
        ("tencent", tencent(stream="nobody")),
        ("tencent", tencent(100)),
        ("alibaba", alibaba(stream="nobody")),
        ("alibaba", alibaba("record")),
        ("huawei", huawei(stream="nobody")),
        ("huawei", huawei("RECORD")),
    ],
    ids=["zego", "zego event", "tencent", "tencent event", "alibaba", "alibaba event", "huawei", "huawei event"],
)
def test_what_is_not_watched_creates_nothing(provider: str, received: Callback) -> None:
    """An unwatched stream or an event that is not about a push is counted, and adds no series of a stream."""
    receiving = Receiving(provider)
    verdict = receiving.receive(received)
    assert verdict.outcome == "unknown_stream"
    assert verdict.event is not None, "the vendor need not try again"
    assert receiving.untouched()


# --- what is remembered ----------------------------------------------------------------------------------------------


def test_memory_is_bounded() -> None:
    """A flood with one valid signature fills no memory: the oldest events are forgotten, texts are short."""
    receiving = Receiving("tencent")
    for number in range(MOST_REMEMBERED + 100):
        receiving.receive(tencent(0, sequence=str(number)))
    receiver = receiving.receiver
    assert len(receiver.received) == MOST_REMEMBERED
    assert len(receiver.newest) == 1
    receiving.receive(tencent(1, sequence="x" * 60_000, at=NOW + 1))
    assert max(len(str(identity)) for identity in receiver.received) < 300


def test_a_reload_keeps_what_was_received() -> None:
    """A replay stays a replay after a reload; unwatched streams are forgotten."""
    receiving = Receiving("tencent")
    receiving.receive(tencent())
    receiving.watch([{"name": "s1", "domain": DOMAIN}, {"name": "new", "domain": DOMAIN}])
    assert receiving.outcome(tencent()) == "replayed"
    receiving.watch([{"name": "new", "domain": DOMAIN}])
    assert receiving.outcome(tencent()) == "unknown_stream"


def test_a_flood_asks_for_one_line_in_the_log() -> None:
    """An outcome is logged when it first occurs, and again only after a long silence."""
    receiving = Receiving("zego")
    told = []
    for seq in range(1, 200):
        told += [receiving.receive(zego(seq=seq)), receiving.receive(zego(seq=seq, signature="0"))]
    assert [verdict.outcome for verdict in told if verdict.advice] == ["forged"]
    assert receiving.receive(zego(signature="0"), NOW + QUIET_SECONDS + 1).advice


def test_no_secret_is_in_a_repr() -> None:
    """The receiver's repr shows neither the key nor a callback."""
    receiving = Receiving("tencent")
    receiving.receive(tencent(key="other"))
    receiving.receive(tencent())
    assert SECRET not in repr(receiving.receiver)
    assert "canary" not in repr(receiving.receiver)
    assert isinstance(receiving.receiver.secret, Secret)


def test_an_account_with_a_secret_begins_at_zero() -> None:
    """A rule can distinguish no callbacks from no receiver."""
    assert Receiving("alibaba").counters.callbacks == {
        ("alibaba", "alibaba", event, "accepted"): 0 for event in ("publish", "publish_done")
    }
