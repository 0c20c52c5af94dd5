"""The campaign's clouds without a socket: the simulator's own fakes, behind a network that breaks to order."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.utils import formatdate
from functools import partial
from random import Random
from typing import Any

from benchmarks.clouds import address, keys
from benchmarks.faults.lines import STRAY, Line
from benchmarks.faults.lists import Lists, Scope, received
from benchmarks.faults.script import Life, Spell, Spells, life, spells
from exporter.model import Account, Reason, Reply, Request
from exporter.providers import all_providers
from exporter.providers.interface import TransportError
from exporter.simulator.exchange import Exchange
from exporter.simulator.faults import Fault, write
from exporter.simulator.providers import fakes
from exporter.simulator.server import respond
from exporter.simulator.types import Tricks
from exporter.simulator.world import World
from exporter.transport.pool import Pool

EPOCH = 1_800_000_000.0
# Streams of others in each list, so that some lists have several pages.
FOREIGN = 95
# Switches of the clouds that have such.
QUIRKS = {"_retry_hints": True, "_page": 20}
# Streams that every second configuration leaves out.
COMING_AND_GOING = 3
QUIET_END = 90.0


@dataclass(slots=True)
class Chaos:
    """The faults of a campaign, and what else keeps an exporter from an answer.

    Attributes:
        streams, listings, accounts, our_clock: What goes wrong, by stream, by cloud and action, by cloud.
        only: The list that answers for a stream where nothing else does.
        unknowable: Clouds of which nobody can say that a stream is down.
    """

    streams: dict[str, Spells]
    listings: dict[tuple[str, str], Spells]
    accounts: dict[str, Spells]
    our_clock: Spells
    only: dict[str, str]
    unknowable: set[str]

    def strike(self, exchange: Exchange, now: float) -> list[Spell]:
        """Return what is wrong with a call."""
        name = exchange.fake.name
        own = self.streams.get(exchange.stream.key) if exchange.stream is not None else None
        if own is None:
            own = self.listings.get((name, exchange.action))
        found = [self.accounts[name].at(now), own.at(now) if own is not None else None]
        return [spell for spell in found if spell is not None]

    def reachable(self, key: str, begin: float, end: float) -> Iterator[tuple[float, float]]:
        """Yield the spans in which nothing was wrong with a stream, its account or our clock (Unix seconds)."""
        provider = key.partition("/")[0]
        if provider in self.unknowable:
            return
        own = self.listings[provider, self.only[key]] if key in self.only else self.streams[key]
        sources = (own, self.accounts[provider], self.our_clock)
        at = begin
        for first, last in sorted(span for source in sources for span in source.within(begin, end)):
            if first > at:
                yield at, first
            at = max(at, last)
        if at < end:
            yield at, end


class Clouds:
    """A world of streams, and what of it is known to have been asked; one per campaign and exporter.

    Attributes:
        lives: The truth, by `provider/name`.
        tried: When the last finished call for a stream was sent (Unix seconds).
        listed: When the last listing that settled a stream was sent (Unix seconds), or the last of any kind where lists
            are the only word.
        arrivals: Arrival times by account and action.
        each: How many streams there are at each cloud.
    """

    def __init__(self, seed: str, seconds: float, intensity: float, each: int, processes: int = 1) -> None:
        self.begin = EPOCH
        self.seconds = seconds
        self.each = each
        self.chance = Random(f"{seed} network")
        self.lives: dict[str, Life] = {}
        self.tried: dict[str, float] = {}
        self.listed: dict[str, float] = {}
        self.arrivals: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.calls = 0
        self._broken: set[str] = set()
        self._pools: dict[str, Pool[Line]] = {}
        self.world = World(clock=self.now, seed=f"{seed} world", log_size=1)
        self.processes = processes
        for quirk, value in {**QUIRKS, "_workers": processes}.items():
            for name in (name for name in self.world.quirks.__slots__ if name.endswith(quirk)):
                setattr(self.world.quirks, name, value)
        for provider in all_providers():
            self._settle(provider, seed)
        self._lists = Lists(self.world, each)
        self.chaos = self._chaos(seed, intensity)

    def now(self) -> float:
        """Return the true time in Unix seconds."""
        return EPOCH + asyncio.get_running_loop().time() - 1000.0

    def our_time(self) -> float:
        """Return what our own clock says, which is wrong at times."""
        now = self.now()
        spell = self.chaos.our_clock.at(now)
        return now + (spell.seconds if spell is not None else 0.0)

    def _settle(self, provider: str, seed: str) -> None:
        quota = dict.fromkeys(fakes()[provider].actions, 100_000.0)
        self.world.add_account(provider, provider, quota=quota, **keys(provider))  # type: ignore[arg-type]
        self.world.set_tricks(provider, Tricks(foreign=FOREIGN))
        for number in range(self.each):
            name = f"{provider}-{number:02d}"
            chance = Random(f"{seed} life {name}")
            drawn = self.lives[f"{provider}/{name}"] = life(provider, chance, self.begin, self.seconds)
            self.world.add_stream(name, provider, state=drawn, **address(provider, name, number))

    def _chaos(self, seed: str, intensity: float) -> Chaos:
        """Draw faults so that a stream cannot be asked for this part of the time, a third of it for its account's."""
        account = intensity / 3
        call = 1 - (1 - intensity) / (1 - account)

        def draw(name: str, provider: str, share: float, of: str) -> Spells:
            chance = Random(f"{seed} {intensity} {of} {name}")
            return spells(provider, chance, self.begin, self.seconds - QUIET_END, share, of)

        clock = [Spell(self.begin + at, self.begin + at + 30, "clock", seconds=wrong) for at, wrong in CLOCK_STEPS]
        return Chaos(
            {key: draw(key, key.partition("/")[0], call, "call") for key in self.lives},
            {(p, a): draw(a, p, call, "call") for p in all_providers() for a in fakes()[p].actions},
            {provider: draw(provider, provider, account, "account") for provider in all_providers()},
            Spells([spell for spell in clock if intensity and spell.end < self.begin + self.seconds - QUIET_END]),
            self._lists.only,
            self._lists.elsewhere if self.processes > 1 else set(),
        )

    # --- the network -------------------------------------------------------------------------------------------------

    async def connect(self, provider: str, account: Account, gap: float, new: bool) -> Line:
        """Return a connection to a cloud, as a transport does."""
        pool = self._pools.get(provider)
        if pool is None:
            pool = self._pools[provider] = Pool(partial(self._dial, provider), asyncio.get_running_loop().time)
        return await (pool.new(account.timeout) if new else pool.get(account.timeout, gap, account.concurrency))

    async def _dial(self, provider: str, _timeout: float) -> Line:
        pool = self._pools[provider]
        spent = self.chance.uniform(0.02, 0.3)
        await asyncio.sleep(spent + pool.settling)
        return Line(pool, partial(self.send, provider), spent, self.chance, STRAY.get(provider, 0.0))

    async def send(self, provider: str, request: Request, timeout: float, largest: int) -> Reply:  # noqa: ASYNC109
        """Make a call."""
        self.calls += 1
        sent = self.now()
        call = received(request, sent)
        exchange = fakes()[provider].parse(self.world, call)
        again = False
        try:
            async with asyncio.timeout(timeout):
                return await self._answer(exchange, largest)
        except TransportError as error:
            again = error.broke_early
            raise
        except TimeoutError:
            raise TransportError(Reason.TIMEOUT, "no complete answer in time") from None
        finally:
            self._note(exchange, sent, again)

    def _note(self, exchange: Exchange, sent: float, again: bool) -> None:
        """Note which streams an attempt was about that has finished; one that broke early may be made once more."""
        scope = self._lists.of(exchange)
        asked = [exchange.stream.key] if exchange.stream is not None else []
        if scope is not None and scope.only_word:
            asked = scope.streams
        if asked:
            first = asked[0]
            if again and first not in self._broken:
                self._broken.add(first)
                return
            self._broken.discard(first)
            # A list that is asked for a few streams may leave the others the answers that they have.
            noted = self.tried if exchange.stream is not None else self.listed
            noted.update({key: max(sent, noted.get(key, 0.0)) for key in asked})
        elif scope is not None and exchange.verified:
            self.listed.update(dict.fromkeys(self._settled(scope, exchange.now), sent))

    def _settled(self, scope: Scope, now: float) -> list[str]:
        """Return the streams that a sound listing settles where each can be asked for: those in it, or those not."""
        return [key for key in scope.streams if self.world.streams[key].is_active(now) == scope.of_live]

    async def _answer(self, exchange: Exchange, largest: int) -> Reply:
        """Let the cloud answer, on a network of 5 to 40 ms each way."""
        spells_now = self.chaos.strike(exchange, self.now())
        kinds = {spell.kind for spell in spells_now}
        if "dead" in kinds:
            await asyncio.sleep(0.001)
            raise TransportError(Reason.CONNECTION, "the endpoint refused the connection or cannot be reached")
        await asyncio.sleep(self.chance.uniform(0.005, 0.040))
        now = self.now()
        self.arrivals[exchange.fake.name, exchange.action].append(now)
        if "delay" in kinds:
            await asyncio.sleep(self.chance.uniform(0.5, 6.0))
        if "hang" in kinds:
            await asyncio.sleep(1e6)
        skew = sum(spell.seconds for spell in spells_now if spell.kind == "skew")
        exchange.received = replace(exchange.received, now=now + skew)
        faults = [made for spell in spells_now if (made := self._fault(exchange, spell)) is not None]
        outgoing = respond(exchange, faults)
        wire = write(outgoing, exchange.fake, faults)
        sound = outgoing.code in SUCCESS and not kinds & BROKEN and {fault.kind for fault in faults} <= HARMLESS
        exchange.verified = exchange.verified and sound and len(wire.body) <= largest
        await asyncio.sleep(self.chance.uniform(0.005, 0.040))
        _break(kinds)
        if len(wire.body) > largest:
            raise TransportError(Reason.MALFORMED, "the body is larger than allowed")
        headers = {name.lower(): value for name, value in wire.headers.items()}
        return Reply(wire.status, {**headers, "date": formatdate(exchange.received.now, usegmt=True)}, wire.body)

    def _fault(self, exchange: Exchange, spell: Spell) -> Fault | None:
        """Return the simulator's fault for what is no matter of the network."""
        if spell.kind in ("hang", "delay", "skew", "reset", "close", "cut"):
            return None
        if spell.kind == "throttle" and self.chance.random() > 0.7:
            return None
        value: Any = self.chance.choice((True, [], {}, -7, 1.5, "live", "ACTIVE", "", None))
        return Fault(spell.kind, code=spell.code, message="made to fail", value=value)


BROKEN = frozenset({"reset", "close", "cut"})
HARMLESS = frozenset({"huge"})  # where so much is allowed
SUCCESS = frozenset({"0", "ok"})
CLOCK_STEPS = ((400.0, 3600.0), (1000.0, -3600.0))


def _break(kinds: set[str]) -> None:
    if kinds & {"reset", "close"}:
        raise TransportError(Reason.CONNECTION, "the connection broke before an answer", broke_early=True)
    if "cut" in kinds:
        raise TransportError(Reason.CONNECTION, "the connection broke within the answer")
