"""A short fault campaign of each intensity, and a check that its judge sees what is wrong with others."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
import structlog

from benchmarks.faults.__main__ import faults_of
from benchmarks.faults.campaign import NAMES, campaign
from benchmarks.faults.clouds import Clouds
from benchmarks.faults.judge import Judge
from benchmarks.faults.script import SHORTEST
from exporter.commands import logs
from exporter.model import State
from exporter.providers import all_providers
from testbed.provider import busiest
from testbed.virtual import run

OURS, ZERO, LAST = NAMES
EACH = 20


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep what is logged out of the tests' output."""
    before = structlog.get_config()
    logs.configure("error", "logfmt", io.StringIO())
    yield
    structlog.configure(**before)


@pytest.mark.parametrize(("intensity", "seed"), [(0.0, "1"), (0.10, "2"), (0.25, "3"), (0.50, "4"), (0.80, "5")])
def test_our_exporter_neither_lies_nor_misses_nor_overspends(intensity: float, seed: str) -> None:
    """No false down, no missed down, no call above quota and no late scrape at any cloud, however much is faulty."""
    found = campaign(OURS, seed, 4, intensity, EACH)
    assert faults_of(found) == []
    assert found.clouds == set(all_providers())
    assert found.downs > 80
    assert found.known > (1 - intensity) * 0.5
    assert (found.known == 1.0) == (intensity == 0)


def test_two_processes_that_know_only_their_own_streams_make_nobody_lie() -> None:
    """What one process lacks is not shown as down while another may have it."""
    found = campaign(OURS, "6", 3, 0.25, EACH, processes=2)
    assert faults_of(found) == []
    alone = {name for name, one in all_providers().items() if any(listing.elsewhere for listing in one.listings)}
    assert alone
    assert found.clouds == set(all_providers()) - alone


def test_the_simple_exporters_fail_where_ours_does_not() -> None:
    """The campaign is hard: who shows 0 on an error, or the last value, shows falsehoods by the dozen."""
    zero, last = (campaign(name, "3", 3.5, 0.5, 30) for name in (ZERO, LAST))
    assert zero.false_downs > 200
    assert last.false_downs > 20
    assert last.false_ups > 20
    assert zero.quota > 1.5


def test_the_judge_sees_a_false_value_and_an_old_one() -> None:
    """A 0 for what was live since it was asked, a 1 for what was not, and a value without any attempt are false."""

    async def main() -> None:
        clouds = Clouds("7", 600, 0, EACH)
        judge = Judge("liar", clouds)
        begin = clouds.begin
        for key, life in clouds.lives.items():
            clouds.tried[key] = begin + 1
            live = life.state(begin) is State.ACTIVE
            judge.scraped(begin + SHORTEST - 5, begin + SHORTEST - 1, {key: int(not live)})
        assert judge.verdict.false_downs + judge.verdict.false_ups == len(clouds.lives)
        assert judge.verdict.false_downs > 50
        honest = Judge("honest", clouds)
        shown = {key: int(life.state(begin) is State.ACTIVE) for key, life in clouds.lives.items()}
        honest.scraped(begin + 1, begin + 2, shown)
        assert honest.verdict.false_downs + honest.verdict.false_ups == 0
        clouds.tried.clear()
        honest.scraped(begin + 1, begin + 2, shown)
        assert honest.verdict.false_downs + honest.verdict.false_ups == len(clouds.lives)

    run(main())


def test_the_judge_sees_who_is_blind_and_who_is_late() -> None:
    """An exporter that shows nothing misses every down that lasts; one that answers late is not heard."""

    async def main() -> None:
        clouds = Clouds("7", 1800, 0, EACH)
        blind, late = Judge("blind", clouds), Judge("late", clouds)
        for at in range(0, 1790, 15):
            started = clouds.begin + at
            blind.scraped(started, started + 1, {})
            late.scraped(started, started + 9.6, dict.fromkeys(clouds.lives, 0))
        assert blind.over({}).missed_downs > 100
        assert late.over({}).deadline_misses == late.verdict.scrapes
        assert late.verdict.missed_downs == blind.verdict.missed_downs

    run(main())


def test_the_busiest_second_is_found() -> None:
    """Windows slide; their end is left out."""
    assert busiest([]) == 0
    assert busiest([5.0, 0.0, 0.5, 0.999, 1.0, 1.2]) == 4
    assert busiest([0.0, 1.0, 2.0]) == 1
