"""When addresses are checked, in virtual time: each in its time, and no host waits for another."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from exporter.playback.queue import ALWAYS, LOST, MOST_AT_ONCE, TOGETHER, Queue, Standing
from testbed.virtual import run

START = 1000.0  # of virtual time


@dataclass(slots=True)
class Desk:
    """Works on entries named HOST/NAME; remembers when, and how many of a host at once."""

    takes: dict[str, float] = field(default_factory=dict)  # seconds by host
    every: float = 10.0
    sooner: dict[str, float] = field(default_factory=dict)  # seconds until an entry's time comes again, if not as usual
    begun: list[tuple[float, str]] = field(default_factory=list)
    busy: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)

    async def work(self, entry: str) -> float:
        """Work for as long as the host takes."""
        host = entry.partition("/")[0]
        self.begun.append((asyncio.get_running_loop().time(), entry))
        self.busy[host] += 1
        self.most[host] = max(self.most[host], self.busy[host])
        try:
            await asyncio.sleep(self.takes.get(host, 0.1))
        finally:
            self.busy[host] -= 1
        return self.sooner.get(entry, self.every)

    def times(self, entry: str) -> list[float]:
        """Return when an entry was begun."""
        return [round(when - START, 3) for when, name in self.begun if name == entry]


def queue(desk: Desk, concurrency: int | None = 2) -> Queue[str]:
    """Return a queue that runs on the running loop's time."""
    made: Queue[str] = Queue(desk.work, lambda entry: entry.partition("/")[0], asyncio.get_running_loop().time)
    if concurrency is not None:
        made.concurrency = concurrency
    made.run(True)
    return made


def test_each_has_its_time() -> None:
    """A new entry is worked on at once, and again after the seconds that its work returned, counted from its begin.

    Then it waits for others for a moment: they begin together.
    """
    desk = Desk()

    async def story() -> None:
        made = queue(desk)
        made.keep(["a/1"])
        await asyncio.sleep(25)
        await made.close()

    run(story())
    assert desk.times("a/1") == [0.0, 10.0 + TOGETHER, 20.0 + 2 * TOGETHER]


def test_those_whose_time_is_nearly_the_same_begin_together() -> None:
    """The event loop wakes up once for all whose time comes within a moment, and not for each of them."""
    desk, others = Desk(), {f"{host}/1": 1 + number / 1000 for number, host in enumerate("bcdefg", 1)}
    desk.sooner = {"a/1": 1.0, **others, "h/1": 1.5}

    async def story() -> None:
        made = queue(desk)
        made.keep(desk.sooner)
        await asyncio.sleep(1.6)
        await made.close()

    run(story())
    assert {name: desk.times(name)[1:] for name in desk.sooner} == {
        "a/1": [1 + TOGETHER], **{name: [1 + TOGETHER] for name in others}, "h/1": [1.5 + TOGETHER],
    }  # fmt: skip


@pytest.mark.parametrize(("told", "most"), [(None, 1), (3, 3)])
def test_each_in_its_turn_and_no_more_than_told(told: int | None, most: int) -> None:
    """Of a host, as many are under way as the queue was told, one until then; they begin in the order given."""
    desk = Desk({"a": 1.0})

    async def story() -> None:
        made = queue(desk, told)
        made.keep(f"a/{i}" for i in range(7))
        await asyncio.sleep(9)
        await made.close()

    run(story())
    assert desk.most["a"] == most
    assert [name for _, name in desk.begun] == [f"a/{i}" for i in range(7)]


def test_a_slow_host_delays_only_its_own() -> None:
    """Of a host that hangs no more than allowed are under way; another host's are worked on in time."""
    desk = Desk({"slow": 1000.0})

    async def story() -> None:
        made = queue(desk, concurrency=3)
        made.keep([*(f"slow/{i}" for i in range(50)), "quick/1"])
        await asyncio.sleep(35)
        await made.close()

    run(story())
    assert (desk.most["slow"], len([1 for _, name in desk.begun if name.startswith("slow")])) == (3, 3)
    assert desk.times("quick/1") == pytest.approx([0.0, 10.0, 20.0, 30.0], abs=3.1 * TOGETHER)


def test_many_slow_hosts_leave_room_for_each_other() -> None:
    """When as many are under way as there may be in all, each further host still has its two."""
    hosts = MOST_AT_ONCE // 4
    desk = Desk({f"slow{i}": 1000.0 for i in range(hosts)})

    async def story() -> None:
        made = queue(desk, concurrency=8)
        made.keep([f"slow{i}/{j}" for i in range(hosts) for j in range(8)])
        made.keep([*(f"slow{i}/{j}" for i in range(hosts) for j in range(8)), *(f"late/{j}" for j in range(9))])
        await asyncio.sleep(0.05)
        assert desk.busy["late"] == ALWAYS
        await asyncio.sleep(1)
        await made.close()

    run(story())
    assert desk.busy.total() == 0
    assert len({name for _, name in desk.begun if name.startswith("late/")}) == 9
    assert desk.most["late"] == ALWAYS


def test_whoever_ends_makes_room_for_other_hosts_too() -> None:
    """When as many are under way as there may be in all, a host's third begins once any other has ended."""
    desk = Desk({"a": 1000.0, "other0": 5.0, **{f"other{i}": 1000.0 for i in range(1, MOST_AT_ONCE - ALWAYS)}}, 1000.0)

    async def story() -> None:
        made = queue(desk, concurrency=8)
        made.keep([*(f"other{i}/1" for i in range(MOST_AT_ONCE - ALWAYS)), *(f"a/{i}" for i in range(ALWAYS + 1))])
        await asyncio.sleep(10)
        await made.close()

    run(story())
    assert desk.times(f"a/{ALWAYS - 1}") == [0.0]
    assert desk.times(f"a/{ALWAYS}") == [5.0]


@pytest.mark.parametrize("eager", [(), range(0, 60, 2), range(59)], ids=["none", "half", "all but one"])
def test_under_overload_all_of_a_host_come_equally_often(eager: Iterable[int]) -> None:
    """With three times as many as there is room for, each has every third turn, though the time of some comes again
    after a second; another host's come in time.
    """
    desk = Desk({"full": 1.0}, sooner={f"full/{i}": 1.0 for i in eager})

    async def story() -> None:
        made = queue(desk)
        made.keep([*(f"full/{i}" for i in range(60)), "quick/1", "quick/2"])
        await asyncio.sleep(600)
        await made.close()

    run(story())
    gaps = [b - a for i in range(60) for a, b in pairwise(desk.times(f"full/{i}"))]
    assert [min(gaps), max(gaps)] == pytest.approx([30, 30], abs=1.1)
    assert desk.times("quick/1") == desk.times("quick/2") == [10.0 * turn for turn in range(60)]


def test_what_comes_sooner_takes_only_what_is_left() -> None:
    """Where there is room for a few more, those whose time comes sooner get it, and the others come in time."""
    desk = Desk({"a": 1.0}, sooner={f"a/{i}": 1.0 for i in range(5)})

    async def story() -> None:
        made = queue(desk, concurrency=1)
        made.keep(f"a/{i}" for i in range(9))
        await asyncio.sleep(600)
        await made.close()

    run(story())
    assert all(b - a <= 11.1 for i in range(5, 9) for a, b in pairwise(desk.times(f"a/{i}")))
    assert all(len(desk.times(f"a/{i}")) > 65 for i in range(5))


def test_when_all_are_slow_hosts_share_the_room() -> None:
    """When as many are under way as there may be in all, who waits longest goes first, at whatever host: none takes
    all that is left beyond the two of each.
    """
    hosts = 8
    desk = Desk({f"h{i}": 10.0 for i in range(hosts)}, every=1.0)

    async def story() -> None:
        made = queue(desk, concurrency=MOST_AT_ONCE)
        made.keep(f"h{i}/{j}" for i in range(hosts) for j in range(96))
        await asyncio.sleep(301)
        await made.close()

    run(story())
    turns = Counter(name for _, name in desk.begun)
    assert len(turns) == hosts * 96
    assert max(turns.values()) - min(turns.values()) <= 2


def test_a_place_is_not_lost_with_what_has_not_begun() -> None:
    """An entry that is taken away in the very moment of its turn gives its place back, and comes again if it does."""
    desk = Desk()

    async def story() -> None:
        made = queue(desk, concurrency=1)
        made.keep(["a/1"])
        made.keep(["a/2"])
        made.keep(["a/1", "a/2"])
        await asyncio.sleep(2 * LOST)
        await made.close()

    run(story())
    assert desk.times("a/1")
    assert desk.times("a/2")


def test_work_that_breaks_off_is_told_and_comes_again() -> None:
    """The event loop hears of an error in the work, and its entry's time comes again all the same."""
    begun, heard = 0, []

    async def work(_: str) -> float:
        nonlocal begun
        begun += 1
        raise ZeroDivisionError

    async def story() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: heard.append(type(context["exception"])))
        made: Queue[str] = Queue(work, lambda _: "a", loop.time)
        made.run(True)
        made.keep(["a/1"])
        await asyncio.sleep(LOST + 1)
        await made.close()

    run(story())
    assert (begun, heard) == (2, [ZeroDivisionError] * 2)


def test_more_room_is_used_at_once() -> None:
    """When the queue is told that more of a host may be under way, those that wait begin."""
    desk = Desk({"a": 100.0})

    async def story() -> None:
        made = queue(desk, concurrency=1)
        made.keep(entries := ["a/1", "a/2", "a/3"])
        await asyncio.sleep(1)
        made.concurrency = 2
        made.keep(entries)
        await asyncio.sleep(1)
        assert made.standing("a/3") == Standing(None, 3, 2, 0.0, False)
        assert made.standing("a/2").under_way == pytest.approx(1.0)
        await made.close()

    run(story())
    assert (desk.times("a/1"), desk.times("a/2")) == ([0.0], [1.0])


def test_nothing_begins_while_it_rests() -> None:
    """While it does not run, nothing is begun; once it runs again, what is due is begun at once, and once."""
    desk = Desk()

    async def story() -> None:
        made = queue(desk)
        made.keep(["a/1"])
        await asyncio.sleep(5)
        made.run(False)
        await asyncio.sleep(95)
        made.run(True)
        await asyncio.sleep(5)
        await made.close()

    run(story())
    assert desk.times("a/1") == [0.0, 100.0]


def test_what_waits_while_it_rests_is_not_lost() -> None:
    """One whose time had come before the rest is begun after it, and nothing is begun before the first `run`."""
    desk = Desk({"a": 1.0})

    async def story() -> None:
        made: Queue[str] = Queue(desk.work, lambda entry: entry.partition("/")[0], asyncio.get_running_loop().time)
        made.keep(["a/1", "a/2"])
        await asyncio.sleep(3)
        made.run(True)
        await asyncio.sleep(0.5)
        made.run(False)
        await asyncio.sleep(4)
        made.run(True)
        await asyncio.sleep(10)
        await made.close()

    run(story())
    assert desk.times("a/1")[0] == 3.0
    assert desk.times("a/2")
    assert desk.times("a/2")[0] == 7.5


def test_closed_is_closed() -> None:
    """When `close` returns, all work has ended, and nothing is begun any more."""
    desk = Desk({"a": 50.0})

    async def story() -> None:
        made = queue(desk)
        made.keep(["a/1"])
        await asyncio.sleep(1)
        assert "playback" in [task.get_name() for task in asyncio.all_tasks()]
        await made.close()
        assert "playback" not in [task.get_name() for task in asyncio.all_tasks()]
        made.keep(["a/2"])
        await asyncio.sleep(1)

    run(story())
    assert [name for _, name in desk.begun] == ["a/1"]


def test_a_reload_keeps_times_and_ends_what_is_gone() -> None:
    """An entry that stays keeps its time; one that is taken away is ended at once; one that comes back begins anew."""
    desk = Desk({"b": 50.0})

    async def story() -> None:
        made = queue(desk)
        made.keep(["a/1", "b/1"])
        await asyncio.sleep(3)
        made.keep(["a/1"])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert desk.busy["b"] == 0
        made.keep(["a/1", "b/1"])
        await asyncio.sleep(10)
        await made.close()

    run(story())
    assert desk.times("a/1") == [0.0, 10.0 + TOGETHER]
    assert desk.times("b/1") == [0.0, 3.0]


def test_taken_away_and_back_in_one_turn() -> None:
    """An entry that is taken away and comes back before its work has ended is not lost."""
    desk = Desk({"b": 50.0})

    async def story() -> None:
        made = queue(desk)
        made.keep(["b/1"])
        await asyncio.sleep(1)
        made.keep([])
        made.keep(["b/1"])
        await asyncio.sleep(LOST + 60)
        assert desk.busy["b"] == 1
        await made.close()

    run(story())
    assert len(desk.times("b/1")) > 1


@pytest.mark.parametrize("after", [0.05, 0.15, 0.5])
def test_taken_away_and_back_it_comes_as_often_as_before(after: float) -> None:
    """Under way, waiting or not yet due: an entry that reloads take away and bring back has one time to come."""
    desk = Desk()

    async def story() -> None:
        made = queue(desk, concurrency=1)
        for _ in range(3):
            made.keep(["a/1", "a/2"])
            await asyncio.sleep(after)
            made.keep([])
            await asyncio.sleep(1 - after)
        made.keep(["a/1", "a/2"])
        await asyncio.sleep(30)
        await made.close()

    run(story())
    times = {entry: [when for when in desk.times(entry) if when >= 3] for entry in ("a/1", "a/2")}
    assert times["a/1"] == pytest.approx([3.0, 13.0, 23.0], abs=2.1 * TOGETHER)
    assert times["a/2"] == pytest.approx([3.1, 13.1, 23.1], abs=2.1 * TOGETHER)


def test_one_that_takes_longer_than_its_time() -> None:
    """Work that takes longer than the time between two is begun again when it has ended, never twice at once."""
    desk = Desk({"a": 12.0})

    async def story() -> None:
        made = queue(desk)
        made.keep(["a/1"])
        await asyncio.sleep(30)
        await made.close()

    run(story())
    assert desk.times("a/1") == [0.0, 12.0, 24.0]
    assert desk.most["a"] == 1
