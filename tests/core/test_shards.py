"""Shards at work: the quota holds over all of them, each shows its own streams, and a reload moves streams."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from random import Random

import pytest
import yaml
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.config.shards import Shard
from exporter.rounds.pace import TURN, WHOLE, Pace, Part
from exporter.serving.app import App
from tests.core.test_quota import busiest
from tests.core.test_reload import Stage, document
from tests.virtual import EPOCH, Network, account, account_prober, always, prober, run, scrape, streams, tencent_state

ACTION = "DescribeLiveStreamState"
NAMES = [f"s{number}" for number in range(12)]


def made_by(parts: int, rate: float, seconds: float, chance: Random, late: tuple[float, ...]) -> list[float]:
    """Return when calls go out of processes that each keep a part of a rate, all as soon as allowed.

    Each begins when it likes, wakes up late by up to one of `late` seconds, and has a clock that is 5 ms wrong at most.
    """
    made: list[float] = []
    for index in range(parts):
        part = Part(index, parts)
        pace, now = Pace(part.of(rate)), chance.uniform(0, 2)
        pace.align(part, EPOCH + chance.uniform(-0.005, 0.005))
        while now < seconds:
            queued = False
            while (wait := pace.wait(now)) > 0:
                now, queued = now + wait + 1e-9 + chance.choice(late) * chance.random(), True
            pace.take(now, queued)
            made.append(now)
    return sorted(made)


@settings(max_examples=60, deadline=None)
@given(rate=st.integers(1, 60), parts=st.integers(1, 60), seed=st.integers())
def test_no_second_holds_more_than_the_rate_over_all_parts(rate: int, parts: int, seed: int) -> None:
    """Parts that know nothing of each other keep the quota together, also where a part is less than a call a second."""
    made = made_by(parts, rate, 20.0, Random(seed), (0.0, 0.001, 0.005, 0.3))
    assert busiest(made) <= rate


@pytest.mark.parametrize(("rate", "parts"), [(20, 50), (30, 50), (10, 40), (150, 50), (0.5, 4)])
def test_nearly_all_of_a_divided_rate_is_used(rate: float, parts: int) -> None:
    """Turns by the clock cost little: at least nine tenths of the whole rate go out, though wake-ups are late."""
    made = made_by(parts, rate, 300.0, Random(1), (0.0, 0.001, 0.005))
    assert len(made) / 300 >= 0.9 * rate


def test_a_turn_that_was_missed_is_not_made_up_for() -> None:
    """A part of less than a call a second waits for its next turn once the present one is over."""
    part = Part(3, 4)
    pace = Pace(part.of(2.0))
    pace.align(part, EPOCH)
    begins = pace.wait(0.0)
    assert pace.wait(begins + TURN / 2) == 0
    assert pace.wait(begins + TURN * 1.1) == pytest.approx(4 * 1.04 / 2 - TURN * 1.1, abs=1e-6)


def test_a_clock_that_is_set_moves_the_turns() -> None:
    """Turns go by the time of day as it is now, or parts would meet after one machine's clock is put right."""
    turns = []
    for ahead in (EPOCH, EPOCH + 0.5):
        pace = Pace(Part(0, 4).of(2.0))
        pace.align(Part(0, 4), ahead)
        turns.append(pace.wait(0.0))
    assert (turns[0] - turns[1]) % 2.08 == pytest.approx(0.5, abs=1e-6)


def test_each_account_keeps_its_part_of_every_action() -> None:
    """All rates are divided, as configured or documented, and shown so; a reload to other shards applies at once."""

    async def rates() -> list[dict[str, float]]:
        made = prober(Network(lambda *_: always(tencent_state("active"))), [account(quota={ACTION: 30})], streams(1))
        one = account_prober(made)
        found = [one.allowed_rates()]
        for part in (Part(1, 4), Part(1, 40), WHOLE):
            made.configure([(one.provider, one.account)], streams(1), 120.0, part)
            found.append(one.allowed_rates())
        return found

    whole, four, forty, again = run(rates())
    assert (whole[ACTION], four[ACTION], forty[ACTION]) == (30, 7.5, 0.75)
    assert four == {action: rate / 4 for action, rate in whole.items()}
    assert again == whole


def test_rounds_of_fifty_shards_keep_one_quota() -> None:
    """Whole rounds of all shards at once, each with more streams than turns, stay below the quota at the cloud."""

    async def times() -> tuple[int, int]:
        network = Network(lambda *_: always(tencent_state("active")))
        made = [prober(network, [account(quota={ACTION: 20})], []) for _ in range(50)]
        for index, one in enumerate(made):
            part = Part(index, 50)
            one.configure([(account_prober(one).provider, account(quota={ACTION: 20}))], streams(10), 120.0, part)
        await asyncio.gather(*(scrape(one) for one in made))
        return network.busiest_second(), len(network.calls)

    most, calls = run(times())
    assert most <= 20
    assert calls >= 150


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_a_shard_shows_its_own_streams_and_says_which_it_is(tmp_path: Path) -> None:
    """Metrics, page, JSON and targets are of this shard's streams; all but the metrics name it, in few words."""
    own = [name for name in NAMES if Shard(0, 3).of("tencent", name) == 1]

    async def shown() -> dict[str, str]:
        stage = Stage(tmp_path, document(*NAMES, shard={"index": 1, "count": 3}))
        async with stage.service as service:
            app = App(service, stage.reloader.reload)
            async with TestClient(TestServer(app.application())) as client:
                paths = ("/metrics", "/", "/api/v1/streams", "/sd", "/config", f"/probe?target=tencent/{OTHER}")
                return {path: await (await client.get(path)).text() for path in paths}

    pages = asyncio.run(shown())
    assert 0 < len(own) < len(NAMES)
    listed = json.loads(pages["/api/v1/streams"])
    assert [one["stream"] for one in listed] == own
    assert {one["shard"] for one in listed} == {"1/3"}
    targets = json.loads(pages["/sd"])
    assert [one["labels"]["__meta_stream_name"] for one in targets] == own
    assert {one["labels"]["__meta_stream_shard"] for one in targets} == {"1"}
    assert pages["/metrics"].count("\nstream_active{") == len(own)
    assert "shard" not in pages["/metrics"]
    assert '<span class="sub">shard 1/3</span>' in pages["/"]
    assert yaml.safe_load(pages["/config"])["shard"] == {"index": 1, "count": 3}
    index = Shard(0, 3).of("tencent", OTHER)
    assert pages[f"/probe?target=tencent/{OTHER}"].endswith(f"; shard {index} would watch it, this is 1/3\n")


OTHER = next(name for name in NAMES if Shard(0, 3).of("tencent", name) != 1)


def test_without_shards_nothing_speaks_of_them(tmp_path: Path) -> None:
    """One exporter for all shows no word of shards."""

    async def shown() -> str:
        stage = Stage(tmp_path, document(*NAMES))
        app = App(stage.service, stage.reloader.reload).application()
        async with stage.service, TestClient(TestServer(app)) as client:
            return "".join([await (await client.get(path)).text() for path in ("/", "/api/v1/streams", "/sd")])

    assert "shard" not in asyncio.run(shown())


def test_a_reload_changes_the_shard(tmp_path: Path) -> None:
    """Streams that stay keep what is known of them, others come and go, and the quota is divided anew."""
    parts = [{name for name in NAMES if Shard(0, count).of("tencent", name) == 0} for count in (2, 3)]

    async def shards() -> None:
        stage = Stage(tmp_path, document(*NAMES, shard={"index": 0, "count": 2}))
        async with stage.service as service:
            await service.refresh(service.clock.mono() + 5)
            known = {record.stream.name: record for record in service.board}
            assert known.keys() == parts[0]
            stage.write(document(*NAMES, shard={"index": 0, "count": 3}))
            assert await stage.reloader.reload() == []
            now = {record.stream.name: record for record in service.board}
            assert now.keys() == parts[1]
            stay = parts[0] & parts[1]
            assert stay
            assert all(now[name] is known[name] for name in stay)
            assert service.prober.accounts["main"].allowed_rates()[ACTION] == pytest.approx(1000 / 3)

    run(shards())
