"""The large pages of a service: how each is made, slice by slice, and how long it is good."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from exporter import status
from exporter.config import redacted_slices
from exporter.rounds import AccountProber
from exporter.serving import report
from exporter.serving.pages import Page
from exporter.serving.service import Service
from exporter.state.board import Record

# The status page shows ages and times of day in seconds.
STATUS_SECONDS: Final = 1.0
EXPOSITION_SECONDS: Final = 0.01


def stream_object(service: Service, record: Record) -> dict[str, Any]:
    """Return what is known of a stream now as a JSON object."""
    return report.stream_object(record, record.state(service.clock.mono(), service.board.max_age))


def streams(service: Service) -> Page:
    """Return what is known of each stream, as a JSON list."""
    return Page(
        "streams",
        lambda: _json_list(stream_object(service, record) for record in service.board),
        lambda: service.config,
        lambda: service.board.version,
        service.exposition.expires,
    )


def targets(service: Service) -> Page:
    """Return the watched streams as Prometheus's http_sd targets."""
    return Page("targets", lambda: _json_list(map(_target, service.board)), lambda: service.config)


def configuration(service: Service) -> Page:
    """Return the configuration in force as YAML, without secrets."""
    return Page("configuration", lambda: redacted_slices(service.config), lambda: service.config)


def status_page(service: Service, wanted: status.Filter, telemetry_path: str, *, ready: bool) -> Page:
    """Return the status page, filtered."""

    def parts() -> Iterator[str]:
        known = status.Known(
            service.board,
            service.tally,
            tuple(service.prober.present()),
            service.clock.now(),
            telemetry_path=telemetry_path,
            ready=ready,
            reload_ok=service.source.reload_ok,
            events=True,
        )
        yield from status.slices(known, wanted)

    return Page(
        ("status", wanted, ready),
        parts,
        lambda: service.config,
        lambda: (service.board.version, service.source.reload_ok),
        lambda: service.clock.mono() + STATUS_SECONDS,
    )


def exposition(service: Service, prober: AccountProber, *, openmetrics: bool) -> Page:
    """Return the exposition of one account."""
    return Page(
        ("exposition", prober.account.name, openmetrics),
        lambda: service.part(prober, None, openmetrics=openmetrics),
        lambda: service.config,
        lambda: service.board.version,
        lambda: service.clock.mono() + EXPOSITION_SECONDS,
    )


def _json_list(objects: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield a list's text as `json.dumps` writes it, object by object."""
    between = "["
    for one in objects:
        yield between + json.dumps(one)
        between = ", "
    yield "[]" if between == "[" else "]"


def _target(record: Record) -> dict[str, Any]:
    provider, name = record.key
    target = f"{provider}/{name}"
    labels = {f"__meta_stream_label_{label}": value for label, value in record.stream.labels.items()}
    return {
        "targets": [target],
        "labels": {
            "__metrics_path__": "/probe",
            "__param_target": target,
            "__meta_stream_provider": provider,
            "__meta_stream_name": name,
            "__meta_stream_account": record.stream.account,
            **labels,
        },
    }
