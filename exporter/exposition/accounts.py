"""The families of failed checks, of callbacks, of accounts and of the exporter itself, built from strings too."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, Final, NamedTuple

from exporter import __version__
from exporter.exposition.families import (
    ACCOUNT_FAMILIES,
    CALLBACK_FAMILIES,
    EXPORTER_FAMILIES,
    HISTOGRAM,
    PLAYBACK_FAMILIES,
    Family,
    Names,
    P,
    is_asked,
)
from exporter.exposition.source import Source
from exporter.exposition.streams import SLICE, escape
from exporter.providers.reading import printable
from exporter.state.record import Key

SMALL_FAMILIES: Final = (*PLAYBACK_FAMILIES, *CALLBACK_FAMILIES, *ACCOUNT_FAMILIES, *EXPORTER_FAMILIES)

Samples = Iterable[tuple[tuple[str, ...], Any]]
"""The values of the labels, each with a number or a histogram."""


class Scope(NamedTuple):
    """One account, as (provider, account), and some of its streams."""

    account: tuple[str, str]
    streams: tuple[Key, ...]


def small_slices(source: Source, openmetrics: bool, only: Scope | None, names: Names) -> Iterator[bytes]:
    """Yield the families in slices, all as they are at the first; those of the exporter only if all is shown."""
    samples = _samples(source) | (_exporter_samples(source) if only is None else {})
    families = [one for one in SMALL_FAMILIES if one.name in samples and is_asked(one.name, names)]
    shown = [(family, _within(only, family, samples[family.name])) for family in families]
    lines = chain.from_iterable(_lines(family, rows, openmetrics) for family, rows in shown)
    while part := "".join(islice(lines, SLICE)):
        yield part.encode()


def _within(only: Scope | None, family: Family, samples: Samples) -> list[tuple[tuple[str, ...], Any]]:
    """Return the samples of a scope, or all."""
    if only is None:
        return list(samples)
    owners = frozenset(only.streams if family.labels[:2] == P else [only.account])
    return [(labels, value) for labels, value in samples if labels[:2] in owners]


def _lines(family: Family, samples: Samples, openmetrics: bool) -> Iterator[str]:
    yield family.head(openmetrics)
    name, labels = family.name, family.labels
    if family.kind != HISTOGRAM:
        line = _line(name, labels)
        yield from (line(values, value) for values, value in samples)
        return
    bucket = _line(f"{name}_bucket", (*labels, "le"))
    count, total = (_line(f"{name}_{part}", labels) for part in ("count", "sum"))
    for values, histogram in samples:
        cumulative = histogram.cumulative()
        yield from (bucket((*values, bound), number) for bound, number in cumulative)
        yield count(values, cumulative[-1][1])
        yield total(values, histogram.total)


def _line(name: str, labels: Sequence[str]) -> Callable[[tuple[str, ...], float], str]:
    """Return what writes a sample: a stream's labels first as in all its families, an account's by the alphabet."""
    order = sorted(range(len(labels)), key=None if labels[:2] == P else labels.__getitem__)
    text = ",".join(f'{labels[each]}="%s"' for each in order)
    pattern = f"{name}{{{text}}} %r\n" if text else f"{name} %r\n"
    return lambda values, value: pattern % (*[escape(values[each]) for each in order], float(value))


def _samples(source: Source) -> dict[str, Samples]:
    counters, accounts = source.counters, tuple(source.accounts())
    health = [(one.names, one.health) for one in accounts]
    return {
        "stream_last_callback_timestamp_seconds": counters.last_callback.items(),
        "stream_pushes_ended_total": counters.push_ends.items(),
        "stream_probe_errors_total": counters.errors.items(),
        "stream_provider_responses_total": counters.responses.items(),
        "stream_provider_request_duration_seconds": counters.durations.items(),
        "stream_provider_up": ((names, one.up) for names, one in health if one.up is not None),
        "stream_provider_quota_per_second": (
            ((*one.names, action), rate) for one in accounts for action, rate in one.allowed_rates().items()
        ),
        "stream_provider_clock_skew_seconds": counters.skew.items(),
        "stream_provider_breaker_open": ((names, one.breaker.open) for names, one in health),
        "stream_streams": ((one.names, len(one.streams)) for one in accounts),
        "stream_provider_listed_streams": (
            ((*one.names, printable(scope)), rows) for one in accounts for scope, rows in one.listed_rows().items()
        ),
        "stream_round_duration_seconds": (
            (names, one.round_seconds) for names, one in health if one.round_seconds is not None
        ),
        "stream_round_unprobed": (
            ((*names, why), count) for names, one in health for why, count in one.unprobed.items()
        ),
        "stream_callbacks_total": counters.callbacks.items(),
        "stream_playback_errors_total": counters.playback_errors.items(),
        "stream_playback_bytes_total": counters.playback_bytes.items(),
    }


def _exporter_samples(source: Source) -> dict[str, Samples]:
    shared: dict[str, Samples] = {}
    if (store := source.store()) is not None:
        up, replicas, _ = store
        shared = {"stream_exporter_store_up": [((), up)]} | (
            {"stream_exporter_replicas": [((), replicas)]} if up else {}
        )
    return shared | {
        "stream_exporter_build_info": [((__version__, platform.python_version()), 1)],
        "stream_exporter_config_last_reload_successful": [((), source.reload_ok)],
        "stream_exporter_config_last_reload_success_timestamp_seconds": [((), source.reloaded)],
        "stream_exporter_log_lines_dropped_total": [((), source.dropped())],
    }
