"""The line of passwords that wait to be compared: a flood of wrong ones does not keep out the right one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

from exporter.serving.access.passwords import MOST_TURNED_AWAY, MOST_WAITING, TURNED_AWAY_SECONDS, Busy, Passwords

RIGHT = b"right"


class Gate:
    """Compares one password each time it is opened, and remembers the order."""

    def __init__(self) -> None:
        self.now = 0.0
        self.compared: list[bytes] = []
        self._open = threading.Semaphore(0)
        self.passwords = Passwords(self._compare, b"k" * 32, lambda: self.now)

    def _compare(self, password: bytes, _hashed: bytes) -> bool:
        self._open.acquire()
        self.compared.append(password)
        return password == RIGHT

    def ask(self, password: bytes, remote: str = "192.0.2.1", kind: str = "curl") -> asyncio.Task[bool]:
        """Ask whether a password is right."""
        self.now += 0.001
        return asyncio.create_task(self.passwords.check(b"alice", password, b"hash", remote, kind))

    async def flood(self, count: int, remote: str = "192.0.2.1", name: str = "wrong") -> list[asyncio.Task[bool]]:
        """Ask for so many wrong passwords, each once."""
        asked = [self.ask(f"{name}{number}".encode(), remote) for number in range(count)]
        await asyncio.sleep(0)
        return asked

    def open(self, times: int = 1000) -> None:
        """Let so many comparisons go on."""
        self._open.release(times)


def run(story: Callable[[Gate], Awaitable[None]]) -> Gate:
    """Tell a story with a gate, open it at the end, and let all comparisons finish."""
    gate = Gate()

    async def main() -> None:
        try:
            await story(gate)
        finally:
            gate.open(100_000)

    asyncio.run(main())
    return gate


def test_a_flood_from_elsewhere_costs_the_right_one_a_turn() -> None:
    """With every place taken by one address, another's password is compared next."""

    async def story(gate: Gate) -> None:
        flood = await gate.flood(200)
        right = gate.ask(RIGHT, "192.0.2.2")
        await asyncio.sleep(0)
        gate.open(3)
        assert await right is True
        assert gate.compared.index(RIGHT) <= 2
        gate.open()
        answers = await asyncio.gather(*flood, return_exceptions=True)
        assert sum(isinstance(answer, Busy) for answer in answers) == 200 - MOST_WAITING + 1
        assert answers.count(False) == MOST_WAITING - 1

    run(story)


def test_a_flood_from_the_same_address_costs_another_kind_of_program_a_turn() -> None:
    """Behind one proxy Prometheus is known by its own headers, and waits for one comparison."""

    async def story(gate: Gate) -> None:
        flood = await gate.flood(2 * MOST_WAITING)
        right = gate.ask(RIGHT, kind="Prometheus")
        await asyncio.sleep(0)
        gate.open(2)
        assert await right is True
        gate.open()
        await asyncio.gather(*flood, return_exceptions=True)

    assert run(story).compared.index(RIGHT) == 1


def test_a_flood_from_many_addresses_costs_the_right_one_a_few_turns() -> None:
    """Each address of it asks too often, and Prometheus does not: it is let in, and compared before them."""

    async def story(gate: Gate) -> None:
        flood = []
        for turn in range(20):
            for number in range(MOST_WAITING + 20):
                flood += await gate.flood(1, f"198.51.100.{number}", f"{turn}.{number}.")
        gate.open(MOST_WAITING)
        while len(gate.compared) < MOST_WAITING:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
        for number in range(MOST_WAITING + 20):
            flood += await gate.flood(1, f"198.51.100.{number}", f"again.{number}.")
        right = gate.ask(RIGHT, "192.0.2.2")
        await asyncio.sleep(0)
        gate.open(3)
        assert await right is True
        gate.open()
        await asyncio.gather(*flood, return_exceptions=True)

    assert run(story).compared.index(RIGHT) <= MOST_WAITING + 2


def test_a_flood_from_the_same_address_costs_the_right_one_a_second_try() -> None:
    """Turned away once, it comes before all guesses that are newer, though these go on filling the line."""

    async def story(gate: Gate) -> None:
        flood = await gate.flood(MOST_WAITING)
        first = gate.ask(RIGHT)
        assert isinstance((await asyncio.gather(first, return_exceptions=True))[0], Busy)
        gate.open(MOST_WAITING)
        assert await asyncio.gather(*flood) == [False] * MOST_WAITING
        flood = await gate.flood(2 * MOST_WAITING, name="newer")
        second = gate.ask(RIGHT)
        await asyncio.sleep(0)
        gate.open(2)
        assert await second is True
        gate.open()
        await asyncio.gather(*flood, return_exceptions=True)

    gate = run(story)
    assert gate.compared.index(RIGHT) == MOST_WAITING + 1


def test_the_rank_of_those_turned_away_is_bounded_and_forgotten() -> None:
    """Memory does not grow with a flood, and a minute later nothing of it is left."""

    async def story(gate: Gate) -> None:
        kept = gate.passwords._turned_away
        waiting = await gate.flood(MOST_WAITING)
        await asyncio.gather(*await gate.flood(MOST_TURNED_AWAY + 10, name="more"), return_exceptions=True)
        assert len(kept) == MOST_TURNED_AWAY
        gate.now += TURNED_AWAY_SECONDS + 100
        await asyncio.gather(gate.ask(b"later"), return_exceptions=True)
        assert len(kept) == 1
        gate.open()
        await asyncio.gather(*waiting)

    run(story)


def test_who_has_gone_is_not_compared() -> None:
    """A client that leaves the line costs no comparison; twins that stay still get their answer."""

    async def story(gate: Gate) -> None:
        (running,) = await gate.flood(1)
        leaving, twin, staying = gate.ask(b"leaving"), gate.ask(b"twin"), gate.ask(b"twin")
        await asyncio.sleep(0)
        leaving.cancel()
        twin.cancel()
        await asyncio.gather(leaving, twin, return_exceptions=True)
        gate.open()
        assert [await running, await staying] == [False, False]
        assert gate.passwords._queue == {}

    assert run(story).compared == [b"wrong0", b"twin"]
