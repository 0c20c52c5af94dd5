"""States, faults and times in words, taken from the catalogue of codes where it has an entry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

from exporter.fields import format_duration
from exporter.model import Answer, Fault, Figures, State
from exporter.providers import codes
from exporter.state.playback import PlaybackCheck, down_at
from exporter.state.record import Row
from exporter.status.standing import Standing

STATES: Final[Mapping[str, str]] = {
    Standing.INACTIVE: "Down",
    Standing.UNKNOWN: "Unknown",
    Standing.FORBIDDEN: "Forbidden",
    Standing.NOT_FOUND: "Not found",
    Standing.DEGRADED: "Degraded",
    Standing.ACTIVE: "Live",
    Standing.OFF_AIR: "Off air",
}
"""The word for each standing, the worst first."""

LEGEND: Final[Mapping[str, str]] = {
    Standing.INACTIVE: "The provider says that nobody pushes the stream.",
    Standing.UNKNOWN: "Nobody knows: the last attempt failed, or the last answer is too old. It may well be live.",
    Standing.FORBIDDEN: "The provider says that pushing the stream is forbidden.",
    Standing.NOT_FOUND: "The provider says that it knows no such stream.",
    Standing.DEGRADED: "The stream is live, but inputs or media are missing, nothing arrives, or viewers get nothing.",
    Standing.ACTIVE: "The provider says that the stream is being pushed.",
    Standing.OFF_AIR: "The stream is not live, and nobody expects it to be.",
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

UNCHECKED: Final = "not checked lately"
"""Why nobody knows of an address, where no check of it counts any more."""


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


def of_lack(row: Row) -> Wording:
    """Say what a degraded stream lacks, the worst first."""
    found = [(_LACKS.get(word) or Wording(f"{word.replace('_', ' ')} is missing", _PUBLISH)) for word in lacks(row)]
    inputs = row.answer.inputs if row.answer is not None else None
    down = ", ".join(down_at(row.playback))
    told = {"have": len(inputs or ()), "want": row.stream.expected_inputs, "down": down}
    meaning = " and ".join(one.meaning.format(**told) for one in found)
    return Wording(f"Live, but {meaning}.", found[0].advice)


def lacks(row: Row) -> list[str]:
    """Return what a live stream lacks, as `Row.degraded` says, the worst first: nothing arrives or goes out."""
    return sorted(row.degraded, key=lambda word: (word != "stalled", word != "playback", word == "inputs"))


_PUBLISH: Final = "Publish it; if it need not be there, take it out of `media_expected`."
_LACKS: Final = {
    "stalled": Wording("nothing arrives", "See whether the encoder still sends, and its uplink."),
    "playback": Wording(
        "viewers get nothing at address {down}",
        "Look between the cloud and viewers, or at the address: what came back stands below.",
    ),
    "inputs": Wording("only {have} of {want} inputs are there", "Restore the other: until then nothing takes over."),
}


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


def by_state(counts: Counter[Standing]) -> list[str]:
    """Return how many streams have each standing, the worst first: `2 down`."""
    return [f"{counts[one]:,} {STATES[one].lower()}" for one in Standing if counts[one]]


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


def coming(seconds: float, now: float) -> str:
    """Format a time that is to come, in Unix seconds: with its weekday, or its date if it is six days away or more."""
    near = seconds - now < 6 * 86400
    return datetime.fromtimestamp(seconds, UTC).strftime("%a %H:%M UTC" if near else "%Y-%m-%d %H:%M UTC")


def of_figures(figures: Figures) -> str:
    """Tell what arrives of a stream, as far as known: `video 2.5 Mbit/s · audio 128 kbit/s · 25 fps · 1280×720`."""
    told = [f"{'' if kind == 'all' else kind + ' '}{_rate(bits)}" for kind, bits in figures.bits]
    if figures.frames is not None:
        told.append(f"{figures.frames:,.4g} fps")
    if figures.width and figures.height:
        told.append(f"{figures.width}×{figures.height}")
    return " · ".join(told)


def of_check(check: PlaybackCheck, now: float) -> str:
    """Tell what a check found, and when: `media 3.1 s old · first byte after 31 ms · checked 5 s ago`."""
    told = [] if check.age is None else [f"media {_seconds(check.age)} old"]
    if check.first_byte is not None:
        told.append(f"first byte after {check.first_byte * 1000:,.0f} ms")
    checked = "never checked" if check.checked is None else f"checked {ago(now - check.checked)} ago"
    return " · ".join([*told, checked])


def _seconds(seconds: float) -> str:
    return f"{round(seconds, 2):.3g} s" if seconds < 600 else ago(seconds)


def _rate(bits: float) -> str:
    return f"{bits / 1e6:,.3g} Mbit/s" if bits >= 999_500 else f"{bits / 1e3:,.3g} kbit/s"
