"""What a document of 10,000 streams costs, against prometheus_client's own path for the same families."""

from __future__ import annotations

import asyncio
import gc
import gzip
import statistics
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from benchmarks.rounds import cpu, keys, watching
from benchmarks.table import Row
from exporter.exposition import Compressor
from exporter.exposition.families import STREAM_FAMILIES
from exporter.model import Answer, State
from exporter.providers import all_providers
from exporter.serving.service import Service, system_clock
from exporter.state.board import Board
from exporter.state.record import Instant

STREAMS = 10_000


def answer_all(service: Service, at: float) -> None:
    """Give every stream a fresh answer, so that every value is new."""
    states = (State.ACTIVE, State.ACTIVE, State.INACTIVE, State.FORBIDDEN)
    for number, record in enumerate(service.board):
        state = states[(number + int(at)) % 4]
        service.board.answered(record, Answer(state), "DescribeLiveStreamState", Instant(at + number / 1e4, at))


class Baseline(Collector):
    """The same families as the client library would have them written."""

    def __init__(self, board: Board, mono: float) -> None:
        self.board, self.mono = board, mono

    def collect(self) -> Iterator[Metric]:
        """Yield the families with a sample per stream."""
        kinds: dict[str, Any] = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily}
        made = {f.name: kinds[f.kind](f.name, f.help, labels=f.labels) for f in STREAM_FAMILIES}
        for record in self.board:
            state = record.state(self.mono, 1e9)
            key = list(record.key)
            if state is not State.UNKNOWN:
                made["stream_active"].add_metric(key, float(state is State.ACTIVE))
            for one in State:
                made["stream_state"].add_metric([*key, str(one)], float(one is state))
            made["stream_expected"].add_metric(key, 1.0)
            made["stream_probe_success"].add_metric(key, float(record.succeeded))
            made["stream_last_success_timestamp_seconds"].add_metric(key, record.answered)
            made["stream_state_changes_total"].add_metric(key, float(record.changes))
            made["stream_info"].add_metric([*key, record.stream.account], 1.0)
        yield from made.values()


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Parse a document into its samples of streams."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "stream" in sample.labels
    }


async def measure() -> dict[str, float]:
    """Return figures of rendering and compressing."""
    async with Service(watching("http://127.0.0.1:1", STREAMS), all_providers(), system_clock(), keys) as service:
        service.board.max_age = 1e9
        gc.collect()
        gc.freeze()
        mine, base, slices = [], [], []
        for turn in range(5):
            at = 1000.0 + turn
            answer_all(service, at)
            parts: list[bytes] = []

            def render(at: float = at, parts: list[bytes] = parts) -> None:
                last = time.process_time()
                for part in service.exposition.render(Instant(at, at), False):
                    now = time.process_time()
                    slices.append(now - last)
                    last = now
                    parts.append(part)

            mine.append(cpu(render))
            registry = CollectorRegistry(auto_describe=False)
            registry.register(Baseline(service.board, at))
            theirs: list[bytes] = []
            base.append(cpu(partial(_generate, registry, theirs)))
            document = b"".join(parts)
        assert samples(document.decode()) == samples(theirs[0].decode())
        best, fast = [], []
        for _ in range(3):
            best.append(cpu(lambda: gzip.compress(document, 9)))
            fast.append(cpu(lambda: squeeze(parts)))
        gc.unfreeze()
        return {
            "render ms": statistics.median(mine) * 1e3,
            "prometheus_client ms": statistics.median(base) * 1e3,
            "times faster": statistics.median(b / a for a, b in zip(mine, base, strict=True)),
            "longest slice ms": max(slices) * 1e3,
            "gzip 9 ms": statistics.median(best) * 1e3,
            "ours ms": statistics.median(fast) * 1e3,
            "times less": statistics.median(b / a for a, b in zip(fast, best, strict=True)),
            "size ratio": len(squeeze(parts)) / len(gzip.compress(document, 9)),
            "MiB": len(document) / 2**20,
        }


def _generate(registry: CollectorRegistry, documents: list[bytes]) -> None:
    documents.append(generate_latest(registry))


def squeeze(parts: list[bytes]) -> bytes:
    """Compress as the service does."""
    compressor = Compressor()
    return b"".join([*(compressor.add(part) for part in parts), compressor.end()])


def rows() -> list[Row]:
    """Measure a document."""
    found = asyncio.run(measure())
    name = f"GET /metrics of {STREAMS:,} streams"
    return [
        Row(f"{name}, every value fresh, against prometheus_client", found["times faster"], "x", ">=", 12.0,
            f"{found['render ms']:.0f} ms, prometheus_client {found['prometheus_client ms']:.0f} ms"),
        Row(f"{name}, longest slice", found["longest slice ms"], "ms", "<=", 50.0, f"{found['MiB']:.1f} MiB in slices"),
        Row(f"{name}, compressed against gzip -9", found["times less"], "x", ">=", 15.0,
            f"{found['ours ms']:.1f} ms, gzip -9 {found['gzip 9 ms']:.0f} ms"),
        Row(f"{name}, compressed size against gzip -9", found["size ratio"], "x", "<=", 1.25, ""),
    ]  # fmt: skip
