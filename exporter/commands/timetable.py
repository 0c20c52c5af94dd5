"""What `check` says of schedules: what each expects now, and its next changes in its own time zone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from exporter.config import Config
from exporter.providers.reading import printable
from exporter.schedule import ALWAYS, Schedule

MOST_CHANGES: Final = 3
HEAD: Final = ("schedule", "streams", "expected", "next change", "then", "then")


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a schedule expects now, and its next changes: when in its own time zone, and what it expects from then."""

    schedule: Schedule
    streams: int
    expected: bool
    changes: Sequence[tuple[datetime, bool]]


def outlooks(config: Config, now: float) -> list[Outlook]:
    """Return the outlook of each distinct schedule at a time in Unix seconds."""
    expectations = config.expectations
    keys = ((config.provider_of(stream), stream.name) for stream in config.streams)
    streams = Counter(expectations.numbers.get(key, 0) for key in keys)
    return [
        Outlook(one, streams[number], one.expects(now), list(islice(_changes(one, now), MOST_CHANGES)))
        for number, one in enumerate(expectations.schedules)
        if streams[number]
    ]


def _changes(schedule: Schedule, now: float) -> Iterator[tuple[datetime, bool]]:
    at = schedule.next_change(now)
    while at is not None:
        yield datetime.fromtimestamp(at, schedule.zone), schedule.expects(at)
        at = schedule.next_change(at)


def rows(found: Sequence[Outlook]) -> list[list[str]]:
    """Return the outlooks as the rows of a table; none where all streams are always expected."""
    if all(one.schedule == ALWAYS for one in found):
        return []
    return [[_name(one.schedule), f"{one.streams:,}", _word(one.expected), *_cells(one)] for one in found]


def _name(schedule: Schedule) -> str:
    maintenance = " (maintenance)" if schedule.windows else ""
    return ", ".join(printable(name, 64) for name in schedule.names) + maintenance


def _word(expected: bool) -> str:
    return "yes" if expected else "no"


def _cells(one: Outlook) -> list[str]:
    cells = [f"{_word(expected)}: {_time(at)}" for at, expected in one.changes] or ["none"]
    return cells + [""] * (MOST_CHANGES - len(cells))


def _time(at: datetime) -> str:
    seconds = ":%S" if at.second else ""
    return at.strftime(f"%a %Y-%m-%d %H:%M{seconds} %Z")


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def objects(found: Sequence[Outlook]) -> list[dict[str, Any]]:
    """Return the outlooks for `--output json`; times are RFC 3339."""
    return [
        {
            "schedule": list(one.schedule.names),
            "maintenance": [
                {"start": _utc(window.start), "end": _utc(window.end), "comment": window.comment}
                for window in one.schedule.windows
            ],
            "time_zone": str(one.schedule.zone),
            "streams": one.streams,
            "expected": one.expected,
            "changes": [{"at": at.isoformat(), "expected": expected} for at, expected in one.changes],
        }
        for one in found
    ]
