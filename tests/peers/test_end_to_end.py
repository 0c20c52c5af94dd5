"""From the clouds to the pager: real Prometheus and Alertmanager with the shipped rules and routes, in shrunk time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest

from testbed.processes import until

from . import scaled
from .servers import Message, vector
from .site import CROWD, Site, site

# The alert about a provider names no stream.
BLIND = Message("on-call", "StreamProviderBlind", "zego", firing=("",))
BLIND_OVER = Message("on-call", "StreamProviderBlind", "zego", resolved=("",))
# What docs/alerting.md promises: a page about the first stream, and about one that joins it; beats of the switch.
FIRST, JOINING, BEAT = (seconds * scaled.SCALE for seconds in (130, 180, 120))
# For machines that are slow: what is measured are fifteenths of minutes.
SLACK = 2.0


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The whole site, of which 60 streams are at one provider."""
    with site(tmp_path_factory.mktemp("site")) as one:
        yield one


def down(stream: str) -> Message:
    """Return the notification that a stream, PROVIDER/NAME, is down."""
    provider, _, name = stream.partition("/")
    return Message("on-call", "StreamDown", provider, firing=(name,))


def back(stream: str) -> Message:
    """Return the notification that a stream, PROVIDER/NAME, is live again."""
    provider, _, name = stream.partition("/")
    return Message("on-call", "StreamDown", provider, resolved=(name,))


def test_a_stream_that_stops_is_told_in_time_and_its_return_too(everything: Site) -> None:
    """A stream stops among others, then a second: a page each within the promised time, and nobody hears anything else.

    The dead-man's switch comes meanwhile, as often as promised.
    """
    everything.settle()
    everything.set("volcengine/speaker-2", "inactive")
    everything.wait_for(down("volcengine/speaker-2"), FIRST + SLACK)
    both = Message("on-call", "StreamDown", "volcengine", firing=("speaker-2", "speaker-3"))
    everything.set("volcengine/speaker-3", "inactive")
    everything.wait_for(both, JOINING + SLACK)
    owned = 'ALERTS{alertname="StreamDown", alertstate="firing", account="volcengine-main"}'
    assert {labels["stream"] for labels, _ in vector(everything.prometheus.url, owned)} == {*both.firing}
    for stream in ("volcengine/speaker-2", "volcengine/speaker-3"):
        everything.set(stream, "active")
    until(lambda: sorted(name for one in everything.hook.messages for name in one.resolved) == [*both.firing], "back")
    told, again, *ends = everything.hook.messages
    assert [told, again] == [down("volcengine/speaker-2"), both]
    assert {(one.receiver, one.alert, one.provider) for one in ends} == {("on-call", "StreamDown", "volcengine")}
    gaps = [after - before for before, after in pairwise([*everything.hook.beats, time.monotonic()])]
    assert len(gaps) > 2
    assert max(gaps) < BEAT + SLACK


def test_a_dead_provider_is_told_once_and_none_of_its_streams(everything: Site) -> None:
    """A provider of 60 streams dies: one message, none about its streams, while other clouds are still told of."""
    everything.settle()
    everything.set("zego/rtc33", "inactive")
    everything.wait_for(down("zego/rtc33"))
    began = time.monotonic()
    everything.clouds["zego"].kill()
    everything.set("tencent/arena-2", "inactive")
    everything.wait_for(down("tencent/arena-2"))
    everything.wait_for(BLIND)
    assert len(vector(everything.prometheus.url, "stream_probe_success == 0")) == CROWD
    # What was told before is forgotten by the rules in the outage, but nobody is told that it is over.
    still = ["StreamDown firing tencent arena-2", "StreamProviderBlind firing zego"]
    until(lambda: everything.alerts() == still, "the rules forget what they knew of the dead provider")
    assert Counter(everything.hook.messages) == Counter([down("zego/rtc33"), down("tencent/arena-2"), BLIND])
    everything.raise_cloud("zego")
    everything.set("tencent/arena-2", "active")
    ends = [BLIND_OVER, back("zego/rtc33"), back("tencent/arena-2")]
    for end in ends:
        everything.wait_for(end)
    assert Counter(everything.hook.messages) == Counter([down("zego/rtc33"), down("tencent/arena-2"), BLIND, *ends])
    # The rules themselves kept quiet about the others: no inhibition was needed.
    fired = f'ALERTS{{provider="zego", stream!~"|rtc33", alertstate="firing"}}[{time.monotonic() - began:.0f}s]'
    assert vector(everything.prometheus.url, f"count_over_time({fired})") == []
