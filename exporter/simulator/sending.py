"""The clouds' callbacks: each start and end of a push is reported as its vendor does, with the vendor's retries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from urllib.parse import quote

import aiohttp
from yarl import URL

from exporter.simulator.fake import CallbackSpec
from exporter.simulator.providers import fakes
from exporter.simulator.types import Callback, Delivery, Event, Manners, Stream
from exporter.simulator.world import World

LONGEST_SLEEP, SHORTEST_SLEEP = 1.0, 0.01
HONEST = Manners()


@asynccontextmanager
async def calling_back(world: World) -> AsyncIterator[None]:
    """Deliver a world's callbacks to `world.callbacks`/ACCOUNT while that is set and the block runs.

    A manual change is reported at once, a change by a stream's script when it is due. Streams that are already live
    when `world.callbacks` is set are not reported.
    """
    async with aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as session:
        sender = CallbackSender(world, session)
        world.listeners.append(sender.on_change)
        try:
            yield
        finally:
            world.listeners.remove(sender.on_change)
            await sender.stop()


class CallbackSender:
    """Watches a world and delivers its callbacks."""

    def __init__(self, world: World, session: aiohttp.ClientSession) -> None:
        self._world, self._session = world, session
        self._loop = asyncio.get_running_loop()
        self._numbers = count(1)
        self._live: dict[str, bool] = {}
        self._began: dict[str, tuple[int, float]] = {}
        self._delayed: dict[str, Callback] = {}
        self._changed = asyncio.Event()
        self._stopped = False
        self._tasks = {asyncio.create_task(self._watch(), name="callbacks")}

    async def stop(self) -> None:
        """Stop all deliveries."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def on_change(self, stream: Stream, live: bool) -> None:
        """Report a manual change, under the manners in force now; may be called from another thread."""
        self._loop.call_soon_threadsafe(self._report, stream, live, self._world.clock(), self._manners(stream))

    async def _watch(self) -> None:
        while True:
            self._check_scripts()
            self._changed.clear()
            try:
                async with asyncio.timeout(self._sleep()):
                    await self._changed.wait()
            except TimeoutError:
                pass

    def _check_scripts(self) -> None:
        """Report changes by scripts."""
        if not self._world.callbacks:
            self._live.clear()
            return
        now = self._world.clock()
        for key, stream in list(self._world.streams.items()):
            live = stream.is_active(now)
            if self._live.setdefault(key, live) != live:
                self._report(stream, live, now, self._manners(stream))

    def _sleep(self) -> float:
        """Return the seconds until the next change by a script is due."""
        if not self._world.callbacks:
            return LONGEST_SLEEP
        now = self._world.clock()
        streams = list(self._world.streams.values())
        due = min((stream.script.next_step(now) for stream in streams), default=now + LONGEST_SLEEP)
        return min(max(due - now, SHORTEST_SLEEP), LONGEST_SLEEP)

    def _manners(self, stream: Stream) -> Manners:
        return self._world.manners.get(stream.account.provider, HONEST)

    def _report(self, stream: Stream, live: bool, now: float, manners: Manners) -> None:
        key = stream.key
        self._live[key] = live
        self._changed.set()
        spec = fakes()[stream.account.provider].callbacks
        if spec is None or not stream.account.text(spec.key_field) or not self._world.callbacks or self._stopped:
            return
        number = next(self._numbers)
        if live or key not in self._began:
            self._began[key] = number, now
        event = Event(stream, live, now, number, self._began[key], now, str(self._world.random.getrandbits(62)))
        task = asyncio.create_task(self._send_event(spec, event, manners))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_event(self, spec: CallbackSpec, event: Event, manners: Manners) -> None:
        if event.live and spec.settle:
            await asyncio.sleep(spec.settle * manners.pace)
            if not event.stream.is_active(self._world.clock()):
                return
        if self._world.random.random() < manners.lost:
            return
        for callback in self._in_order(event.stream.key, build_callback(spec, event, manners), manners):
            copies = (self._deliver(spec, event.stream, callback, manners) for _ in range(manners.duplicates + 1))
            await asyncio.gather(*copies)

    def _in_order(self, key: str, callback: Callback, manners: Manners) -> Iterator[Callback]:
        """Yield the callbacks to send now; if they are to be swapped, the first waits for the second."""
        if manners.swapped and key not in self._delayed:
            self._delayed[key] = callback
            return
        yield callback
        if key in self._delayed:
            yield self._delayed.pop(key)

    async def _deliver(self, spec: CallbackSpec, stream: Stream, callback: Callback, manners: Manners) -> None:
        """Send a callback until it is acknowledged or the vendor's retries are exhausted."""
        for attempt, wait in enumerate((0.0, *spec.retries), 1):
            await asyncio.sleep(wait * manners.pace)
            status = await self._send(spec, stream, callback)
            names = stream.account.provider, stream.account.name, stream.key
            self._world.deliveries.append(Delivery(self._world.clock(), *names, callback.event, attempt, status))
            if status is not None and (status == 200 or (not spec.strict and 200 <= status < 300)):
                return

    async def _send(self, spec: CallbackSpec, stream: Stream, callback: Callback) -> int | None:
        url = f"{self._world.callbacks.rstrip('/')}/{quote(stream.account.name, safe='')}"
        address = URL(f"{url}?{callback.query}" if callback.query else url, encoded=True)
        timeout = aiohttp.ClientTimeout(total=spec.timeout)
        try:
            async with self._session.request(
                callback.method,
                address,
                data=callback.body or None,
                headers=callback.headers,
                timeout=timeout,
                allow_redirects=False,
            ) as reply:
                await reply.read()
                return reply.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None


def build_callback(spec: CallbackSpec, event: Event, manners: Manners = HONEST) -> Callback:
    """Build the vendor's callback for an event, signed as the manners demand."""
    secret: str | None = event.stream.account.text(spec.key_field)
    if manners.wrong_secret:
        secret = f"{secret}-wrong"
    if manners.unsigned:
        secret = None
    number, began = event.began
    older = replace(
        event, at=event.at - manners.age, began=(number, began - manners.age), sent=event.sent - manners.age
    )
    return spec.write(older, secret, manners)
