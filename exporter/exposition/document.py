"""The whole document: our families built from strings, those of the process by prometheus_client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from exporter.exposition.accounts import Scope, small_slices
from exporter.exposition.families import Names, is_asked
from exporter.exposition.negotiation import OPENMETRICS, TEXT
from exporter.exposition.source import Source
from exporter.exposition.streams import Labelled, Labels, escape, parted, slices
from exporter.state.record import Instant, Key, Row


class _Asked(Collector):
    """Of what another collects, the families that are asked for."""

    def __init__(self, collector: Collector, names: Names) -> None:
        self._collector = collector
        self._names = names

    def collect(self) -> Iterator[Metric]:
        return (metric for metric in self._collector.collect() if is_asked(metric.name, self._names))


class Exposition:
    """Renders the metrics of a source; label sets are rendered once per configuration."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._labels: dict[Key, Labels] = {}
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        PlatformCollector(registry=self._process)
        GCCollector(registry=self._process)

    def forget(self) -> None:
        """Drop cached label sets: the configuration has changed."""
        self._labels.clear()

    def render(
        self, now: Instant, openmetrics: bool, only: Scope | None = None, names: Names = None
    ) -> Iterator[bytes]:
        """Yield the document in slices, so that the event loop may run between them.

        The board is read before the first slice, so that all slices show the same moment.

        Args:
            now: The time; decides which answers have expired, and which streams are expected.
            openmetrics: Whether to use OpenMetrics instead of Prometheus's text format.
            only: What to show; None for everything.
            names: The families to show.
        """
        rows = list(self.source.board.rows(now, None if only is None else only.streams))
        shown: list[Labelled] = []
        for part in parted(rows):
            shown += zip(map(self._labels_of, part), part, strict=True)
            yield b""
        yield from slices(shown, openmetrics, names)
        yield from small_slices(self.source, openmetrics, only, names)
        encode, _ = choose_encoder(OPENMETRICS if openmetrics else TEXT)
        yield encode(_Asked(self._process, names) if only is None else CollectorRegistry())

    def _labels_of(self, row: Row) -> Labels:
        labels = self._labels.get(row.key)
        if labels is None:
            provider, stream = row.key
            configured = [(name, row.stream.labels.get(name, "")) for name in self.source.label_names]
            own = _label_text([("provider", provider), ("stream", stream)])
            labels = self._labels[row.key] = own, _label_text([("account", row.stream.account), *configured])
        return labels


def _label_text(labels: Iterable[tuple[str, str]]) -> str:
    return ",".join(f'{name}="{escape(value)}"' for name, value in labels)
