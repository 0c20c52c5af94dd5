"""States, faults and times in words, taken from the catalogue of codes where it has an entry."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Final, NamedTuple

from exporter.fields import format_duration
from exporter.model import Answer, Fault, State
from exporter.providers import codes

STATES: Final = {
    State.INACTIVE: "Down",
    State.UNKNOWN: "Unknown",
    State.FORBIDDEN: "Forbidden",
    State.NOT_FOUND: "Not found",
    State.ACTIVE: "Live",
}
"""The word for each state, the worst first."""

LEGEND: Final = {
    State.INACTIVE: "The provider says that nobody pushes the stream.",
    State.UNKNOWN: "Nobody knows: the last attempt failed, or the last answer is too old. The stream may well be live.",
    State.FORBIDDEN: "The provider says that pushing the stream is forbidden.",
    State.NOT_FOUND: "The provider says that it knows no such stream.",
    State.ACTIVE: "The provider says that the stream is being pushed.",
}

SORTS: Final = {"state": "State", "name": "Name", "provider": "Provider", "since": "Last change"}
SORTED: Final = {
    "state": ("the worst first, then the latest change", "the best first, then the earliest change"),
    "name": ("by name", "by name, backwards"),
    "provider": ("by provider and account", "by provider and account, backwards"),
    "since": ("the latest change first", "the earliest change first"),
}
"""How streams are sorted, and how in reverse."""

UNPROBED: Final = {
    "quota": "the quota had no calls left. Raise `quota_share` or `quota`, or the scrape timeout.",
    "deadline": "the deadline came first. Raise the scrape timeout or the account's `concurrency`.",
    "breaker": "the breaker holds calls back until a trial call is answered.",
}


class Wording(NamedTuple):
    """What something means and what to do about it, if anything; code is in backticks."""

    meaning: str
    advice: str = ""


def of_state(provider: str, state: State, code: str) -> Wording:
    """Explain a definite answer by its code, else by its state."""
    entry = codes.of_state(provider, state, code)
    return Wording(LEGEND[state]) if entry is None else _wording(entry)


def of_fault(provider: str, fault: Fault) -> Wording:
    """Explain a failed attempt."""
    return _wording(codes.of_fault(provider, fault.code, str(fault.reason)))


def _wording(entry: codes.Entry) -> Wording:
    return Wording(entry.meaning, "" if entry.advice == "Nothing to do." else entry.advice)


def of_delay(answer: Answer | None, max_age: float) -> Wording:
    """Explain why a stream is unknown although no attempt failed: its turn has not come."""
    if answer is None:
        return Wording("Its turn has not come yet.", "It is asked when Prometheus scrapes.")
    return Wording(
        f"The last answer ({STATES[answer.state].lower()}) is older than {format_duration(max_age)}; "
        "its turn has not come since.",
        "See whether Prometheus still scrapes, and what the account's quota leaves unasked (Accounts).",
    )


def verdict(counts: Counter[State]) -> str:
    """Summarise what is not live: `2 down, 1 unknown`."""
    total, live = counts.total(), counts[State.ACTIVE]
    if not total:
        return "No streams"
    if live == total:
        return "The stream is live" if total == 1 else f"All {total:,} streams are live"
    return ", ".join(by_state(counts)[: -1 if live else None])


def by_state(counts: Counter[State]) -> list[str]:
    """Return how many streams are in each state, the worst first: `2 down`."""
    return [f"{counts[state]:,} {word.lower()}" for state, word in STATES.items() if counts[state]]


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: `1 stream`, `2,000 streams`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def iso(seconds: float) -> str:
    """Format Unix seconds in ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc(seconds: float, now: float | None = None) -> str:
    """Format Unix seconds for people, without the date if it is today's."""
    today = now is not None and seconds // 86400 == now // 86400
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S UTC" if today else "%Y-%m-%d %H:%M:%S UTC")


def ago(seconds: float) -> str:
    """Format a duration in its one or two largest units: `42 s`, `5 min`, `3 h 20 min`, `2 d 4 h`."""
    whole = max(0, int(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 60:
        return f"{whole} s"
    if hours < 1:
        return f"{minutes} min"
    if days < 2:
        return f"{hours} h {minutes % 60} min"
    return f"{days} d {hours % 24} h"
