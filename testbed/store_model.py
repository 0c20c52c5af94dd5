"""The store's scripts once more, in Python, and a server that runs them: for tests in virtual time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from exporter.store.client import HEARTBEAT, SECONDS, Word
from exporter.store.errors import StoreError
from exporter.store.quota import RESERVE, SLOW

SECOND = 1_000_000
WINDOW = 1_040_000
MINUTE = 60 * SECOND


def lua(number: float) -> str:
    """Write a number as Lua does."""
    return format(number, ".14g")


@dataclass(slots=True)
class Keys:
    """What a server holds; nothing ever expires here."""

    texts: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, dict[str, str]] = field(default_factory=dict)

    def number(self, key: str) -> float:
        """Return the number at a key, 0 where there is none."""
        return float(self.texts.get(key, "0"))

    def execute(self, digest: str, now: int, keys: list[str], args: list[str]) -> list[Any]:
        """Return what the script with a digest returns at a time in microseconds."""
        closed = _closed(self, now, keys[0], args[0], args[1] == "1")
        if digest == RESERVE.digest and closed > 0:
            return _none(now, closed)
        return _SCRIPTS[digest](self, now, keys[1:], args[2:])


def beat(held: Keys, now: int, keys: list[str], args: list[str]) -> list[Any]:
    """Do what `beat.lua` does."""
    member, written = args
    members, sent = held.hashes.setdefault(keys[0], {}), int(written)
    alive, settled, since = 0, 0, now
    for name, value in tuple(members.items()):
        heard, joined = map(int, value.split())
        if heard > now or heard <= now - 3 * SECOND:
            del members[name]
        elif name == member:
            since = joined
        else:
            alive += 1
            settled += joined <= now - 5 * SECOND
    most, taken = int(held.number(keys[1])), 1
    if sent == 0:
        if members.pop(member, None) is not None and most > 0:
            most -= 1
            held.texts[keys[1]] = str(most)
    elif sent > now or sent < now - SECOND // 2:
        taken = 0
    else:
        members[member] = f"{now} {since}"
        alive += 1
        settled += since <= now - 5 * SECOND
        if settled >= most:
            most = settled
            held.texts[keys[1]] = str(most)
    return [now, taken, alive, most]


def _none(now: int, wait: float, calls: float = 0) -> list[Any]:
    return [now, max(1, math.ceil(wait)), 0, 0, 0, 0, lua(calls).encode()]


def _closed(held: Keys, now: int, key: str, server: str, jumped: bool) -> int:
    """Return for how many microseconds nothing is granted, because what was granted before is unknown."""
    marker = held.texts.get(key)
    run, opens = (None, 0) if marker is None else (marker.split(" ")[0], int(marker.split(" ")[1]))
    other = bool(server and run and run != server)
    if run is None or jumped or other or opens > now + SECOND + WINDOW:
        run, opens = None, now + SECOND + WINDOW
    held.texts[key] = f"{server or run or ''} {opens}"
    return opens - now


def _grown(state: dict[str, str], now: int, args: list[str], gap: float, last: float) -> tuple[float, float]:
    """Return the gap under throttling, and since when there is demand; forgets what is over."""
    rate, since, resumed = float(state["rate"]), float(state["since"]), float(state.get("resumed", "0"))
    level, growth, lull, forget = map(float, args[7:11])
    if now - last > lull + WINDOW / rate:
        resumed = now
    tried = min(now - since, now - resumed + level * SECOND - lull) / SECOND
    grown = rate * (1 + (max(0.0, tried - level) / growth) ** 3)
    if now - since > forget or since > now + 61 * SECOND or WINDOW / grown <= gap:
        for name in ("rate", "since", "cut", "resumed"):
            state.pop(name, None)
        return gap, 0.0
    return WINDOW / grown, resumed


def _counted(held: Keys, now: int, keys: list[str], member: str) -> tuple[int, int, int | None]:
    """Return members alive, those that may be counted on, and since when one of them is there."""
    known = {name: tuple(map(int, value.split())) for name, value in held.hashes.get(keys[0], {}).items()}
    there = {name: joined for name, (heard, joined) in known.items() if now - 3 * SECOND < heard <= now}
    return len(there), sum(joined <= now - WINDOW for joined in there.values()), there.get(member)


def reserve(held: Keys, now: int, keys: list[str], args: list[str]) -> list[Any]:
    """Do what `reserve.lua` does."""
    member = args[0]
    last, before, want, most, window, replicas = map(int, args[1:7])
    alive, counted, mine = _counted(held, now, keys, member)
    if mine is None:
        return _none(now, WINDOW)
    if mine > now - WINDOW:
        return _none(now, mine + WINDOW - now)
    missing = max(replicas, alive, int(held.number(keys[1]))) - counted
    calls: float = most - missing * (most // replicas)
    if calls < 1:
        return _none(now, SECOND)
    state = held.hashes.setdefault(keys[2], {})
    follows, paused = float(state.get("next", "0")), float(state.get("paused", "0"))
    paused = 0 if paused > now + 61 * SECOND else paused
    gap: float = window / calls
    if "rate" in state:
        gap, resumed = _grown(state, now, args, gap, max(follows, paused))
        if "rate" in state:
            calls, state["resumed"] = window / gap, f"{resumed:.0f}"
    gap = math.ceil(gap)
    if last > 0:
        follows = max(follows, last + gap)
    follows = min(follows, now + SECOND + gap)
    first = int(max(follows, now, paused))
    count = min(want, (now + SECOND - first) // gap + 1)
    state["next"] = str(int(follows) if count < 1 else first + count * gap)
    if count < 1:
        return _none(now, first - now - SECOND, calls)
    sequence, start = max(int(held.number(keys[3])), before), 0
    for slot in range(first, first + count * gap, gap):
        sequence = max(sequence + 16, slot - slot % 16)
        start = start or sequence
    held.texts[keys[3]] = str(sequence)
    return [now, 0, first, gap, count, start, lua(calls).encode()]


def slow(held: Keys, now: int, keys: list[str], args: list[str]) -> list[Any]:
    """Do what `slow.lua` does."""
    sent, asked = min(int(args[0]), now), min(int(args[1]), MINUTE)
    limit, least, pause, level, growth, cut = map(float, args[2:8])
    state = held.hashes.setdefault(keys[0], {})
    paused = min(float(state.get("paused", "0")), now + MINUTE)
    rate, deaf, since = (float(state.get(name, "0")) for name in ("rate", "cut", "since"))
    if asked > 0:
        paused = max(paused, now + asked)
    if rate == 0 or sent > deaf or deaf > now + MINUTE:
        tried = (sent - since) / SECOND - level
        if rate == 0:
            rate = limit / 2
        elif tried > 0:
            rate = cut * rate * (1 + (tried / growth) ** 3)
        else:
            rate = rate / 2
        rate = max(least, min(rate, limit))
        deaf = max(now, sent + pause)
        paused = max(paused, deaf)
        since = deaf
    since = max(since, paused)
    state |= {"paused": f"{paused:.0f}", "rate": lua(rate), "cut": f"{deaf:.0f}", "since": f"{since:.0f}"}
    state["resumed"] = "0"
    return [now]


_SCRIPTS: dict[str, Callable[[Keys, int, list[str], list[str]], list[Any]]] = {
    HEARTBEAT.digest: beat,
    RESERVE.digest: reserve,
    SLOW.digest: slow,
}


@dataclass(slots=True)
class ModelServer:
    """A server in virtual time.

    Attributes:
        ahead: Seconds that its clock is ahead of the loop's.
        run: The id of its present run.
        up: Whether it answers at all.
        going: Cleared while it stands still: commands wait for it.
        held: What it holds.
    """

    ahead: float = 1_800_000_000.0
    run: str = "run0"
    up: bool = True
    going: asyncio.Event = field(default_factory=asyncio.Event)
    held: Keys = field(default_factory=Keys)

    def now(self) -> int:
        """Return its microseconds."""
        return int((asyncio.get_running_loop().time() + self.ahead) * SECOND)

    def restart(self, held: Keys | None = None) -> None:
        """Begin anew, with nothing, or with what a replica of the store holds."""
        self.run, self.held = f"run{int(self.run[3:]) + 1}", held or Keys()


@dataclass(slots=True)
class Way:
    """One replica's way to the server.

    Attributes:
        there: Seconds that a command takes.
        back: Seconds that its reply takes.
        cut: Whether nothing gets through.
        lost: Whether replies are lost.
    """

    server: ModelServer
    there: float = 0.0002
    back: float = 0.0002
    cut: bool = False
    lost: bool = False

    async def dial(self) -> ModelLink:
        """Connect."""
        if self.cut or not self.server.up:
            raise StoreError("connection", "refused")
        return ModelLink(self, self.server.run)


@dataclass(slots=True)
class ModelLink:
    """A connection to a server."""

    way: Way
    server: str

    async def ask(self, *words: Word, seconds: float = SECONDS) -> Any:
        """Run one of the three scripts; all else it does not know."""
        way, text = self.way, [str(word) for word in words]
        if not way.server.up or way.server.run != self.server:
            raise StoreError("connection", "broke")
        if text[0] != "EVALSHA" or text[1] not in _SCRIPTS:
            raise StoreError("answer", "unknown", "ERR")
        try:
            async with asyncio.timeout(seconds):
                # What is on its way arrives, whoever has stopped waiting.
                return await asyncio.shield(asyncio.create_task(self._execute(text)))
        except TimeoutError:
            raise StoreError("timeout", "timed out") from None

    async def _execute(self, words: list[str]) -> Any:
        way = self.way
        if way.cut:
            await asyncio.sleep(3600)
        await asyncio.sleep(way.there)
        await way.server.going.wait()
        count = int(words[2])
        if way.server.run != self.server:
            await asyncio.sleep(3600)
        reply = way.server.held.execute(words[1], way.server.now(), words[3 : 3 + count], words[3 + count :])
        if way.lost or way.cut:
            await asyncio.sleep(3600)
        await asyncio.sleep(way.back)
        return reply

    async def close(self) -> None:
        """Do nothing."""
