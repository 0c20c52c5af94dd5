"""The panels about the last 30 days, by the recording rules: unknown and unexpected time is neither live nor down."""

from grafana import look
from grafana.look import Column, number, rows
from grafana.promql import ONE_RECORDED, RECORDED, watched, with_account

UNKNOWN = "provider_stream_state:stream_state:avg1h"
"""Of each hour the part in which no exporter knew the state: of all states, only the unknown one is recorded."""
GRADES = [(0.99, look.ORANGE), (0.999, look.GREEN)]
NO_RULES = "needs the recording rules"
NOT_YET = "never expected, or no recording rules"
TOLD = (
    "Live part of the last 30 days in which the stream was expected and its state known, whatever the time range; "
    "other time counts neither way, so read it with the known share."
)
SEEN = (
    "Days out of the last 30 of which Prometheus has anything. Fewer than 30: its retention is shorter (15 days, "
    "unless `--storage.tsdb.retention.time` says more), the stream is newer, or the exporter was not seen."
)


def month(function: str, recorded: str, selector: str, how: str = "sum") -> str:
    """Return a value of each stream over the hours of 30 days."""
    return f"{how} by (provider, stream) ({function}_over_time({recorded}{{{selector}}}[30d]))"


def available(selector: str) -> str:
    """Return the live share of the expected and known time of each stream, as the rules record it."""
    return f"avg by (provider, stream) (provider_stream:stream_active:avg30d{{{selector}}})"


def known(selector: str) -> str:
    """Return the part of the time in which the state of each stream was known."""
    return f"1 - {month('avg', UNKNOWN, selector, 'min')}"


def days(selector: str) -> str:
    """Return the days in which each stream was seen at all."""
    return f"{month('count', UNKNOWN, selector, 'max')} / 24"


def _fleet(part: str, whole: str) -> str:
    return f"sum({watched(part)}) / sum({watched(whole)})"


LIVE = _fleet(
    month("sum", "provider_stream:stream_active:sum1h", RECORDED),
    month("sum", "provider_stream:stream_active:count1h", RECORDED),
)


def figures(available: str, known: str, days: str) -> list[look.Panel]:
    """Return the three figures that only together say something."""
    return [
        number(
            "Available, 30 days",
            TOLD,
            {"available": available},
            unit="percentunit",
            size=(8, 4),
            steps=GRADES,
            base=look.RED,
            decimals=3,
            empty=NOT_YET,
        ),
        number(
            "Known, 30 days",
            "Part of the days counted in which the state was known, expected or not. Its rest is in no availability.",
            {"known": known},
            unit="percentunit",
            size=(8, 4),
            steps=[(0.95, look.GREEN)],
            base=look.GREY,
            decimals=2,
            empty="after the first hour",
        ),
        number(
            "Days counted, of 30", SEEN, {"days": days}, unit="d", size=(8, 4), decimals=1, empty="after the first hour"
        ),
    ]


OF_ONE = figures(f"max({available(ONE_RECORDED)})", f"max({known(ONE_RECORDED)})", f"max({days(ONE_RECORDED)})")
OF_FLEET = [
    *figures(
        f"{LIVE} or avg({watched(available(RECORDED))})",
        f"1 - {_fleet(month('sum', UNKNOWN, RECORDED), month('count', UNKNOWN, RECORDED))}",
        f"max({watched(days(RECORDED))})",
    ),
    rows(
        "Availability by stream, 30 days",
        f"{TOLD} {SEEN}",
        {
            "Available": with_account(available(RECORDED)),
            "Known": with_account(f"({known(RECORDED)})"),
            "Days counted": with_account(f"({days(RECORDED)})"),
        },
        [
            look.STREAM_CELL,
            look.ACCOUNT_CELL,
            Column("Available", unit="percentunit", steps=[(0, look.RED), *GRADES], decimals=3, empty="never expected"),
            Column("Known", unit="percentunit", decimals=2, empty="after the first hour"),
            Column("Days counted", unit="d", decimals=1, empty="after the first hour"),
        ],
        size=(24, 9),
        sort=("Available", False),
        empty=NO_RULES,
    ),
]
