"""Several exporters keep one quota by a store, whatever happens to it, to them, and to the way between."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from exporter.rounds.gate import Connection, Gate
from exporter.rounds.shared_pace import shared_paces
from exporter.store.client import Store
from testbed.network import Plain
from testbed.provider import busiest
from testbed.store_model import ModelServer, Way
from testbed.virtual import VirtualLoop, run

STREAMS = 12
PERIOD = 0.02


async def _unused(*_: Any) -> Any:
    raise AssertionError


@dataclass(slots=True)
class Cloud:
    """What arrives at the cloud: when, from whom, and with which sequence."""

    calls: list[tuple[float, int, int]] = field(default_factory=list)

    def busiest(self) -> int:
        """Return the most calls in any window of one second, its end left out."""
        return busiest([at for at, _, _ in self.calls])

    def between(self, start: float, end: float) -> int:
        """Return how many came in a span, counted from the loop's beginning."""
        return sum(start <= at - 1000.0 < end for at, _, _ in self.calls)

    def repeated(self) -> int:
        """Return how many sequences came again."""
        return len(self.calls) - len({sequence for _, _, sequence in self.calls})


@dataclass(slots=True)
class Replica:
    """One exporter that always has calls to make."""

    number: int
    way: Way
    cloud: Cloud
    rate: float
    replicas: int
    store: Store | None = None
    gate: Gate | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    starts: int = 0

    def start(self) -> None:
        """Start it, as a new process."""
        loop = asyncio.get_running_loop()
        self.starts += 1
        ahead = 100.0 * self.number
        chance = Random(self.number)
        self.store = Store(
            self.way.dial,
            self.replicas,
            lambda: loop.time() + ahead,
            lambda: 1_800_000_000.0 + loop.time() + 5 * self.number,
            chance.random,
            f"{self.number}.{self.starts}",
        )
        pace = shared_paces(self.store)("zego", "app", "Describe", self.rate)
        gate = Gate(lambda: pace, self.store.now)
        self.store.start()
        self.gate = gate
        self.tasks = [asyncio.create_task(self._work(gate, self.store)) for _ in range(STREAMS)]

    async def _work(self, gate: Gate, store: Store) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection = await gate.turn(store.now() + 5.0, self._connect)
            if connection is not None:
                self.cloud.calls.append((loop.time(), self.number, connection.sequence))
            await asyncio.sleep(PERIOD)

    async def _connect(self, _gap: float, _new: bool) -> Connection:
        return Plain(_unused)

    async def stop(self, *, kill: bool) -> None:
        """End it: suddenly, or so that it says goodbye."""
        for task in self.tasks:
            task.cancel()
        self.tasks = []
        if self.store is not None:
            store, self.store = self.store, None
            if kill:
                keeper = store._keeper
                assert keeper is not None
                keeper.cancel()
                store.membership.lost()
            else:
                await store.close()


@dataclass(slots=True)
class Stage:
    """Replicas, their store, and a cloud."""

    rate: float
    count: int
    server: ModelServer = field(default_factory=ModelServer)
    cloud: Cloud = field(default_factory=Cloud)
    replicas: list[Replica] = field(default_factory=list)

    def begin(self) -> None:
        """Start all."""
        self.server.going.set()
        for number in range(self.count):
            self.replicas.append(Replica(number, Way(self.server), self.cloud, self.rate, self.count))
            self.replicas[-1].start()

    async def happens(self, kind: str, who: int, size: float) -> None:
        """Let something happen; what it takes away comes back after `size` seconds."""
        one = self.replicas[who % self.count]
        if kind == "restart":
            self.server.restart()
        elif kind == "jump":
            self.server.ahead += size if who else -size
        elif kind == "refusal":
            assert one.gate is not None
            assert one.store is not None
            one.gate.throttled(None, one.store.now())
        elif kind == "stall":
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            loop.hold(size / 20)
        elif kind in ("kill", "leave"):
            await one.stop(kill=kind == "kill")
            await asyncio.sleep(size)
            if one.store is None:
                one.start()
        else:
            await self._fails(one, kind, size)

    async def _fails(self, one: Replica, kind: str, size: float) -> None:
        """Let the store or the way to it fail for some seconds."""
        if kind == "failover":
            behind = deepcopy(self.server.held)
            await asyncio.sleep(size)
            self.server.restart(behind)
        elif kind == "stop":
            self.server.going.clear()
            await asyncio.sleep(size)
            self.server.going.set()
        elif kind == "down":
            self.server.up = False
            await asyncio.sleep(size)
            self.server.up = True
            self.server.restart()
        elif kind in ("cut", "lost"):
            setattr(one.way, kind, True)
            await asyncio.sleep(size)
            setattr(one.way, kind, False)
        elif kind == "slow":
            one.way.there, one.way.back = size / 20, size / 30
            await asyncio.sleep(size)
            one.way.there = one.way.back = 0.0002


KINDS = ("restart", "failover", "jump", "stall", "kill", "leave", "stop", "down", "cut", "lost", "slow")
EVENTS = st.lists(
    st.tuples(
        st.floats(0.0, 20.0), st.sampled_from(KINDS), st.integers(0, 2), st.sampled_from([0.1, 0.4, 0.7, 2, 4, 7, 12])
    ),
    max_size=6,
)


def played(rate: float, count: int, events: list[tuple[float, str, int, float]], seconds: float = 30.0) -> Cloud:
    """Return what the cloud has seen after some seconds in which things happened."""

    async def main() -> Cloud:
        stage = Stage(rate, count)
        stage.begin()

        async def one(at: float, kind: str, who: int, size: float) -> None:
            await asyncio.sleep(at)
            await stage.happens(kind, who, size)

        tasks = [asyncio.create_task(one(*event)) for event in events]
        await asyncio.sleep(seconds)
        for task in (*tasks, *(task for replica in stage.replicas for task in replica.tasks)):
            task.cancel()
        for replica in stage.replicas:
            await replica.stop(kill=True)
        return stage.cloud

    return run(main())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(rate=11.0, count=2, events=[(9.3, "restart", 0, 0.1)])
@example(rate=11.0, count=2, events=[(9.3, "failover", 0, 0.4), (15.0, "failover", 0, 2)])
@example(rate=11.0, count=2, events=[(9.3, "jump", 1, 0.4), (14.7, "jump", 0, 0.7)])
@example(rate=30.0, count=3, events=[(8.0, "cut", 1, 12.0)])
@example(rate=11.0, count=2, events=[(8.0, "down", 1, 7.0), (15.2, "kill", 0, 0.1)])
@example(rate=5.0, count=2, events=[(7.0, "stop", 1, 7.0), (15.2, "lost", 0, 7.0)])
@given(rate=st.sampled_from([0.7, 1.0, 2.5, 5.0, 11.0, 30.0]), count=st.integers(1, 3), events=EVENTS)
def test_no_second_holds_more_calls_than_one_exporter_may_make(
    rate: float, count: int, events: list[tuple[float, str, int, float]]
) -> None:
    """Restarts, jumps of the store's clock, partitions, deaths and delays: R calls a second, no sequence twice."""
    cloud = played(rate, count, events)
    assert cloud.busiest() <= max(1, int(rate)), cloud.busiest()
    assert cloud.repeated() == 0


def test_together_they_use_the_rate() -> None:
    """Two exporters that share a quota of 20 a second use nineteen twentieths of what one may use."""
    cloud = played(20.0, 2, [])
    assert cloud.between(10.0, 30.0) >= 20 * 20 / 1.04 * 0.95
    assert {who for _, who, _ in cloud.calls} == {0, 1}


def test_without_the_store_each_is_silent_and_then_keeps_its_part() -> None:
    """Once the loss is noticed nothing for 5.5 seconds, then half of the rate each."""
    cloud = played(20.0, 2, [(10.0, "down", 0, 15.0)])
    assert cloud.between(11.2, 14.5) == 0
    assert 20 * 5 / 1.04 * 0.85 <= cloud.between(17.0, 22.0) <= 20 * 5
    assert cloud.between(28.5, 30.0) >= 20 * 1.5 / 1.04 * 0.8


def test_while_one_is_missing_the_others_leave_it_its_part() -> None:
    """Behind a partition it makes half of the calls, and the other one with the store the other half."""
    cloud = played(20.0, 2, [(10.0, "cut", 1, 15.0)])
    parts = [sum(who == number and 17 <= at - 1000 < 22 for at, who, _ in cloud.calls) for number in (0, 1)]
    assert all(5 * 10 / 1.04 * 0.85 <= part <= 50 for part in parts), parts


def test_a_refusal_that_one_hears_slows_all_down() -> None:
    """Who hears it pauses for a second; all make half of the calls for eight seconds, and all within half a minute."""
    cloud = played(20.0, 2, [(10.0, "refusal", 0, 0.0)], 40.0)
    assert not [at for at, who, _ in cloud.calls if who == 0 and 10.001 <= at - 1000 < 11.0]
    assert 10 * 6 / 1.04 * 0.85 <= cloud.between(12.0, 18.0) <= 10 * 6
    assert cloud.between(30.0, 40.0) >= 20 * 10 / 1.04 * 0.9
