"""The families with a sample per account, or one for the whole exporter."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from exporter import __version__
from exporter.exposition.families import ACCOUNT_FAMILIES, COUNTER, EXPORTER_FAMILIES, GAUGE, HISTOGRAM, Family
from exporter.exposition.source import Source
from exporter.state.counters import Histogram

METRIC_TYPES: Final[Mapping[str, Any]] = {
    COUNTER: CounterMetricFamily, GAUGE: GaugeMetricFamily, HISTOGRAM: HistogramMetricFamily,
}  # fmt: skip

Samples = Iterable[tuple[tuple[str, ...], Any]]


class AccountCollector(Collector):
    """Collects the families of all accounts and of the exporter itself, or those of one account."""

    def __init__(self, source: Source, account: tuple[str, str] | None = None) -> None:
        self._source = source
        self._account = account

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        samples = _account_samples(self._source, self._account)
        for family in ACCOUNT_FAMILIES:
            yield self._metric(family, samples[family.name])
        if self._account is None:
            samples = _exporter_samples(self._source)
            for family in EXPORTER_FAMILIES:
                yield self._metric(family, samples[family.name])

    def _metric(self, family: Family, samples: Samples) -> Metric:
        metric: Metric = METRIC_TYPES[family.kind](family.name, family.help, labels=family.labels)
        for labels, value in samples:
            if self._account is None or labels[:2] == self._account:
                figures = (value.cumulative(), value.total) if isinstance(value, Histogram) else (value,)
                metric.add_metric(labels, *figures)  # type: ignore[attr-defined]
        return metric


def _account_samples(source: Source, only: tuple[str, str] | None) -> dict[str, Samples]:
    """Return the samples of each family: of one account alone, or of all; those of counters are always of all."""
    counters, accounts = source.counters, [one for one in source.accounts() if only in (None, one.names)]
    return {
        "stream_probe_errors_total": counters.errors.items(),
        "stream_provider_responses_total": counters.responses.items(),
        "stream_provider_request_duration_seconds": counters.durations.items(),
        "stream_provider_up": ((one.names, one.health.up) for one in accounts if one.health.up is not None),
        "stream_provider_quota_per_second": (
            ((*one.names, action), rate) for one in accounts for action, rate in one.allowed_rates().items()
        ),
        "stream_provider_clock_skew_seconds": counters.skew.items(),
        "stream_provider_breaker_open": ((one.names, one.health.breaker.open) for one in accounts),
        "stream_streams": ((one.names, len(one.streams)) for one in accounts),
        "stream_round_duration_seconds": (
            (one.names, one.health.round_seconds) for one in accounts if one.health.round_seconds is not None
        ),
        "stream_round_unprobed": (
            ((*one.names, why), count) for one in accounts for why, count in one.health.unprobed.items()
        ),
        "stream_callbacks_total": counters.callbacks.items(),
    }


def _exporter_samples(source: Source) -> dict[str, Samples]:
    return {
        "stream_exporter_build_info": [((__version__, platform.python_version()), 1)],
        "stream_exporter_config_last_reload_successful": [((), source.reload_ok)],
        "stream_exporter_config_last_reload_success_timestamp_seconds": [((), source.reloaded)],
        "stream_exporter_log_lines_dropped_total": [((), source.dropped())],
    }
