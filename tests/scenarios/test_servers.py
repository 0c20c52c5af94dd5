"""Servers of one's own that have a list and nothing else: what it proves, and what it does not."""

from __future__ import annotations

import re
from typing import Any

import pytest

from exporter.model import State
from exporter.providers import all_providers
from exporter.schedule import Expectations
from exporter.simulator import Tricks
from tests.hostile.theatre import Theatre
from tests.providers.exchanges import load

from .stage import NEIGHBOUR, VICTIM, Stage, account, one_hot, small_world, states, stream

SERVERS = ("mediamtx", "srs")
WHOLE: dict[str, dict[str, Any]] = {"honest": {}, "somebody else's first": {"foreign": 40}}
NOT_WHOLE: dict[str, dict[str, dict[str, Any]]] = {
    "mediamtx": {
        "a total of nothing": {"total": 0},
        "a total of a million": {"total": 1_000_000},
        "a million pages": {"pages": 1_000_000},
        "each row three times": {"duplicates": 2},
        "more than a page": {"foreign": 5_500},
        "the same page for ever": {"foreign": 5_500, "loop": True},
    },
    "srs": {"each row three times": {"duplicates": 2}, "more than were asked for": {"foreign": 10_500}},
}


def shown(stage: Stage, provider: str, trick: dict[str, Any]) -> tuple[dict[str, float], dict[str, float]]:
    """Return the states of a live stream and of one that has ended, where the server's list plays a trick."""
    world = small_world()
    world.set(f"{provider}/{NEIGHBOUR}", "inactive")
    world.set_tricks(provider, Tricks(**trick))
    scraped = stage.show(world, [account(provider, stage.endpoint)])
    return states(scraped, provider, VICTIM), states(scraped, provider, NEIGHBOUR)


@pytest.mark.parametrize("provider", SERVERS)
@pytest.mark.parametrize("trick", WHOLE)
def test_a_whole_list_settles_both_ways(stage: Stage, provider: str, trick: str) -> None:
    """One call says who is live and, by absence, who is not."""
    assert shown(stage, provider, WHOLE[trick]) == (one_hot(State.ACTIVE), one_hot(State.INACTIVE))


@pytest.mark.parametrize(("provider", "trick"), [(one, trick) for one in SERVERS for trick in NOT_WHOLE[one]])
def test_absence_from_a_list_that_is_not_whole_proves_nothing(stage: Stage, provider: str, trick: str) -> None:
    """What contradicts itself, or goes on beyond a page, makes nobody inactive; a live row may be believed."""
    live, ended = shown(stage, provider, NOT_WHOLE[provider][trick])
    assert ended == one_hot(State.UNKNOWN)
    assert live in (one_hot(State.ACTIVE), one_hot(State.UNKNOWN))


@pytest.mark.parametrize("provider", SERVERS)
def test_one_call_answers_for_all(stage: Stage, provider: str) -> None:
    """However many streams are watched, the server gets one call, with a token where the account has one."""
    world = small_world()
    world.accounts[provider].fields["token"] = "a.jwt"
    for number in range(300):
        world.add_stream(f"more-{number}", provider)
    watched = [stream(provider, f"more-{number}") for number in range(300)]
    scraped = stage.show(world, [account(provider, stage.endpoint, token="a.jwt")], watched)
    assert set(scraped.all("stream_active").values()) == {1.0}
    assert len(world.calls(provider=provider)) == 1
    assert scraped.value("stream_provider_listed_streams", provider=provider, account=provider, scope=provider) == 302


@pytest.mark.parametrize("provider", SERVERS)
def test_details_come_with_the_state(stage: Stage, provider: str) -> None:
    """Size, start and the way in are shown of live streams as far as the server tells, and of nobody else."""
    world = small_world()
    world.set(f"{provider}/{NEIGHBOUR}", "inactive")
    scraped = stage.show(world, [account(provider, stage.endpoint)])
    live, ended = ({"provider": provider, "stream": name} for name in (VICTIM, NEIGHBOUR))
    assert scraped.value("stream_ingest_width_pixels", **live) == 1280
    assert scraped.value("stream_ingest_height_pixels", **live) == 720
    assert scraped.value("stream_ingest_width_pixels", **ended) is None
    tells = provider == "mediamtx"
    assert scraped.value("stream_ingest_info", **live, type="push") == (1.0 if tells else None)
    began = scraped.value("stream_start_timestamp_seconds", **live)
    assert began == (pytest.approx(world.streams[f"{provider}/{VICTIM}"].script.since, abs=1) if tells else None)


@pytest.mark.parametrize("provider", SERVERS)
def test_bytes_that_stand_still_are_a_stall(provider: str) -> None:
    """A live stream of which no byte has come for a minute stalls, until one comes; it stays live all the while."""
    kind = all_providers()[provider]
    theatre = Theatre(kind, kind.main, "list", {})
    answer = next(one for one in load(kind) if one.name == "active").reply
    stalls = []
    try:
        for more in (0, 0, 1):
            count = str(int(re.findall(rb'(?:inboundBytes|recv_bytes)": (\d+)', answer.body)[0]) + more).encode()
            body = re.sub(rb'((?:inboundBytes|recv_bytes)": )\d+', rb"\g<1>" + count, answer.body)
            assert theatre.play(answer._replace(body=body)) is State.ACTIVE
            figures = theatre.record.row(theatre.now, 1e9, Expectations().at(0.0).of(("any", "stream"))).figures
            stalls.append(figures and figures.stalled)
    finally:
        theatre.close()
    assert stalls == [None, True, False]


def test_vhosts_are_told_apart(stage: Stage) -> None:
    """One app and name in two vhosts are two streams; SRS tells them apart by `url` alone."""
    world = small_world()
    world.add_stream("other", "srs", vhost="studio.example", stream="show")
    world.add_stream("default", "srs", state="inactive", stream="show")
    kind = all_providers()["srs"].stream
    watched = [
        kind(name="other", account="srs", vhost="studio.example", stream="show"),
        kind(name="default", account="srs", stream="show"),
        kind(name="dotted", account="srs", vhost="studio.example", stream="show.flv"),
        kind(name="app", account="srs", vhost="studio.example", app="else", stream="show"),
    ]
    scraped = stage.show(world, [account("srs", stage.endpoint)], watched)
    found = {
        name: scraped.value("stream_active", provider="srs", stream=name)
        for name in ("other", "default", "dotted", "app")
    }
    assert found == {"other": 1.0, "default": 0.0, "dotted": 1.0, "app": 0.0}
