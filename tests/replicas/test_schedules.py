"""Replicas over made-up schedules of trouble: what they show is what the cloud said, and they come to agree again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model import Reason, Reply, Request, State
from exporter.providers.interface import TransportError
from exporter.state.record import Change
from tests.replicas.hub import Hub
from tests.replicas.rig import Replica, replicas
from tests.virtual import Network, account, params, record_of, run, scrape, streams, tencent_state

REPLICAS = 3
STREAMS = streams(5)
BUDGET = 4.0  # seconds of a scrape
PLACES = st.integers(0, REPLICAS - 1)
NAMES = st.sampled_from([one.name for one in STREAMS])
STEPS = st.one_of(
    st.tuples(st.just("scrape"), PLACES),
    st.tuples(st.just("scrape"), PLACES),
    st.tuples(st.just("give_up"), PLACES),
    st.tuples(st.just("ask"), PLACES, NAMES),
    st.tuples(st.just("flip"), NAMES),
    st.tuples(st.just("network"), PLACES),
    st.tuples(st.just("wire"), PLACES),
    st.tuples(st.just("forget")),
    st.tuples(st.just("set"), st.sampled_from([-200.0, -10.0, -0.5, 0.5, 10.0, 200.0])),
    st.tuples(st.just("slow"), st.sampled_from([0.001, 0.05, 0.4])),
    st.tuples(st.just("restart"), PLACES, st.booleans()),
    st.tuples(st.just("reload"), PLACES, st.integers(1, len(STREAMS))),
)
SCHEDULES = st.lists(st.tuples(st.sampled_from([0.0, 0.01, 0.3, 1.0, 5.0]), STEPS), min_size=2, max_size=25)


@dataclass(slots=True)
class Play:
    """One schedule, played.

    Attributes:
        live: The streams that are live at the cloud.
        said: When the cloud said what, by stream, in monotonic seconds.
        cut: The replicas whose network is broken.
        unsure: By how many seconds the times of answers may be wrong: the store's clock was set.
        most: The calls that exporters on their own would have made at most.
        running: Scrapes and questions under way.
    """

    hub: Hub = field(default_factory=Hub)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    live: set[str] = field(default_factory=set)
    said: dict[str, list[tuple[float, State]]] = field(default_factory=dict)
    cut: set[int] = field(default_factory=set)
    unsure: float = 0.01
    most: int = 0
    calls: int = 0
    made: int = 0
    ones: list[Replica] = field(default_factory=list)
    stops: dict[int, AsyncExitStack] = field(default_factory=dict)
    running: list[asyncio.Task[Any]] = field(default_factory=list)

    async def start(self, place: int) -> None:
        """Start a replica in a place."""
        self.made += 1
        network = Network(partial(self._answer, place), latency=0.03)
        stack = self.stops[place] = AsyncExitStack()
        (one,) = await stack.enter_async_context(
            replicas(network, STREAMS, count=1, hub=self.hub, kind=f"{place}.{self.made}.")
        )
        one.prober.shared.board.on_change.append(partial(self._check, one))
        self.ones[place : place + 1] = [one]

    async def _answer(self, place: int, _provider: str, request: Request) -> Reply:
        if place in self.cut:
            raise TransportError(Reason.CONNECTION, "the network is unreachable")
        self.calls += 1
        name = params(request)["StreamName"]
        state = State.ACTIVE if name in self.live else State.INACTIVE
        self.said.setdefault(name, []).append((asyncio.get_running_loop().time(), state))
        return tencent_state(str(state))

    def _check(self, one: Replica, change: Change) -> None:
        """Assert that a state that is shown was said by the cloud, at the very time that it is shown with."""
        if change.new is not State.UNKNOWN:
            answered = record_of(one.prober, change.stream).answered_mono
            said = [at for at, state in self.said[change.stream] if state is change.new]
            assert min(abs(at - answered) for at in said) <= self.unsure

    # --- steps -------------------------------------------------------------------------------------------------------

    def _begin(self, cost: int, asking: Awaitable[Any]) -> asyncio.Task[Any]:
        self.most += cost
        self.running.append(asyncio.ensure_future(asking))
        return self.running[-1]

    async def _scraped(self, one: Replica) -> None:
        assert await scrape(one.prober, BUDGET) <= BUDGET + 0.2

    async def scrape(self, place: int) -> None:
        """Scrape a replica."""
        self._begin(len(STREAMS), self._scraped(self.ones[place]))

    async def give_up(self, place: int) -> None:
        """Scrape a replica, and leave soon."""
        task = self._begin(len(STREAMS), self._scraped(self.ones[place]))
        asyncio.get_running_loop().call_later(0.0035, task.cancel)

    async def ask(self, place: int, name: str) -> None:
        """Ask a replica for one stream."""
        one, now = self.ones[place], asyncio.get_running_loop().time()
        if one.prober.shared.board.get(("tencent", name)) is not None:
            asking = one.prober.accounts["main"].refresh_one(record_of(one.prober, name), now + BUDGET, now)
            self._begin(1, asking)

    async def flip(self, name: str) -> None:
        """Begin or end a stream."""
        self.live ^= {name}

    async def network(self, place: int) -> None:
        """Break or mend a replica's way to the cloud."""
        self.cut ^= {place}

    async def wire(self, place: int) -> None:
        """Break or mend a replica's way to the store."""
        self.ones[place].store.up ^= True

    async def forget(self) -> None:
        """Restart the store, empty."""
        self.hub.values.clear()
        self.hub.streams.clear()
        self.hub.added = 0
        self.hub.run += 1
        self.hub.grown.set()
        for one in self.ones:
            up, one.store.up = one.store.up, False
            asyncio.get_running_loop().call_later(0.7, setattr, one.store, "up", up)

    async def set(self, seconds: float) -> None:
        """Set the store's clock; each replica notices a little later than the one before."""
        self.hub.ahead += seconds
        self.unsure += abs(seconds)
        for number, one in enumerate(self.ones):
            one.store.wrong -= seconds
            asyncio.get_running_loop().call_later(0.4 * number, setattr, one.store, "wrong", 0.0)

    async def slow(self, seconds: float) -> None:
        """Let the store answer this late."""
        self.hub.latency = seconds

    async def restart(self, place: int, kill: bool) -> None:
        """Stop a replica, with or without a word, and start another in its place."""
        if kill:
            self.ones[place].store.up = False
        await self.stops[place].aclose()
        await self.start(place)

    async def reload(self, place: int, count: int) -> None:
        """Let a replica watch the first few streams."""
        self.ones[place].configure([account()], STREAMS[:count])

    # --- the end -----------------------------------------------------------------------------------------------------

    async def run(self, schedule: list[tuple[float, tuple[Any, ...]]]) -> None:
        """Play it."""
        for place in range(REPLICAS):
            await self.start(place)
        for pause, (name, *args) in schedule:
            await asyncio.sleep(pause)
            step: Callable[..., Awaitable[None]] = getattr(self, name)
            await step(*args)
        await self._quiet()
        for one in self.ones:
            await self._scraped(one)
            self.most += len(STREAMS)
            told = {name: State.ACTIVE if name in self.live else State.INACTIVE for name in one.states()}
            assert one.states() == told
        await asyncio.sleep(1)
        assert self.calls <= self.most
        first, *others = (one.states() for one in self.ones)
        assert all(other == first for other in others)
        before = self.calls
        await asyncio.gather(*(self._scraped(one) for one in self.ones))
        assert self.calls - before == len(STREAMS)
        for stop in self.stops.values():
            await stop.aclose()

    async def _quiet(self) -> None:
        """Mend all that is broken, and let what is under way end."""
        self.cut.clear()
        self.hub.latency = 0.001
        await asyncio.sleep(1.5)
        for one in self.ones:
            one.store.up, one.store.wrong = True, 0.0
            one.configure([account()], STREAMS)
        with suppress(asyncio.CancelledError):
            for ended in await asyncio.gather(*self.running, return_exceptions=True):
                if isinstance(ended, Exception):
                    raise ended
        # The lead and claims of those that were killed end by themselves.
        await asyncio.sleep(11)


@settings(max_examples=60, deadline=None)
@given(SCHEDULES)
def test_replicas_agree_with_the_cloud_once_all_is_quiet(schedule: list[tuple[float, tuple[Any, ...]]]) -> None:
    """Whatever fails meanwhile, no state is made up, no scrape is late, and no call too many is made; in the end all
    replicas show what is so, and make the calls of one.
    """
    run(Play().run(schedule))
