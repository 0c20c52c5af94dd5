"""Paced calls over connections that cost time to make, in virtual time: what the cloud counts, and how much is used."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from exporter.model import Reason, Reply, Request
from exporter.providers.interface import TransportError
from exporter.rounds.gate import Connection, Gate, Unreachable
from exporter.rounds.pace import Pace
from exporter.transport.pool import KEEP_SECONDS, REST_SECONDS, UTMOST_OPEN, Pool
from tests.virtual import run

OK = Reply(200, {}, b"{}")
REQUEST = Request("GET", "http://cloud.example/")


@dataclass(eq=False)
class Line:
    """A connection of the test's network."""

    cloud: Cloud
    idle_since: float = 0.0
    reused: bool = False
    spent: float = 0.0
    usable: bool = True
    stray: bool = False
    sequence: int = 0

    async def quiet(self) -> bool:
        """Say whether a request may go out; a stray byte is found only by looking."""
        self.usable = self.usable and not self.stray
        return self.usable

    async def send(self, _request: Request, _timeout: float, _largest: int) -> Reply:
        """Be counted by the cloud, and answered."""
        assert self.usable
        self.cloud.arrivals.append(asyncio.get_running_loop().time())
        self.reused = True
        await asyncio.sleep(self.cloud.latency)
        self.usable = not self.cloud.closes
        return OK

    def release(self) -> None:
        """Give it back."""
        self.cloud.pool.release(self)

    def close(self) -> None:
        """End it."""
        self.usable = False

    def abandon(self) -> None:
        """End it."""
        self.usable = False


@dataclass
class Cloud:
    """What counts calls when they arrive, behind connections that take so long to make."""

    cost: float
    latency: float = 0.05
    closes: bool = False
    arrivals: list[float] = field(default_factory=list)
    made: list[Line] = field(default_factory=list)
    refuses: TransportError | None = None
    speaks: bool = False
    pool: Pool[Line] = field(init=False)

    def __post_init__(self) -> None:
        self.pool = Pool(self._dial, asyncio.get_running_loop().time)

    async def _dial(self, _timeout: float) -> Line:
        await asyncio.sleep(self.cost)
        if self.refuses is not None:
            raise self.refuses
        self.made.append(Line(self, spent=self.cost, stray=self.speaks))
        return self.made[-1]

    async def connect(self, gap: float, new: bool) -> Connection:
        """Do what a transport does."""
        return await (self.pool.new(10.0) if new else self.pool.get(10.0, gap, 32))

    def busiest(self) -> int:
        """Return the most calls in any window of one second, its end left out."""
        return max(sum(start <= time < start + 1.0 for time in self.arrivals) for start in self.arrivals)

    def used(self, rate: float) -> float:
        """Return which part of the rate was used between the first call and the last."""
        return (len(self.arrivals) - 1) / (self.arrivals[-1] - self.arrivals[0]) / rate


async def always(line: Line) -> Line:
    """Return a connection that costs nothing."""
    return line


def gate_at(rate: float) -> Gate:
    """Return the gate of an action that may be called so often a second."""
    pace = Pace(rate)
    return Gate(lambda: pace, asyncio.get_running_loop().time)


async def rounds(cloud: Cloud, rate: float, seconds: float, workers: int = 32) -> Gate:
    """Let workers call as fast as the gate allows for some seconds."""
    loop = asyncio.get_running_loop()
    gate = gate_at(rate)
    until = loop.time() + seconds

    async def work() -> None:
        while (connection := await gate.turn(until, cloud.connect)) is not None:
            try:
                await connection.send(REQUEST, 10.0, 1)
            except TransportError:
                pass
            finally:
                connection.release()

    await asyncio.gather(*(work() for _ in range(workers)))
    return gate


@pytest.mark.parametrize("closes", [False, True], ids=["kept", "closed after each answer"])
@pytest.mark.parametrize("cost", [0.0, 0.02, 0.3, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("rate", [2.0, 15.0, 20.0, 30.0])
def test_connections_that_cost_time_neither_bunch_calls_up_nor_waste_the_rate(
    rate: float, cost: float, closes: bool
) -> None:
    """The quota holds where the cloud counts, and nine tenths of it are used, whatever a new connection costs."""

    async def main() -> None:
        cloud = Cloud(cost, closes=closes)
        # So many workers that connections in the making and calls in flight do not use them up.
        await rounds(cloud, rate, 20.0, workers=96)
        assert cloud.busiest() <= rate
        if rate * cost < 32 or not closes:  # with more, connections in the making are at their limit
            assert cloud.used(rate) >= 0.9

    run(main())


@pytest.mark.parametrize("cost", [0.0, 0.3, 2.0])
def test_a_high_rate_is_kept_and_used_too(cost: float) -> None:
    """150 a second, as at Tencent, on connections that are kept."""

    async def main() -> None:
        cloud = Cloud(cost)
        await rounds(cloud, 150.0, 20.0)
        assert cloud.busiest() <= 150
        assert cloud.used(150.0) >= 0.9

    run(main())


def test_a_connection_rests_after_an_answer() -> None:
    """A second answer that comes late finds nobody waiting: no call begins on a connection within the rest."""

    async def main() -> None:
        cloud = Cloud(0.01, latency=0.05)
        ends: dict[Line, float] = {}
        loop = asyncio.get_running_loop()
        for _ in range(100):
            line = await cloud.pool.get(10.0, 0.03, 32)
            if line in ends:
                assert loop.time() - ends[line] >= REST_SECONDS
            await line.send(REQUEST, 1.0, 1)
            ends[line] = loop.time()
            line.release()
        assert len(ends) < 100

    run(main())


def test_a_round_without_a_quota_soon_has_the_connections_that_it_needs() -> None:
    """Calls that only wait for connections that rest get more of them within a second, and no more than they use."""

    async def main() -> None:
        cloud = Cloud(0.05)
        began = asyncio.get_running_loop().time()
        await rounds(cloud, 1e6, 3.0, workers=128)
        late = [time for time in cloud.arrivals if time >= began + 1.5]
        assert len(late) / 1.5 >= 0.8 * 128 / cloud.latency
        assert len(cloud.made) <= UTMOST_OPEN

    run(main())


def test_a_steady_pace_needs_few_connections() -> None:
    """Twenty calls a second of 50 ms make do with what rest and latency ask for, not with one a worker."""

    async def main() -> None:
        cloud = Cloud(0.1)
        await rounds(cloud, 20.0, 30.0)
        assert len(cloud.made) <= 24

    run(main())


def test_idle_connections_are_closed_before_the_cloud_does() -> None:
    """What nobody uses for a while is closed, without anybody asking for a connection."""

    async def main() -> None:
        cloud = Cloud(0.1)
        await rounds(cloud, 20.0, 3.0)
        assert any(line.usable for line in cloud.made)
        await asyncio.sleep(KEEP_SECONDS + 1)
        assert not any(line.usable for line in cloud.made)

    run(main())


def test_a_stray_byte_during_the_wait_for_the_slot_costs_a_connection_and_nothing_else() -> None:
    """It is looked for after the wait, too; the call goes out on another connection, within the quota."""

    async def main() -> None:
        cloud = Cloud(0.3)
        loop = asyncio.get_running_loop()
        gate = gate_at(1.0)

        async def call() -> Connection:
            connection = await gate.turn(loop.time() + 60, cloud.connect)
            assert connection is not None
            await connection.send(REQUEST, 1.0, 1)
            connection.release()
            return connection

        used = []
        for _ in range(4):
            calling = asyncio.create_task(call())
            await asyncio.sleep(0.7)
            for line in cloud.made:
                line.stray = True
            used.append(await calling)
        assert len(cloud.arrivals) == 4
        assert cloud.busiest() == 1
        assert len(set(map(id, used))) == 4

    run(main())


def test_an_endpoint_that_always_speaks_first_is_given_up() -> None:
    """Three connections are tried; then the call fails, and says why."""

    async def main() -> None:
        cloud = Cloud(0.01, speaks=True)
        loop = asyncio.get_running_loop()
        connection = await gate_at(10.0).turn(loop.time() + 5, cloud.connect)
        assert isinstance(connection, Unreachable)
        with pytest.raises(TransportError, match="before it is asked") as caught:
            await connection.send(REQUEST, 1.0, 1)
        assert caught.value.reason is Reason.HTTP
        assert len(cloud.made) == 3
        assert cloud.arrivals == []

    run(main())


def test_an_endpoint_that_refuses_is_not_tried_faster_than_the_pace() -> None:
    """A dead endpoint gets no more attempts than a living one gets calls."""

    async def main() -> None:
        cloud = Cloud(0.0, refuses=TransportError(Reason.CONNECTION, "refused"))
        loop = asyncio.get_running_loop()
        gate = gate_at(10.0)
        failed = 0
        until = loop.time() + 5
        while (connection := await gate.turn(until, cloud.connect)) is not None and loop.time() < until:
            assert isinstance(connection, Unreachable)
            failed += 1
        assert 45 <= failed <= 52

    run(main())


def test_what_hangs_while_it_connects_fails_even_after_the_deadline() -> None:
    """A scrape that ends while nothing can be connected still learns why, as a call in flight would."""

    async def main() -> None:
        cloud = Cloud(3.0, refuses=TransportError(Reason.TIMEOUT, "no connection in time"))
        loop = asyncio.get_running_loop()
        started = loop.time()
        connection = await gate_at(10.0).turn(started + 1, cloud.connect)
        assert isinstance(connection, Unreachable)
        assert 3.0 <= loop.time() - started < 3.2
        assert connection.spent == pytest.approx(3.0, abs=0.01)

    run(main())


def test_a_slot_after_the_deadline_is_not_waited_for() -> None:
    """Nothing is connected for a call whose turn would come too late, and a ready connection is given back."""

    async def main() -> None:
        cloud = Cloud(0.2)
        loop = asyncio.get_running_loop()
        gate = gate_at(0.5)
        first = await gate.turn(loop.time() + 9, cloud.connect)
        assert first is not None
        await first.send(REQUEST, 1.0, 1)
        first.release()
        assert await gate.turn(loop.time() + 1, cloud.connect) is None
        assert len(cloud.made) == 1

    run(main())


def test_who_gives_up_waiting_for_a_connection_leaves_it_to_others() -> None:
    """A cancelled call neither loses the connection that was made for it nor stands in the way."""

    async def main() -> None:
        cloud = Cloud(1.0)
        first = asyncio.create_task(cloud.pool.get(10.0, 5.0, 1))
        await asyncio.sleep(0.5)
        first.cancel()
        second = asyncio.create_task(cloud.pool.get(10.0, 5.0, 1))
        await asyncio.sleep(0.6)
        assert second.done()
        assert len(cloud.made) == 1

    run(main())


def test_nobody_waits_for_a_connection_once_the_pool_is_closed() -> None:
    """A call that waits when the exporter stops fails, rather than waiting for ever."""

    async def main() -> None:
        cloud = Cloud(1.0)
        waiting = [asyncio.create_task(cloud.pool.get(10.0, 5.0, most)) for most in (0, 1)]
        await asyncio.sleep(0.5)
        cloud.pool.close()
        for one in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(one, TransportError)

    run(main())


def test_calls_that_need_not_wait_go_out_together() -> None:
    """Where neither a connection nor a slot is lacking, those in line pass in one turn of the event loop."""

    async def main() -> None:
        cloud = Cloud(0.0)
        gate, until = gate_at(1e6), asyncio.get_running_loop().time() + 60
        lines = [await cloud.pool.new(1.0) for _ in range(9)]
        for line in lines[1:]:
            line.release()
        made = asyncio.Event()

        async def connect_slowly(_gap: float, _new: bool) -> Connection:
            await made.wait()
            return lines[0]

        first = asyncio.create_task(gate.turn(until, connect_slowly))
        await asyncio.sleep(0)
        others = [asyncio.create_task(gate.turn(until, cloud.connect)) for _ in range(8)]
        await asyncio.sleep(0)
        made.set()
        await first
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert {id(one.result()) for one in others} == set(map(id, lines[1:]))

    asyncio.run(main())  # on the system's clock: the pace of a million calls a second needs one that goes on


@pytest.mark.parametrize("late", [False, True], ids=["in line", "when its turn has come"])
def test_who_gives_up_in_line_neither_holds_others_up_nor_keeps_a_connection(late: bool) -> None:
    """A cancelled call's connection is given back, whenever it is cancelled, and the next call has its turn."""

    async def main() -> None:
        cloud = Cloud(0.0)
        loop = asyncio.get_running_loop()
        gate, until = gate_at(2.0), loop.time() + 60
        lines = [await cloud.pool.new(1.0) for _ in range(3)]
        given: list[Line] = []

        async def connect(_gap: float, _new: bool) -> Connection:
            if late and len(given) == 1:
                loop.call_later(0.52, lambda: loop.call_soon(tasks[1].cancel))
            given.append(lines[len(given)])
            return given[-1]

        tasks = [asyncio.create_task(gate.turn(until, connect)) for _ in range(3)]
        await asyncio.sleep(0.4)
        if not late:
            tasks[1].cancel()
        first, _, third = await asyncio.gather(*tasks, return_exceptions=True)
        assert tasks[1].cancelled()
        for one in (first, third):
            assert isinstance(one, Line)
            one.release()
        assert {id(await cloud.pool.get(1.0, 1.0, 0)) for _ in given} == set(map(id, given))

    run(main())


def test_who_gives_up_in_line_leaves_its_slot_to_the_next() -> None:
    """A call that is cancelled while a connection is made for it takes no slot: the next one goes out in its place."""

    async def main() -> None:
        cloud = Cloud(1.0)
        loop = asyncio.get_running_loop()
        gate, until = gate_at(0.1), loop.time() + 60
        first, second, third = (asyncio.create_task(gate.turn(until, cloud.connect)) for _ in range(3))
        await first
        began = loop.time()
        await asyncio.sleep(0.5)
        second.cancel()
        connection = await third
        assert connection is not None
        assert loop.time() - began < 11

    run(main())


@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("look", [1, 2], ids=["when it comes", "when its slot has come"])
def test_who_gives_up_during_a_look_at_a_connection_gives_it_back(look: int, new: bool) -> None:
    """The look takes a moment where bytes have come; a call that is cancelled meanwhile keeps no connection."""

    async def main() -> None:
        cloud = Cloud(0.0)
        made = asyncio.Event()
        looks = 0

        class Looking(Line):
            async def quiet(self) -> bool:
                """Take for ever the time that is cancelled."""
                nonlocal looks
                looks += 1
                if looks == look:
                    made.set()
                    await asyncio.sleep(3600)
                return True

        cloud.pool = Pool(lambda _timeout: always(Looking(cloud)), asyncio.get_running_loop().time)
        calling = asyncio.create_task(
            gate_at(1.0).turn(60.0 + asyncio.get_running_loop().time(), cloud.connect, new=new)
        )
        await made.wait()
        calling.cancel()
        await asyncio.wait([calling])
        await asyncio.wait_for(cloud.pool.get(1.0, 1.0, 0), 1.0)  # none may be made: it is the one given back

    run(main())


def test_a_call_made_anew_goes_out_on_a_new_connection_even_if_the_first_one_speaks() -> None:
    """The second attempt never falls back to a kept connection, which may break like the one before it."""

    async def main() -> None:
        cloud = Cloud(0.0)
        loop = asyncio.get_running_loop()
        gate, until = gate_at(0.2), loop.time() + 60
        first = await gate.turn(until, cloud.connect)
        assert first is not None
        await first.send(REQUEST, 1.0, 1)
        first.release()
        calling = asyncio.create_task(gate.turn(until, cloud.connect, new=True))
        await asyncio.sleep(4)
        cloud.made[-1].stray = True
        again = await calling
        assert again is not None
        assert not again.reused

    run(main())
