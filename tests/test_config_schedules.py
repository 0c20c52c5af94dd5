"""`expected`, `time_intervals` and `maintenance`: who follows what, what is doubtful, and where zones come from."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from exporter.config import Config, ConfigErrors, load, redacted_slices
from exporter.config.zones import LOCAL_FILE, UnknownZone, zone
from exporter.providers import all_providers
from exporter.schedule import Schedule
from tests.cost import ratio

HEAD = """\
accounts:
  - {name: t, provider: tencent, secret_id: i, secret_key: k}
  - {name: z, provider: zego, app_id: 1, server_secret: s}
"""
INTERVALS = """\
time_intervals:
  - {name: office, time_intervals: [{weekdays: ["monday:friday"], location: Europe/Berlin}]}
  - {name: shows, time_intervals: [{weekdays: [sunday], times: [{start_time: "20:00", end_time: "24:00"}]}]}
"""
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()
SUNDAY_EVENING = datetime(2026, 11, 29, 21, tzinfo=UTC).timestamp()
TOMORROW = '{start: "2026-11-27T00:00:00Z", end: "2026-11-28T00:00:00Z"'


def config(text: str, now: float = NOW) -> Config:
    """Load a configuration that has an account at each of two clouds."""
    return load(Path("c.yml"), all_providers(), {}, lambda _path: (HEAD + text).encode(), now=now)


def errors(text: str) -> list[str]:
    """Return the errors of a configuration."""
    with pytest.raises(ConfigErrors) as caught:
        config(text)
    return [str(problem) for problem in caught.value.problems]


def warnings(text: str, now: float = NOW) -> list[str]:
    """Return its warnings, without the file and what they say of accounts."""
    told = (str(problem).removeprefix("c.yml:") for problem in config(text, now).warnings)
    return [one for one in told if "through this account" not in one]


def schedules(loaded: Config) -> dict[str, Schedule]:
    """Return each stream's schedule, by its name."""
    made = loaded.expectations
    return {one.name: made.at(NOW).of((loaded.provider_of(one), one.name)).schedule for one in loaded.streams}


# --- who follows what -------------------------------------------------------------------------------------------------


def test_a_stream_follows_its_own_word_else_that_for_all() -> None:
    """`expected` stands at a stream, at the short form, or at the top; without any, a stream is expected always."""
    streams = """\
streams:
  - {name: a, account: z}
  - {name: b, account: z, expected: always}
  - {names: [c, d], account: z, expected: [shows, office]}
  - {name: e, account: z, expected: never}
"""
    followed = {name: one.names for name, one in schedules(config(f"expected: office\n{INTERVALS}{streams}")).items()}
    assert followed == {
        "a": ("office",), "b": ("always",), "c": ("shows", "office"), "d": ("shows", "office"), "e": ("never",),
    }  # fmt: skip
    assert schedules(config("streams: [{name: a, account: z}]"))["a"].names == ("always",)


def test_several_names_are_expected_while_any_holds() -> None:
    """Names add up: a stream of two time intervals is expected in both."""
    loaded = schedules(config(f"{INTERVALS}streams: [{{name: a, account: z, expected: [shows, office]}}]"))
    assert [loaded["a"].expects(at) for at in (NOW, SUNDAY_EVENING, SUNDAY_EVENING - 7200)] == [True, True, False]


def test_streams_that_follow_the_same_share_one_schedule() -> None:
    """However many streams there are, a schedule is decided once: that is what makes it cheap."""
    streams = "".join(f"  - {{name: s{n}, account: z, expected: {('office', 'shows')[n % 2]}}}\n" for n in range(100))
    assert len(config(f"{INTERVALS}streams:\n{streams}").expectations.schedules) == 2


@pytest.mark.parametrize(
    ("match", "matched"),
    [
        ("{}", "abcd"),
        ("{provider: zego}", "ab"),
        ("{account: t}", "cd"),
        ("{stream: a}", "ac"),
        ("{stream: a, provider: tencent}", "c"),
        ("{team: esports}", "ad"),
        ("{team: esports, tier: gold}", "a"),
        ('{team: ""}', "bc"),
        ('{team: "", tier: ""}', "bc"),
        ('{tier: ""}', "bcd"),
        ("{team: esports, account: z}", "a"),
    ],
)
def test_maintenance_is_for_those_with_all_its_labels(match: str, matched: str) -> None:
    """Provider, account, stream and own labels are compared; a label that a stream lacks is empty."""
    streams = """\
streams:
  - {name: a, account: z, labels: {team: esports, tier: gold}}
  - {name: b, account: z, labels: {other: x}}
  - {name: a, account: t, domain: d}
  - {name: d, account: t, domain: d, labels: {team: esports}}
"""
    loaded = config(f"{streams}maintenance: [{TOMORROW}, match: {match}, comment: encoders}}]")
    letters = dict(zip((("zego", "a"), ("zego", "b"), ("tencent", "a"), ("tencent", "d")), "abcd", strict=True))
    verdicts = loaded.expectations.at(NOW + 86_400)
    assert "".join(letter for key, letter in letters.items() if not verdicts.of(key).expected) == matched
    of_them = {window.comment for key in letters if (window := verdicts.of(key).maintenance)}
    assert of_them == {"encoders"}
    assert all(loaded.expectations.at(NOW).of(key).expected for key in letters)


def test_a_thousand_windows_for_ten_thousand_streams_load_in_a_moment() -> None:
    """A change calendar that names streams one by one costs no time for each pair of them."""
    streams = "".join(f"      - s{n}\n" for n in range(10_000))
    opened = "".join(f"  - {TOMORROW}, match: {{stream: s{n}, provider: zego}}}}\n" for n in range(1000))
    plain = f"streams:\n  - account: z\n    names:\n{streams}"
    opens = f"{plain}maintenance:\n{opened}"
    assert len(config(opens).expectations.schedules) == 1001
    assert ratio(lambda: config(opens), lambda: config(plain), 8) < 8


def test_tables_say_it_too(tmp_path: Path) -> None:
    """In CSV blanks stand between names; an unknown one is told with its line and column."""
    (tmp_path / "c.yml").write_text(f"{HEAD}{INTERVALS}stream_files: [s.csv]")
    table = tmp_path / "s.csv"
    table.write_text("name,account,expected\na,z,office shows\nb,z,\nc,z,never\n")
    followed = {name: one.names for name, one in schedules(load(tmp_path / "c.yml", all_providers(), {})).items()}
    assert followed == {"a": ("office", "shows"), "b": ("always",), "c": ("never",)}
    table.write_text("name,account,expected\na,z,office show\n")
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path / "c.yml", all_providers(), {})
    (told,) = map(str, caught.value.problems)
    assert told.removeprefix(f"{tmp_path}/") == (
        "s.csv:2:5: [0].expected[1]: no time interval has this name; the intervals are office, shows; "
        "did you mean 'shows'?"
    )


def test_the_configuration_is_shown_as_it_counts() -> None:
    """`/config` shows schedules and maintenance, and reading what it shows gives the same."""
    text = (
        f"expected: [office, shows]\n{INTERVALS}maintenance: [{TOMORROW}, match: {{provider: zego}}, comment: new}}]\n"
    )
    loaded = config(f"{text}streams: [{{name: a, account: z, expected: never}}, {{name: b, account: z}}]")
    shown = yaml.safe_load("".join(redacted_slices(loaded)))
    assert {key: shown[key] for key in ("expected", "time_intervals", "maintenance")} == yaml.safe_load(text)
    assert [one.get("expected") for one in shown["streams"]] == [["never"], None]
    assert yaml.safe_load("".join(redacted_slices(config("streams: []"))))["expected"] == "always"


# --- doubts -----------------------------------------------------------------------------------------------------------


ONE = "streams: [{name: a, account: z, labels: {team: x}}]\n"
OLD = """\
time_intervals:
  - {name: old, time_intervals: [{years: ["2020:2025"]}, {years: [2026], months: [11]}, {years: [2026], months: [10]}]}
streams: [{name: a, account: z, expected: old}]
"""
DOUBTS = {
    f"{INTERVALS}expected: office\n{ONE}": ["6:12: time_intervals[1].name: no stream follows this time interval"],
    f"{INTERVALS}expected: office\nstreams: [{{name: a, account: z, expected: shows}}]": [
        "5:12: time_intervals[0].name: no stream follows this time interval"
    ],
    f"{ONE}maintenance:\n- {TOMORROW}, match: {{stream: b}}}}\n- {TOMORROW}, match: {{team: 'x.*'}}}}": [
        "6:71: maintenance[0].match: no stream has these labels; values are compared as they are",
        "7:71: maintenance[1].match: no stream has these labels; values are compared as they are",
    ],
    f"{ONE}maintenance:\n- {TOMORROW}, match: {{taem: x}}}}": [
        "6:72: maintenance[0].match.taem: no stream has this label; did you mean 'team'?"
    ],
    f"{ONE}maintenance:\n- {TOMORROW}, match: {{stream: a}}}}\n- {TOMORROW}, match: {{}}}}": [],
    OLD: [
        "5:42: time_intervals[0].time_intervals[0].years: is over: this interval does not come again",
        "5:97: time_intervals[0].time_intervals[2].years: is over: this interval does not come again",
    ],
}


@pytest.mark.parametrize("text", DOUBTS)
def test_what_is_likely_not_meant(text: str) -> None:
    """What no stream follows, what matches none, and what is over is warned about; windows may overlap."""
    assert warnings(text) == DOUBTS[text]


def test_what_is_over_depends_on_the_time() -> None:
    """Maintenance that is over can go; none is over before its end, nor where no time is known."""
    text = f"streams: [{{name: a, account: z}}]\nmaintenance: [{TOMORROW}, match: {{}}}}]"
    end = datetime(2026, 11, 28, tzinfo=UTC).timestamp()
    assert [warnings(text, now) for now in (NOW, end - 1, 0.0)] == [[], [], []]
    assert warnings(text, end) == ["5:15: maintenance[0]: is over; it can go"]


def test_many_names_are_not_all_repeated() -> None:
    """An unknown name is told with a few of those that there are, and the likely one."""
    named = "".join(f"  - {{name: week-{n}, time_intervals: [{{months: [may]}}]}}\n" for n in range(20))
    (told,) = errors(f"time_intervals:\n{named}streams: [{{name: a, account: z, expected: weak-12}}]")
    assert told == (
        "c.yml:25:43: streams[0].expected: no time interval has this name; the intervals are week-0, week-1, week-2, "
        "week-3, week-4, week-5, week-6, week-7 and 12 more; did you mean 'week-12'?"
    )


def test_a_name_may_not_carry_a_credential() -> None:
    """What is written in the wrong place is not repeated."""
    secret = "txSecret=0123456789abcdef0123456789abcdef"
    told = errors(
        f"time_intervals: [{{name: '{secret}', time_intervals: [{{months: [may]}}]}}]\n"
        f"streams: [{{name: a, account: z, expected: '{secret}'}}, {{name: b, account: z, expected: nights}}]\n"
        f"maintenance: [{TOMORROW}, match: {{team: '{secret}'}}, comment: '{secret}'}}]"
    )
    assert len(told) == 5
    assert "0123456789abcdef" not in "".join(told)


# --- time zones -------------------------------------------------------------------------------------------------------


def no_file(path: Path) -> bytes:
    """Have no file."""
    raise FileNotFoundError(2, "No such file or directory", str(path))


def berlin(path: Path) -> bytes:
    """Have Berlin's zone file in one place."""
    assert path in (LOCAL_FILE, Path("/zones/here"))
    for folder in ("/usr/share/zoneinfo", *sys.path):
        for file in (Path(folder) / "Europe/Berlin", Path(folder) / "tzdata/zoneinfo/Europe/Berlin"):
            if file.is_file():
                return file.read_bytes()
    raise AssertionError("no zone file on this machine")


@pytest.mark.parametrize(
    ("environ", "read", "hours"),
    [
        ({}, berlin, 1),
        ({}, no_file, 0),
        ({}, lambda _path: b"not a zone", 0),
        ({"TZ": ""}, berlin, 0),
        ({"TZ": "Asia/Shanghai"}, berlin, 8),
        ({"TZ": ":Asia/Shanghai"}, berlin, 8),
        ({"TZ": "/zones/here"}, berlin, 1),
        ({"TZ": ":/zones/here"}, berlin, 1),
        ({"TZ": "Nowhere"}, berlin, 0),
    ],
)
def test_local_is_the_zone_of_the_machine(environ: dict[str, str], read: Any, hours: int) -> None:
    """As in Alertmanager: TZ by name or file, else /etc/localtime, else UTC."""
    found = zone("Local", environ, read)
    offset = datetime.fromtimestamp(NOW, found).utcoffset()
    assert offset is not None
    assert offset.total_seconds() == hours * 3600


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Europe/Belrin", "Europe/Berlin"), ("Berlin", "Europe/Berlin"), ("shanghai", "Asia/Shanghai"),
        ("UTC+8", "Etc/GMT-8"), ("GMT-05:00", "Etc/GMT+5"), ("+01", "Etc/GMT-1"), ("Nowhereland", ""), ("America", ""),
        ("../etc/passwd", ""), ("/etc/localtime", ""), ("UTC+99", ""), ("x" * 5000, ""),
        ("Europe/Berl\0in", "Europe/Berlin"),
    ],
)  # fmt: skip
def test_an_unknown_zone_is_told_with_the_likely_one(name: str, meant: str) -> None:
    """By spelling, by city, or by offset; nothing but names is read."""
    with pytest.raises(UnknownZone) as caught:
        zone(name, {}, no_file)
    hint = f"; did you mean '{meant}'?" if meant else ""
    assert str(caught.value) == f"is not a time zone of the IANA database, such as Asia/Shanghai{hint}"


def test_zones_come_from_the_package_where_the_system_has_none() -> None:
    """On a system without zone files, such as a slim container, schedules hold all the same."""
    lines = [
        "import sys, zoneinfo",
        "assert zoneinfo.TZPATH == ()",
        "from pathlib import Path",
        "from exporter.config.zones import zone",
        "print(zone('Europe/Berlin', {}, Path.read_bytes), zone('Asia/Shanghai', {}, Path.read_bytes))",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], env={"PYTHONTZPATH": ""}, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("Europe/Berlin Asia/Shanghai\n", "")


def test_a_zone_is_utc_unless_one_is_named() -> None:
    """As in Alertmanager, times are UTC without a location."""
    loaded = schedules(config(f"{INTERVALS}streams: [{{name: a, account: z, expected: [shows, office]}}]"))
    assert [one.zone for one in loaded["a"].intervals or ()] == [UTC, ZoneInfo("Europe/Berlin")]
    assert loaded["a"].zone is UTC
