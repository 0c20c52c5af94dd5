"""The exporter's real parts on simulated clouds over loopback; what a scrape says, as samples."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.config import Config, Scrape
from exporter.credentials.keyring import Keyring
from exporter.fields import SecretSource
from exporter.model import Account, State, Stream
from exporter.providers import all_providers
from exporter.rounds.limits import Limits
from exporter.serving.service import Service, system_clock
from exporter.simulator import Simulator, World
from tests.providers.facts import facts

Labels = frozenset[tuple[str, str]]
Samples = Mapping[tuple[str, Labels], float]

KEYS = {name: dict(known.keys) for name, known in facts().items()}
ADDRESS = {name: dict(known.address) for name, known in facts().items()}
VICTIM, NEIGHBOUR = "victim", "neighbour"
PLENTY = 1_000_000.0
VALUE = re.compile(r"^([^#\n].*) (\S+)$", re.MULTILINE)
# The samples' names and labels in documents that were parsed, by the document without its values.
_parsed: dict[tuple[Any, str], list[tuple[str, Labels]]] = {}


def address_of(provider: str, name: str) -> dict[str, Any]:
    """Return the fields of a stream's address, beside those that are its name by default."""
    return {field: value.format(name=name) for field, value in ADDRESS[provider].items()}


def company(provider: str) -> tuple[str, ...]:
    """Return a cloud and the one that follows it: what one does to the others shows there."""
    names = list(KEYS)
    place = names.index(provider)
    return tuple((names[place:] + names[:place])[:2])


def small_world(clouds: Collection[str] = tuple(KEYS)) -> World:
    """Return one account at each cloud, each with two streams that are live, and without quotas."""
    world = World()
    for provider in clouds:
        keys = KEYS[provider]
        world.add_account(provider, provider, quota=dict.fromkeys(all_providers()[provider].apis(), PLENTY), **keys)
        for name in (VICTIM, NEIGHBOUR):
            world.add_stream(name, provider, **address_of(provider, name))
    return world


def account(provider: str, endpoint: str, **fields: Any) -> Account:
    """Return the exporter's side of a world's account, with fields that differ."""
    kind = all_providers()[provider]
    given = {
        "timeout": "10s",
        "quota": dict.fromkeys(kind.apis(), PLENTY),
        "plan": "single",
        "figures": False,
        **KEYS[provider],
        **fields,
    }
    secrets = {*kind.credentials, "token"} & given.keys()
    given |= {name: SecretSource.plain(given[name]) for name in secrets}
    made: Account = kind.account(name=provider, provider=provider, endpoint=endpoint, **given)
    return made


def stream(provider: str, name: str, **fields: Any) -> Stream:
    """Return a stream of a world's account."""
    made: Stream = all_providers()[provider].stream(name=name, account=provider, **address_of(provider, name), **fields)
    return made


def lists_only(provider: str) -> bool:
    """Say whether one call answers for all streams of an account."""
    return all_providers()[provider].single is None


def aimed(provider: str, name: str = VICTIM) -> dict[str, str]:
    """Return what a fault upon a stream is aimed at: its calls, or the list that it stands in with all others."""
    if lists_only(provider):
        return {"provider": provider, "action": all_providers()[provider].main.action}
    return {"stream": f"{provider}/{name}"}


@dataclass(frozen=True)
class Scraped:
    """What one scrape said, in both formats."""

    text: bytes
    openmetrics: bytes
    samples: Samples

    def value(self, name: str, **labels: str) -> float | None:
        """Return a sample's value, or None where there is none."""
        return self.samples.get((name, frozenset(labels.items())))

    def all(self, name: str, **labels: str) -> dict[Labels, float]:
        """Return the samples of one name with at least these labels, without these labels."""
        given = frozenset(labels.items())
        return {have - given: value for (found, have), value in self.samples.items() if found == name and given <= have}


def samples(document: bytes, parse: Any = parse_text) -> dict[tuple[str, Labels], float]:
    """Parse a document; a sample that stands twice is an error.

    One that differs from another only in its values has the same names and labels, so these are parsed once.
    """
    text = document.decode()
    shape = (parse, VALUE.sub(r"\1", text))
    if shape not in _parsed:
        parsed = [sample for family in parse(text) for sample in family.samples]
        keys = [(sample.name, frozenset(sample.labels.items())) for sample in parsed]
        assert len(set(keys)) == len(keys), f"{[key for key in keys if keys.count(key) > 1]} stand twice"
        assert [sample.value for sample in parsed] == _values(text)
        _parsed[shape] = keys
    return dict(zip(_parsed[shape], _values(text), strict=True))


def _values(text: str) -> list[float]:
    """Return the values of a document, in its order."""
    return [float(value) for _, value in VALUE.findall(text)]


class Stage:
    """A simulator and an exporter's service that stay open over many worlds."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self.simulator = Simulator(small_world())
        self.service = Service(Config(Scrape(reuse=0.0)), all_providers(), system_clock(), Keyring({}))

    def open(self) -> None:
        """Listen."""
        self._runner.run(self.simulator.start())

    def close(self) -> None:
        """Close every connection."""
        self._runner.run(self.service.__aexit__(None, None, None))
        self._runner.run(self.simulator.stop())

    def show(
        self, world: World, accounts: list[Account], streams: list[Stream] | None = None, seconds: float = 20.0
    ) -> Scraped:
        """Forget everything, put a world on, and scrape it once."""
        watched = [stream(one.provider, name) for one in accounts for name in (VICTIM, NEIGHBOUR)]
        self.simulator.world = world
        # Without accounts in between, nothing is known or counted any more.
        self.service.prober.configure([], [], 60.0)
        # Quotas outlive accounts: throttling in one world would slow down the next.
        self.service.prober.shared.limits = Limits()
        self.change(accounts, watched if streams is None else streams)
        return self.scrape(seconds)

    def change(self, accounts: list[Account], streams: list[Stream] | None = None) -> None:
        """Take other accounts, and what is known of the same streams along."""
        kept = list(self.service.prober.shared.board)
        watched = [record.stream for record in kept] if streams is None else streams
        self.service.prober.configure([(all_providers()[one.provider], one) for one in accounts], watched, 60.0)
        self.service.exposition.forget()

    def scrape(self, seconds: float = 20.0) -> Scraped:
        """Scrape once."""
        return self._runner.run(self._scrape(seconds))

    async def _scrape(self, seconds: float) -> Scraped:
        await self.service.refresh(self.service.clock.mono() + seconds)
        text = await self.service.document(openmetrics=False, compressed=False)
        openmetrics = await self.service.document(openmetrics=True, compressed=False)
        told = {key: value for key, value in samples(text).items() if not _moving(key[0])}
        again = {key: value for key, value in samples(openmetrics, parse_openmetrics).items() if not _moving(key[0])}
        assert told == again
        return Scraped(text, openmetrics, told)

    @property
    def endpoint(self) -> str:
        """Where the simulated clouds listen."""
        return self.simulator.url

    def accounts(self, provider: str = "", clouds: Collection[str] = tuple(KEYS), **fields: Any) -> list[Account]:
        """Return an account of each cloud, one of them with fields that differ."""
        return [account(name, self.endpoint, **(fields if name == provider else {})) for name in clouds]


def _moving(name: str) -> bool:
    """Say whether a sample is of the process itself, and so changes between two documents."""
    return name.startswith(("process_", "python_"))


@contextmanager
def staged() -> Iterator[Stage]:
    """Run a stage while the block runs."""
    with asyncio.Runner() as runner:
        stage = Stage(runner)
        stage.open()
        try:
            yield stage
        finally:
            stage.close()


def states(scraped: Scraped, provider: str, name: str) -> dict[str, float]:
    """Return the five rows of a stream's `stream_state`."""
    rows = scraped.all("stream_state", provider=provider, stream=name)
    return {dict(labels)["state"]: value for labels, value in rows.items()}


def one_hot(state: State) -> dict[str, float]:
    """Return the five rows of `stream_state` in a state."""
    return {str(each): float(each is state) for each in State}
