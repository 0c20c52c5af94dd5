"""Look-ups that hang: nobody waits for them, neither another call nor the exit."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf

import pytest

from exporter.model import Reason
from exporter.providers.interface import TransportError
from exporter.transport import Transport
from exporter.transport.resolver import MOST_LOOK_UPS, MOST_SLOW, MOST_YOUNG, QUICK, Place, Places, Resolver
from testbed.virtual import run
from tests.credentials.test_bad_moments import no_threads

EXIT = """
import asyncio, threading
from exporter.providers.interface import TransportError
from exporter.transport import Transport

async def main():
    async with Transport(look_up=lambda host, port, family: threading.Event().wait()) as transport:
        try:
            await transport.connect("https://cloud.example", 0.1)
        except TransportError as error:
            print(error.reason, flush=True)

asyncio.run(main())
"""


def test_a_look_up_that_hangs_does_not_hold_the_exit() -> None:
    """The process ends though the system never answers; Python's own pools would be joined."""
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", EXIT], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "timeout\n"
    assert time.monotonic() - started < 30


def test_look_ups_that_hang_are_not_piled_up() -> None:
    """After so many without an end the next fails at once, and they are free again when the system answers."""

    async def main() -> None:
        answer = threading.Event()

        def look_up(_host: str, port: int, _family: int) -> list[tuple[object, ...]]:
            answer.wait()
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        resolver = Resolver(look_up)
        waiting = [asyncio.create_task(resolver.resolve("cloud.example", 80)) for _ in range(MOST_YOUNG)]
        await asyncio.sleep(0)
        with pytest.raises(OSError, match="have not ended"):
            await resolver.resolve("cloud.example", 80)
        waiting.pop().cancel()
        answer.set()
        found = await asyncio.gather(*waiting)
        assert [one[0]["host"] for one in found] == ["127.0.0.1"] * (MOST_YOUNG - 1)
        assert (await resolver.resolve("cloud.example", 80))[0]["port"] == 80

    asyncio.run(main())


@dataclass(slots=True)
class Names:
    """Names that are looked up in virtual time, each again and again; some take long, or for ever."""

    takes: dict[str, float]  # seconds by name, if not 0.05
    waited: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))  # until it was looked up
    busy: int = 0
    most: int = 0

    async def ask(self, places: Places, name: str, seconds: float) -> None:
        """Look a name up every 15 s, for so long."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end:
            began = loop.time()
            place = await places.take(name)
            self.busy += 1
            self.most = max(self.most, self.busy)
            await asyncio.sleep(self.takes.get(name, 0.05))
            self.busy -= 1
            places.give_back(place, ended=True)
            self.waited[name].append(loop.time() - began)
            await asyncio.sleep(15)

    async def ask_all(self, names: Iterable[str], after: float = 0.0) -> None:
        """Look these up for ten minutes, beside those that take long, which began some seconds ago."""
        places, seconds = Places(), 600.0
        slow = [asyncio.create_task(self.ask(places, name, after + seconds)) for name in self.takes]
        await asyncio.sleep(after)
        async with asyncio.timeout(seconds + 60):
            await asyncio.gather(*(self.ask(places, name, seconds) for name in names))
        for task in slow:
            task.cancel()


WELL = [f"well-{number}" for number in range(100)]


@pytest.mark.parametrize(("names", "seconds"), [(MOST_YOUNG, inf), (2 * MOST_YOUNG, inf), (2 * MOST_YOUNG, 30.0)])
def test_names_that_hang_hold_up_no_others(names: int, seconds: float) -> None:
    """Though they hang from the start, for ever or until the system gives up, others wait for moments, never for them;
    and the look-ups that hang stay few.
    """
    made = Names({f"hangs-{number}": seconds for number in range(names)})
    run(made.ask_all(WELL))
    assert max(max(made.waited[name]) for name in WELL) < 2 * QUICK + 1
    assert min(len(made.waited[name]) for name in WELL) > 35
    assert made.most <= MOST_LOOK_UPS


def test_many_names_that_are_known_to_hang_hold_up_no_others() -> None:
    """Once a name has hung, it has its place with the others of its kind: however many there are, the rest never waits;
    and it leaves them as soon as it is quick again.
    """
    made = Names({f"hangs-{number}": 30.0 for number in range(100)})

    async def story() -> None:
        asking = asyncio.create_task(made.ask_all(WELL, after=400))
        await asyncio.sleep(200)
        made.takes = dict.fromkeys(made.takes, 30.0) | {"hangs-0": 0.05}
        await asking

    run(story())
    assert max(max(made.waited[name]) for name in WELL) < QUICK + 1
    assert max(made.waited["hangs-0"][-20:]) < QUICK
    assert made.most <= MOST_LOOK_UPS
    assert max(map(len, made.waited.values())) > 35


def test_who_no_longer_waits_takes_no_place() -> None:
    """A look-up that is given up leaves its place to others, however far it has come in the line."""

    async def story() -> None:
        places = Places()
        held: list[Place] = []
        while len(held) < MOST_LOOK_UPS:
            held += [await places.take(f"hangs-{len(held) + number}") for number in range(MOST_YOUNG)]
            in_lane = asyncio.create_task(places.take("well"))
            await asyncio.sleep(QUICK / 2)
            assert not places.free("well")
            in_lane.cancel()
            await asyncio.sleep(QUICK)
        in_the_end = [asyncio.create_task(places.take("well")) for _ in range(MOST_YOUNG + 1)]
        await asyncio.sleep(QUICK)
        assert not any(task.done() for task in in_the_end)
        for task in in_the_end:
            task.cancel()
        await asyncio.sleep(0)
        for place in held:
            places.give_back(place, ended=True)
        async with asyncio.timeout(0.1):
            for name, room in (("hangs-0", MOST_SLOW), ("well", MOST_YOUNG)):
                for _ in range(room):
                    assert places.free(name)
                    await places.take(name)
                assert not places.free(name)

    run(story())


def test_no_thread_to_spare_is_over_when_there_is_one() -> None:
    """A look-up that could not even begin is not counted as one that hangs."""

    def look_up(_host: str, port: int, _family: int) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async def main() -> None:
        resolver = Resolver(look_up)
        with no_threads():
            for _ in range(MOST_LOOK_UPS + 1):
                with pytest.raises(OSError, match="no thread can be started"):
                    await resolver.resolve("cloud.example", 80)
        assert (await resolver.resolve("cloud.example", 80))[0]["port"] == 80

    asyncio.run(main())


def test_a_name_that_is_not_found_is_reason_dns() -> None:
    """What the system says of a name becomes our reason, without the name."""

    def look_up(host: str, _port: int, _family: int) -> list[tuple[object, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, f"no {host}")

    async def main() -> TransportError:
        async with Transport(look_up=look_up) as transport:
            with pytest.raises(TransportError) as caught:
                await transport.connect("https://secret.example", 5)
            return caught.value

    error = asyncio.run(main())
    assert error.reason is Reason.DNS
    assert "secret" not in error.message
