"""What is known, for people and their programs: streams and calls as JSON objects and as text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from exporter.model import Fault, State
from exporter.providers import codes as catalogue
from exporter.rounds.transcript import Transcript
from exporter.state.board import Record

NO_CALL = (
    "the quota or the deadline left no room, a breaker is open, or the stream was asked for less than a second ago and "
    "there was no time to ask again"
)


def stream_object(record: Record, state: State) -> dict[str, Any]:
    """Return what is known of a stream as a JSON object; times are RFC 3339 in UTC."""
    provider, name = record.key
    return {
        "provider": provider,
        "stream": name,
        "account": record.stream.account,
        "labels": record.stream.labels,
        "state": str(state),
        "active": None if state is State.UNKNOWN else state is State.ACTIVE,
        "since": rfc3339(record.since(state)),
        "last_success": rfc3339(record.answered if record.answer is not None else None),
        "error": None if record.fault is None else error_object(provider, record.fault),
    }


def error_object(provider: str, fault: Fault) -> dict[str, str]:
    """Return a fault for people: what it means and what to do stands in the catalogue."""
    entry = catalogue.of_fault(provider, fault.code, str(fault.reason))
    message = f"{entry.meaning} ({fault.message})" if fault.message else entry.meaning
    return {"code": fault.code, "reason": str(fault.reason), "message": message, "advice": entry.advice,
            "request_id": fault.request_id}  # fmt: skip


def rfc3339(seconds: float | None) -> str | None:
    """Return Unix seconds as `2026-01-02T03:04:05.678Z`."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def transcript(calls: Sequence[Transcript], shown: Sequence[dict[str, Any]], age: float = float("inf")) -> str:
    """Return calls as text, each with what was asked (redacted), what came back and how it was judged; then streams.

    Args:
        calls: The calls, in their order.
        shown: The streams, by `stream_object`.
        age: Seconds since the last attempt, which are told where there was no call.
    """
    parts = [_call_text(number, call) for number, call in enumerate(calls, 1)]
    if not calls:
        last = f" The last attempt was {age * 1000:.0f} ms ago." if age < float("inf") else ""
        parts.append(f"No call was made: {NO_CALL}.{last}\n")
    parts += (f"{one['provider']}/{one['stream']}: {json.dumps(one, ensure_ascii=False, indent=2)}\n" for one in shown)
    return "\n".join(parts)


def _call_text(number: int, call: Transcript) -> str:
    streams = ", ".join(call.streams[:10])
    status_line = "no answer" if call.status is None else f"HTTP {call.status}"
    return (
        f"--- call {number}: {call.action} for {streams}\n{call.asked}\n\n"
        f"--- came back after {call.seconds * 1000:.0f} ms: {status_line}\n{call.body}\n\n"
        f"--- judged: {call.judgement()}\n"
    )
