"""What a service shows: streams and calls as JSON and text, and the pages that are rendered in slices."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from exporter import status
from exporter.config import redacted_slices
from exporter.exposition import Names, Scope
from exporter.model import Fault, State
from exporter.playback.steps import PlaybackTranscript
from exporter.providers import codes as catalogue
from exporter.rounds.account import AccountProber
from exporter.rounds.transcript import Transcript
from exporter.schedule import Window
from exporter.serving.pages import Page
from exporter.serving.service import Service
from exporter.state.callbacks import Received
from exporter.state.playback import AddressRow
from exporter.state.record import Change, Record, Row

STATUS_SECONDS: Final = 1.0  # the resolution of its times
EXPOSITION_SECONDS: Final = 0.01
FORESIGHT_SECONDS: Final = 60.0
PLAYBACK_SECONDS: Final = 1.0  # ages differ with every check
NO_CALL: Final = (
    "the quota or the deadline left no room, a breaker is open, or the stream was asked for less than a second ago and "
    "there was no time to ask again"
)


# --- objects and texts -----------------------------------------------------------------------------------------------


def stream_object(row: Row) -> dict[str, Any]:
    """Return a stream as a JSON object; times are RFC 3339 in UTC."""
    provider, name = row.key
    return {
        "provider": provider,
        "stream": name,
        "account": row.stream.account,
        "labels": row.stream.labels,
        "state": str(row.state),
        "degraded": list(row.degraded),
        "active": None if row.state is State.UNKNOWN else row.state is State.ACTIVE,
        "since": _rfc3339(row.since),
        "last_success": _rfc3339(row.answered if row.answer is not None else None),
        "error": None if row.fault is None else _error_object(provider, row.fault),
        "expected": row.expectation.expected,
        "expected_changes_at": _rfc3339(row.expectation.next_change),
        "maintenance": None if (window := row.expectation.maintenance) is None else _maintenance(window),
        "playback": [_playback(one) for one in row.playback],
        "hop_disagreement": row.hop_disagreement,
    }


def _playback(one: AddressRow) -> dict[str, Any]:
    """Return what viewers get at an address; of what no check counts for, only its name and since when."""
    begun, check = {"name": one.name, "up": one.up, "since": _rfc3339(one.since)}, one.check
    if check is None:
        return {**begun, **_UNCHECKED}
    return {
        **begun,
        "reason": None if check.reason is None else str(check.reason),
        "message": check.message,
        "age_seconds": check.age,
        "first_byte_seconds": check.first_byte,
        "checked_at": _rfc3339(check.checked),
    }


_UNCHECKED: Final = dict.fromkeys(("reason", "message", "age_seconds", "first_byte_seconds", "checked_at"))


def _maintenance(window: Window) -> dict[str, str | None]:
    return {"start": _rfc3339(window.start), "end": _rfc3339(window.end), "comment": window.comment}


def _error_object(provider: str, fault: Fault) -> dict[str, str]:
    """Return a fault with the catalogue's explanation and advice."""
    entry = catalogue.of_fault(provider, fault.code, str(fault.reason))
    message = f"{entry.meaning} ({fault.message})" if fault.message else entry.meaning
    return {"code": fault.code, "reason": str(fault.reason), "message": message, "advice": entry.advice,
            "request_id": fault.request_id}  # fmt: skip


def _rfc3339(seconds: float | None) -> str | None:
    """Return Unix seconds as `2026-01-02T03:04:05.678Z`."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event(one: Change | Received) -> bytes:
    """Return a change of state or of what viewers get, or an accepted callback, as a server-sent event."""
    fields: dict[str, Any] = {"time": _rfc3339(one.at), "provider": one.provider, "stream": one.stream}
    if isinstance(one, Change):
        fields |= {"playback": one.playback} if one.playback else {}
        fields |= {"old": one.old, "new": one.new, "evidence": one.evidence}
        return _event("playback" if one.playback else "change", fields)
    return _event("callback", {**fields, "event": one.event, "authentic": one.authentic})


def _event(name: str, fields: Mapping[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(fields)}\n\n".encode()


def transcript(calls: Sequence[Transcript], checks: Sequence[PlaybackTranscript], row: Row | None, now: float) -> str:
    """Return calls and checks as text, each with its request (redacted), its response and how it was judged.

    `row` is the stream, if only one was probed; `now` is in monotonic seconds.
    """
    parts = [_call_text(number, call) for number, call in enumerate(calls, 1)]
    if not calls:
        tried = row is not None and row.tried > float("-inf")
        last = f" The last attempt was {(now - row.tried) * 1000:.0f} ms ago." if row and tried else ""
        parts.append(f"No call was made: {NO_CALL}.{last}\n")
    parts += [f"--- playback {chr(10).join(check.lines())}\n" for check in checks]
    if row is not None:
        parts.append(f"{'/'.join(row.key)}: {json.dumps(stream_object(row), ensure_ascii=False, indent=2)}\n")
    return "\n".join(parts)


def _call_text(number: int, call: Transcript) -> str:
    streams = ", ".join(call.streams[:10]) or call.scope
    status_line = "no answer" if call.status is None else f"HTTP {call.status}"
    return (
        f"--- call {number}: {call.action} for {streams}\n{call.asked}\n\n"
        f"--- came back after {call.seconds * 1000:.0f} ms: {status_line}\n{call.body}\n\n"
        f"--- judged: {call.judgement()}\n"
    )


def _target(row: Row, prefix: str, more: Mapping[str, str]) -> dict[str, Any]:
    """Return a stream as a target of Prometheus's http_sd, with more labels; `prefix` stands before every path."""
    provider, name = row.key
    target = f"{provider}/{name}"
    labels = {f"__meta_stream_label_{label}": value for label, value in row.stream.labels.items()}
    return {
        "targets": [target],
        "labels": {
            "__metrics_path__": f"{prefix}/probe",
            "__param_target": target,
            "__meta_stream_provider": provider,
            "__meta_stream_name": name,
            "__meta_stream_account": row.stream.account,
            "__meta_stream_expected": "true" if row.expectation.expected else "false",
            **more,
            **labels,
        },
    }


def _json_list(objects: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield a JSON list object by object, formatted as by `json.dumps`."""
    between = "["
    for one in objects:
        yield between + json.dumps(one)
        between = ", "
    yield "[]" if between == "[" else "]"


# --- pages -----------------------------------------------------------------------------------------------------------


def streams(service: Service) -> Page:
    """Return the JSON list of all streams that are watched."""
    shard = {"shard": words} if (words := service.config.shard.words) else {}
    return Page(
        "streams",
        lambda: _json_list({**stream_object(row), **shard} for row in service.board.rows(service.clock.now())),
        lambda: (service.board.version, service.expected()),
        # If the clock is set back, a change that is foreseen stays wrong no longer.
        lambda: min(service.board.expires(), service.clock.mono() + _lasting(service)),
    )


def _lasting(service: Service) -> float:
    """Return for how long the list of streams is valid at most, in seconds."""
    return PLAYBACK_SECONDS if service.board.has_playback else FORESIGHT_SECONDS


def targets(service: Service, prefix: str) -> Page:
    """Return the watched streams as Prometheus's http_sd targets; `prefix` stands before every path."""
    shard = service.config.shard
    more = {"__meta_stream_shard": str(shard.index)} if shard.words else {}

    def parts() -> Iterator[str]:
        return _json_list(_target(row, prefix, more) for row in service.board.rows(service.clock.now()))

    return Page("targets", parts, service.expected)


def configuration(service: Service) -> Page:
    """Return the configuration in force as YAML, without secrets."""
    return Page("configuration", lambda: redacted_slices(service.config))


def status_page(service: Service, chosen: status.Filter, site: status.Site, *, ready: bool) -> Page:
    """Return the status page, filtered."""

    def parts() -> Iterator[str]:
        known = status.Snapshot(
            service.board,
            service.counters,
            tuple(service.prober.present()),
            service.clock.now(),
            started=service.started,
            site=site,
            ready=ready,
            reload_ok=service.source.reload_ok,
            store=service.source.store(),
            events=True,
            shard=service.config.shard.words,
        )
        yield from status.slices(known, chosen)

    return Page(("status", chosen, ready), parts, service.version, lambda: service.clock.mono() + STATUS_SECONDS)


def exposition(service: Service, prober: AccountProber | None, names: Names, *, openmetrics: bool) -> Page:
    """Return the families of these names, of one account or of all."""
    return Page(
        ("exposition", None if prober is None else prober.account.name, names, openmetrics),
        lambda: part(service, prober, None, names, openmetrics=openmetrics),
        service.version,
        lambda: service.clock.mono() + EXPOSITION_SECONDS,
    )


def part(
    service: Service, prober: AccountProber | None, record: Record | None, names: Names, *, openmetrics: bool
) -> Iterator[bytes]:
    """Yield the families of these names, of all accounts, of one, or of one stream of it, in slices."""
    scope = None
    if prober is not None:
        provider = prober.provider.name
        keys = [(provider, stream.name) for stream in prober.streams] if record is None else [record.key]
        scope = Scope(prober.names, tuple(keys))
    return service.exposition.render(service.clock.now(), openmetrics, scope, names)
