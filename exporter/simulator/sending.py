"""The clouds' callbacks: each push that begins or ends is told as its vendor would, with the vendor's retries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from urllib.parse import quote

import aiohttp
from yarl import URL

from exporter.simulator.fake import Posting
from exporter.simulator.providers import fakes
from exporter.simulator.types import Callback, Delivery, Event, Manners, Stream
from exporter.simulator.world import World

LONGEST_SLEEP, SHORTEST_SLEEP = 1.0, 0.01
HONEST = Manners()


@asynccontextmanager
async def calling_back(world: World) -> AsyncIterator[None]:
    """Deliver a world's callbacks to `world.callbacks`/ACCOUNT, while that is set and the block runs.

    A change by hand is told at once; a change by a stream's script when the clock gets there. What is live when the
    callbacks get their address is not told.
    """
    async with aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as session:
        sender = CallbackSender(world, session)
        world.listeners.append(sender.told)
        try:
            yield
        finally:
            world.listeners.remove(sender.told)
            await sender.stop()


class CallbackSender:
    """Watches a world and delivers its callbacks."""

    def __init__(self, world: World, session: aiohttp.ClientSession) -> None:
        self._world, self._session = world, session
        self._loop = asyncio.get_running_loop()
        self._numbers = count(1)
        self._live: dict[str, bool] = {}
        self._began: dict[str, tuple[int, float]] = {}
        self._held: dict[str, Callback] = {}
        self._changed = asyncio.Event()
        self._stopped = False
        self._tasks = {asyncio.create_task(self._watch(), name="callbacks")}

    async def stop(self) -> None:
        """Deliver nothing more."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def told(self, stream: Stream, live: bool) -> None:
        """Hear of a change by hand, perhaps from another thread; how it is told is settled at once."""
        self._loop.call_soon_threadsafe(self._happened, stream, live, self._world.clock(), self._manners(stream))

    async def _watch(self) -> None:
        while True:
            self._look()
            self._changed.clear()
            try:
                async with asyncio.timeout(self._sleep()):
                    await self._changed.wait()
            except TimeoutError:
                pass

    def _look(self) -> None:
        """Tell what the scripts have changed."""
        if not self._world.callbacks:
            self._live.clear()
            return
        now = self._world.clock()
        for key, stream in list(self._world.streams.items()):
            live = stream.is_active(now)
            if self._live.setdefault(key, live) != live:
                self._happened(stream, live, now, self._manners(stream))

    def _sleep(self) -> float:
        """Return the seconds until the next script may change something."""
        if not self._world.callbacks:
            return LONGEST_SLEEP
        now = self._world.clock()
        streams = list(self._world.streams.values())
        due = min((stream.script.next_step(now) for stream in streams), default=now + LONGEST_SLEEP)
        return min(max(due - now, SHORTEST_SLEEP), LONGEST_SLEEP)

    def _manners(self, stream: Stream) -> Manners:
        return self._world.manners.get(stream.account.provider, HONEST)

    def _happened(self, stream: Stream, live: bool, now: float, manners: Manners) -> None:
        key = stream.key
        self._live[key] = live
        self._changed.set()
        posting = fakes()[stream.account.provider].posting
        told = posting is not None and self._world.callbacks and stream.account.text(posting.key_field)
        if posting is None or not told or self._stopped:
            return
        number = next(self._numbers)
        if live or key not in self._began:
            self._began[key] = number, now
        event = Event(stream, live, now, number, self._began[key], now, str(self._world.random.getrandbits(62)))
        task = asyncio.create_task(self._tell(posting, event, manners))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self, posting: Posting, event: Event, manners: Manners) -> None:
        if event.live and posting.settles:
            await asyncio.sleep(posting.settles * manners.pace)
            if not event.stream.is_active(self._world.clock()):
                return
        if self._world.random.random() < manners.lost:
            return
        for callback in self._in_order(event.stream.key, written(posting, event, manners), manners):
            copies = (self._deliver(posting, event.stream, callback, manners) for _ in range(manners.duplicates + 1))
            await asyncio.gather(*copies)

    def _in_order(self, key: str, callback: Callback, manners: Manners) -> Iterator[Callback]:
        """Yield the callbacks to be sent now: where they are to be swapped, the first waits for the second."""
        if manners.swapped and key not in self._held:
            self._held[key] = callback
            return
        yield callback
        if key in self._held:
            yield self._held.pop(key)

    async def _deliver(self, posting: Posting, stream: Stream, callback: Callback, manners: Manners) -> None:
        """Try until it is answered as the vendor wants it, or the vendor's retries are used up."""
        for attempt, wait in enumerate((0.0, *posting.retries), 1):
            await asyncio.sleep(wait * manners.pace)
            status = await self._send(posting, stream, callback)
            names = stream.account.provider, stream.account.name, stream.key
            self._world.deliveries.append(Delivery(self._world.clock(), *names, callback.event, attempt, status))
            if status is not None and (status == 200 or (not posting.strict and 200 <= status < 300)):
                return

    async def _send(self, posting: Posting, stream: Stream, callback: Callback) -> int | None:
        url = f"{self._world.callbacks.rstrip('/')}/{quote(stream.account.name, safe='')}"
        address = URL(f"{url}?{callback.query}" if callback.query else url, encoded=True)
        timeout = aiohttp.ClientTimeout(total=posting.patience)
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


def written(posting: Posting, event: Event, manners: Manners = HONEST) -> Callback:
    """Write an event's callback in its vendor's words, signed as the manners say."""
    secret: str | None = event.stream.account.text(posting.key_field)
    if manners.wrong_secret:
        secret = f"{secret}-wrong"
    if manners.unsigned:
        secret = None
    number, began = event.began
    older = replace(
        event, at=event.at - manners.age, began=(number, began - manners.age), sent=event.sent - manners.age
    )
    return posting.write(older, secret, manners)
