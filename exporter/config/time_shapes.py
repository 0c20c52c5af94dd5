"""Time intervals and maintenance as the configuration writes them; time intervals are in Alertmanager's format.

The format: https://prometheus.io/docs/alerting/latest/configuration/#time_interval
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from exporter.fields import Expected, LabelName, LabelValue, Shape, Text
from exporter.schedule.intervals import Range

WEEKDAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
SHORTEST_MONTH: Final = 28

EXPECTED: Final = "when streams should be live: always, never, or names of time_intervals, one of which has to hold"

A_WEEKDAY: Final = "the name of a day, such as monday"
A_DAY: Final = "a day of the month, such as 1, or a range such as 1:5"
A_MONTH: Final = "a month, such as may or 5"
A_YEAR: Final = "a year, such as 2026, or a range such as 2026:2028"

_NUMBER = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?P<offset>[Zz]|[+-]\d\d:\d\d)?", re.ASCII)


# --- ranges ----------------------------------------------------------------------------------------------------------


def _ranges(
    member: Callable[[str], int], check: Callable[[int, int], str], wanted: str, *, numbers: bool = True
) -> BeforeValidator:
    """Return what reads `first:last` or a single member; `numbers` may stand without quotes."""

    def read(value: Any) -> Range:
        if isinstance(value, bool) or not isinstance(value, (str, int) if numbers else str):
            raise ValueError(f"is not {wanted}")
        members = [member(each) for each in str(value).lower().split(":")]
        if len(members) > 2:
            raise ValueError("has more than one colon; a range is FIRST:LAST")
        first, last = members[0], members[-1]
        if problem := check(first, last):
            raise ValueError(problem)
        return first, last

    return BeforeValidator(read)


def _named(names: tuple[str, ...], start: int, wanted: str) -> Callable[[str], int]:
    def member(text: str) -> int:
        if text in names:
            return names.index(text) + start
        alike = [name for name in names if len(text) >= 3 and name.startswith(text[:3])]
        hint = f"; did you mean '{alike[0]}'?" if alike else ""
        raise ValueError(f"is not {wanted}" + ("; a range has a colon" if "-" in text else hint))

    return member


def _number(wanted: str) -> Callable[[str], int]:
    def member(text: str) -> int:
        if not _NUMBER.fullmatch(text):
            raise ValueError(f"is not {wanted}")
        return int(text)

    return member


def _month(text: str) -> int:
    return int(text) if _NUMBER.fullmatch(text) else _named(MONTHS, 1, A_MONTH)(text)


def _check_days(first: int, last: int) -> str:
    if not all(1 <= abs(day) <= 31 for day in (first, last)):
        return "is not a day of the month; these are 1 to 31, and -1 to -31 from the month's end"
    if first < 0 < last:
        return "begins from the month's end and does not end from there; write two ranges"
    least = [day if day > 0 else SHORTEST_MONTH + day for day in (first, last)]
    return "ends before it begins, at least in a month of 28 days" if least[0] > least[1] else ""


def _check_months(first: int, last: int) -> str:
    if not all(1 <= month <= 12 for month in (first, last)):
        return "is not a month; these are 1 to 12, or january to december"
    return "ends before it begins; write two ranges, such as november:december and january" if first > last else ""


def _check_years(first: int, last: int) -> str:
    if not all(1 <= year <= 9999 for year in (first, last)):
        return "is not a year of four digits"
    return "ends before it begins" if first > last else ""


def _pattern(member: str, *, numbers: bool = True) -> WithJsonSchema:
    text = {"type": "string", "pattern": f"^({member})(:({member}))?$"}
    return WithJsonSchema({"anyOf": [text, {"type": "integer"}]} if numbers else text)


def _any_case(names: tuple[str, ...]) -> str:
    return "|".join("".join(f"[{sign.upper()}{sign}]" for sign in name) for name in names)


_DIGITS = "[+-]?[0-9]{1,9}"
Weekdays = Annotated[
    Range,
    _ranges(_named(WEEKDAYS, 0, A_WEEKDAY), lambda _first, _last: "", A_WEEKDAY, numbers=False),
    _pattern(_any_case(WEEKDAYS), numbers=False),
]
Days = Annotated[Range, _ranges(_number(A_DAY), _check_days, A_DAY), _pattern(_DIGITS)]
Months = Annotated[Range, _ranges(_month, _check_months, A_MONTH), _pattern(f"{_any_case(MONTHS)}|{_DIGITS}")]
Years = Annotated[Range, _ranges(_number(A_YEAR), _check_years, A_YEAR), _pattern(_DIGITS)]


# --- times -----------------------------------------------------------------------------------------------------------


def _minute(value: Any) -> int:
    """Return the minutes since midnight of a time such as `09:00`."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise ValueError('is a number to YAML; quote it, like "17:00"')
    found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("is not a time from 00:00 to 24:00, written with two digits each")
    return int(found[1]) * 60 + int(found[2]) if found[1] else 24 * 60


def _instant(value: Any) -> float:
    """Return the Unix seconds of a time in RFC 3339."""
    found = _INSTANT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("is not a time in RFC 3339, such as 2026-12-01T22:00:00Z")
    if not found["offset"]:
        raise ValueError("lacks its offset from UTC; end it with Z, or such as +08:00")
    try:
        return datetime.fromisoformat(found[0].upper()).timestamp()
    except ValueError:
        raise ValueError("is a time that no calendar has") from None


Minute = Annotated[
    int, BeforeValidator(_minute), WithJsonSchema({"type": "string", "pattern": f"^({_CLOCK.pattern})$"})
]
Instant = Annotated[float, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]


class ExpectedShape(Shape):
    """The default of all streams."""

    expected: Expected = Field(["always"], description=EXPECTED)


class TimesShape(Shape):
    """A span of the day."""

    start_time: Minute = Field(description="first minute, such as 09:00")
    end_time: Minute = Field(description="where it ends, not part of it; 24:00 is the end of the day")

    @model_validator(mode="after")
    def _in_order(self) -> TimesShape:
        if self.start_time >= self.end_time:
            raise ValueError(
                "ends before it begins; a span over midnight is two: one to 24:00, one from 00:00 on the next day"
                if self.start_time > self.end_time
                else "ends when it begins"
            )
        return self


def _some(description: str) -> Any:
    return Field(default_factory=list, min_length=1, description=description)


class IntervalShape(Shape):
    """One time interval: all that is given has to hold."""

    times: list[TimesShape] = _some("spans of the day")
    weekdays: list[Weekdays] = _some("days or ranges such as monday:friday")
    days_of_month: list[Days] = _some("days or ranges; -1 is the last day")
    months: list[Months] = _some("names, numbers or ranges")
    years: list[Years] = _some("years or ranges")
    location: Text = Field("UTC", description="time zone of the IANA database, or Local for that of the machine")

    @model_validator(mode="after")
    def _says_when(self) -> IntervalShape:
        if not self.model_fields_set - {"location"}:
            raise ValueError("says nothing of when, so it would hold always; to mean that, use expected: always")
        return self


class NamedShape(Shape):
    """Time intervals under a name."""

    name: Text = Field(description="what `expected` calls it")
    time_intervals: list[IntervalShape] = Field(min_length=1, description="it holds while one of these does")


class WindowShape(Shape):
    """A span of maintenance."""

    start: Instant = Field(description="when it begins, in RFC 3339 with an offset")
    end: Instant = Field(description="when it ends")
    match: dict[LabelName, LabelValue] = Field(
        description="labels that a stream must have, by equality: provider, account, stream and those of `labels`"
    )
    comment: Text = Field(default_factory=str, description="what is done")

    @model_validator(mode="after")
    def _in_order(self) -> WindowShape:
        if self.start >= self.end:
            raise ValueError("ends before it begins" if self.start > self.end else "ends when it begins")
        return self
