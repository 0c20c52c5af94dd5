"""Volcengine Live's callbacks: both forms of the documentation, transcoded streams, order, and what is no proof."""

from __future__ import annotations

import json
from typing import Any

import pytest

from exporter.providers.encoding import expiry_signature
from exporter.providers.interface import AnyProvider, Callback, Event, Refused
from exporter.providers.volcengine_live.provider import PROVIDER
from exporter.simulator import World
from exporter.simulator.providers import fakes
from exporter.simulator.sending import build_callback
from exporter.simulator.types import Event as Sent
from exporter.simulator.types import Manners

CLOUD: AnyProvider = PROVIDER
ACCOUNT = CLOUD.account(name="main", provider="volcengine_live")
KEY, NOW = "key", 1_800_000_000
PLAIN = {
    "event_type": "push_start", "vhost": "space.example", "domain": "Push.Example", "app": "live", "stream": "gala",
    "session_id": "s-1", "time": NOW - 5, "transcoded": False,
}  # fmt: skip
KEYS = (("vhost", "space.example", "live", "gala"), ("domain", "push.example", "live", "gala"))


def heard(body: dict[str, Any], key: str = KEY, t: int = NOW + 600, now: float = NOW) -> Event:
    """Read a callback of these fields, signed with a key and a time of expiry."""
    assert CLOUD.callbacks is not None
    sent = json.dumps({**body, "t": t, "sign": expiry_signature(key=key, t=t).upper()}).encode()
    return CLOUD.callbacks.verify(ACCOUNT, KEY, Callback("POST", "host", {}, {}, sent), now)


def test_a_beginning_is_heard_for_vhost_and_domain() -> None:
    """A stream is found by the one or the other, whichever its configuration has."""
    event = heard(PLAIN)
    assert (event.event, event.live, event.keys) == ("push_start", True, KEYS)
    assert (event.at, event.sent, event.session, event.end_reason) == (NOW - 5, NOW, "s-1", None)
    for own in ({"vhost": "space.example"}, {"domain": "push.example"}):
        stream = CLOUD.stream(name="gala", account="main", app="live", **own)
        assert CLOUD.callbacks is not None
        assert set(CLOUD.callbacks.keys(ACCOUNT, stream)) < set(event.keys)


def test_an_end_comes_after_its_beginning() -> None:
    """Within the same second too; why the push ended is not told."""
    begin, end = heard(PLAIN), heard({**PLAIN, "event_type": "push_end"})
    assert (end.live, end.end_reason, end.keys) == (False, "unknown", KEYS)
    assert end.order > begin.order
    assert end.identity != begin.identity


@pytest.mark.parametrize("transcoded", [True, "true", 1, ["?"]])
def test_what_is_transcoded_is_no_push(transcoded: Any) -> None:
    """A transcoded twin that ends says nothing about the push."""
    event = heard({**PLAIN, "event_type": "push_end", "transcoded": transcoded})
    assert (event.live, event.keys, event.end_reason) == (None, (), None)


@pytest.mark.parametrize("body", ["json", "nested"])
@pytest.mark.parametrize("live", [True, False])
def test_the_simulators_callbacks_are_accepted(body: Any, live: bool) -> None:
    """Flat or nested, a callback of the fake is verified and is about the very stream."""
    world = World(clock=lambda: float(NOW))
    world.add_account("main", "volcengine_live", access_key_id="id", secret_access_key="s", callback_key=KEY)
    stream = world.add_stream("gala", "main", domain="push.example", app="live")
    spec = fakes()["volcengine_live"].callbacks
    assert spec is not None
    callback = build_callback(spec, Sent(stream, live, NOW, 2, (1, NOW - 9.0), NOW, "0"), Manners(body=body))
    assert CLOUD.callbacks is not None
    event = CLOUD.callbacks.verify(ACCOUNT, KEY, Callback("POST", "host", {}, {}, callback.body), NOW)
    assert (event.event, event.live) == (callback.event, live)
    assert ("domain", "push.example", "live", "gala") in event.keys


def test_what_is_not_signed_is_refused() -> None:
    """Another key, an expired time and an unknown event are told apart."""
    with pytest.raises(Refused, match="forged"):
        heard(PLAIN, key="wrong")
    with pytest.raises(Refused, match="expired"):
        heard(PLAIN, now=NOW + 601)
    assert heard({**PLAIN, "event_type": "snapshot"}).event == "unknown"
