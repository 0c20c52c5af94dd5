"""One stream of one cloud, asked through the real round in virtual time; what it answers is handed in."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from structlog.testing import capture_logs

from exporter.exposition import Exposition, Scope, Source
from exporter.model import Call, Reason, Reply, Request, State
from exporter.providers import codes as catalogue
from exporter.providers.interface import AnyApi, AnyProvider, Listing
from exporter.rounds.prober import Prober
from exporter.state.record import Instant, Record
from testbed.recorded import document, make
from tests.providers.exchanges import load
from tests.virtual import EPOCH, Network, VirtualLoop, prober

VALUE = re.compile(r" -?(?:[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|inf|nan|\+Inf)$", re.MULTILINE)


class Theatre:
    """A round for one stream, again and again.

    Args:
        provider: The cloud.
        api: What is answered; every other API refuses the stream. Where it is a list of figures, the stream is live.
        fields: Fields of account and stream that differ from those of the recorded exchanges.
    """

    def __init__(self, provider: AnyProvider, api: AnyApi, plan: str, fields: Mapping[str, Any]) -> None:
        self.provider = provider
        self.api = api
        self._asked: AnyApi | None = None
        # A stream that is asked wrongly is no outage of the account, so that the breaker never keeps lists away.
        figures = api in provider.figures
        wanted = {"state": "active"} if figures else {"fault": "bad_request"}
        others = [one for one in load(provider) if wanted.items() <= one.expected.items() and "stream" not in one.given]
        # Where one list is all there is, nothing else is asked.
        self._otherwise = next((one.reply for one in others if one.api is provider.main), Reply(500, {}, b""))
        self.reply = self._otherwise
        self._parsed: set[str] = set()
        self._formats: deque[tuple[bool, Any]] = deque([(False, parse_text), (True, parse_openmetrics)])
        self._listed = {entry.code for entry in catalogue.load(provider.name).entries()}
        quota = dict.fromkeys(provider.apis(), 1_000_000.0)
        override = {
            "account": {"plan": plan, "quota": quota, "figures": figures, **fields.get("account", {})},
            "stream": fields.get("stream", {}),
        }
        self.account, self.stream = make(provider, document(provider.name), override)
        self._runner = asyncio.Runner(loop_factory=VirtualLoop)
        self._prober = self._runner.run(self._made())
        board, counters = self._prober.shared.board, self._prober.shared.counters
        self._exposition = Exposition(Source(board, counters, self._prober.present))
        self._scope = Scope((provider.name, "main"), ((provider.name, self.stream.name),))

    async def _made(self) -> Prober:
        cloud = replace(
            self.provider,
            single=None if self.provider.single is None else self._noted(self.provider.single),
            listings=tuple(map(self._noted, self.provider.listings)),
            figures=tuple(map(self._noted, self.provider.figures)),
        )
        network = Network(self._behave, latency=0.0)
        return prober(network, [self.account], [self.stream], max_age=1e9, clouds={cloud.name: cloud})

    def _noted(self, api: Any) -> Any:
        """Return an API that notes that it was asked last: a request need not tell which one it is for."""

        def noting(ask: Callable[..., Call]) -> Callable[..., Call]:
            def asked(*what: Any) -> Call:
                self._asked = api
                return ask(*what)

            return asked

        more = {"ask_next": noting(api.ask_next)} if isinstance(api, Listing) and api.ask_next is not None else {}
        return replace(api, ask=noting(api.ask), **more)

    async def _behave(self, _provider: str, _request: Request) -> Reply:
        return self.reply if self._asked is self.api else self._otherwise

    @property
    def record(self) -> Record:
        """What is known of the stream."""
        (record,) = self._prober.shared.board
        return record

    @property
    def now(self) -> float:
        """The time in monotonic seconds."""
        return self._runner.get_loop().time()

    def close(self) -> None:
        """Let the loop go."""
        self._runner.close()

    def play(self, reply: Reply) -> State:
        """Answer one round, check what must hold whatever was answered, and return the state that is shown."""
        self.reply = reply
        with capture_logs() as logs:
            self._runner.run(self._scrape())
        assert not [entry for entry in logs if entry["event"] == "bug"], logs
        self._check_series()
        state = self.record.state(self.now, 1e9)
        self._check_exposition(state, self.now)
        return state

    async def _scrape(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(601)  # longer than a provider may ask us to wait, and than its processes are doubted
        await self._prober.refresh(loop.time() + 5, loop.time())

    def _check_series(self) -> None:
        """Label values are of the catalogue or ours; `other` is there once for each reason at most."""
        counters = self._prober.shared.counters
        listed = self._listed
        ours = {str(reason) for reason in Reason} | {"other", "ok"}
        assert {key[2] for key in counters.errors} <= listed | ours
        assert {key[3] for key in counters.errors} <= {str(reason) for reason in Reason} - {"bug"}
        assert {key[3] for key in counters.responses} <= listed | ours

    def _check_exposition(self, state: State, now: float) -> None:
        """Both formats, in turn, are parsed whole and tell the state."""
        self._formats.rotate()
        openmetrics, parse = self._formats[0]
        text = b"".join(self._exposition.render(Instant(EPOCH + now, now), openmetrics, self._scope)).decode()
        lines = [line for line in text.split("\n") if line.startswith("stream_active{")]
        assert [float(line.rpartition(" ")[2]) for line in lines] == (
            [] if state is State.UNKNOWN else [float(state is State.ACTIVE)]
        )
        # A document that differs from one before only in its values, all of them numbers, was parsed already.
        shape = VALUE.sub(" 0", text)
        if shape not in self._parsed:
            self._parsed.add(shape)
            samples = [sample for family in parse(text) for sample in family.samples]
            assert sum(sample.name == "stream_state" for sample in samples) == 5
            assert len(samples) == sum(line != "" and line[0] != "#" for line in text.split("\n"))
