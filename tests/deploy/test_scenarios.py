"""The situations that the rules are written for, played to the real promtool of both majors."""

import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.fields import parse_duration
from exporter.rules.building import render, scale_duration, scale_expression
from exporter.rules.options import RulesOptions

from .possible import has_result, possible
from .test_rules import PROMETHEUS, groups, promtool, rules
from .tools import accepts, release

SCENARIOS = sorted((PROMETHEUS / "tests").glob("*.yml"))
SCALE = 0.1


def test_lossy_scenario_is_fresh() -> None:
    """The committed losses are the seeded ones, not a lucky draw."""
    generated = accepts(sys.executable, PROMETHEUS / "tests" / "build_lossy.py")
    assert generated == (PROMETHEUS / "tests" / "lossy.yml").read_text(encoding="utf-8")


def raised(test: dict[str, Any]) -> set[str]:
    """Return the names of the alerts that a situation is expected to raise at some time."""
    asked = {check["alertname"] for check in test.get("alert_rule_test", ()) if check["exp_alerts"]}
    samples = (sample for check in test.get("promql_expr_test", ()) for sample in check["exp_samples"])
    return asked.union(*(re.findall(r'alertname="(\w+)"', sample["labels"]) for sample in samples))


def effort(test: dict[str, Any]) -> float:
    """Return how long a situation lasts, times its series: promtool evaluates all of it, every few seconds."""
    checks = [*test.get("alert_rule_test", ()), *test.get("promql_expr_test", ())]
    return max(parse_duration(check["eval_time"]) for check in checks) * len(test["input_series"])


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads what a series is like, such as 0x40, as the text that it is, and not as a number."""


Loader.add_constructor(
    "tag:yaml.org,2002:int", lambda _loader, node: int(node.value) if node.value.isdecimal() else node.value
)


@cache
def situations() -> dict[Path, dict[str, Any]]:
    """Return the scenarios as they are committed."""
    return {path: yaml.load(path.read_bytes(), Loader) for path in SCENARIOS}


@cache
def chosen() -> dict[Path, dict[str, Any]]:
    """Return all of one stream's going down, and for each other alert the cheapest situation that raises it."""
    found = [(path, test) for path, scenario in situations().items() for test in scenario["tests"]]
    kept = [test for path, test in found if path.stem == "down"]
    for _, test in sorted(found, key=lambda each: effort(each[1])):
        if raised(test) - set().union(*map(raised, kept)):
            kept.append(test)
    every = {path: [test for test in scenario["tests"] if test in kept] for path, scenario in situations().items()}
    return {path: situations()[path] | {"tests": tests} for path, tests in every.items() if tests}


def named(test: dict[str, Any]) -> set[str]:
    """Return the names of a situation's series."""
    found = [re.match(r"[\w:]+", each["series"]) for each in test["input_series"]]
    return {match[0] for match in found if match}


def play(promtool: str, scenario: dict[str, Any], folder: Path) -> None:
    """Play each situation to the rules that can have a result in it: promtool takes as long over all the others."""
    files = []
    for number, test in enumerate(scenario["tests"]):
        own, file = folder / f"rules-{number}.json", folder / f"situation-{number}.json"
        own.write_text(json.dumps({"groups": possible(groups(), named(test))}), encoding="utf-8")
        file.write_text(json.dumps(scenario | {"rule_files": [str(own)], "tests": [test]}), encoding="utf-8")
        files.append(file)
    accepts(promtool, "test", "rules", *files)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.stem)
def test_scenario(scenario: Path, tmp_path: Path) -> None:
    """Each situation raises the alarms it should, in time, and no other."""
    play(release("promtool", 2), situations()[scenario], tmp_path)


@pytest.mark.parametrize("scenario", chosen(), ids=lambda path: path.stem)
def test_scenario_of_the_next_major(scenario: Path, tmp_path: Path) -> None:
    """Each alert fires as it should on Prometheus 3, too.

    To Prometheus 2 a sample at the beginning of a range belongs to it, to 3 it does not: that shows wherever an alert
    begins and ends, and where a situation counts, its ranges begin between samples. All else is the same.
    """
    play(release("promtool", 3), chosen()[scenario], tmp_path)


def test_scenarios_are_played_as_they_are_written() -> None:
    """The command that the documentation gives plays the same: to these rules, with no series left out."""
    for scenario in situations().values():
        assert scenario["rule_files"] == ["../rules.yml"]
        assert all(len(named(test)) == len({each["series"].partition("{")[0] for each in test["input_series"]})
                   for test in scenario["tests"])  # fmt: skip
    accepts(release("promtool", 2), "test", "rules", PROMETHEUS / "tests" / "month.yml")


ALL = {name for path in SCENARIOS for test in situations()[path]["tests"] for name in named(test)}


@pytest.mark.parametrize(
    ("expr", "present", "expected"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("1000 * sum by (x) (rate(a[5m]))", "a", True),
        ("1000 * sum by (x) (rate(a[5m]))", "b", False),
        ("a and b", "a", False),
        ("a unless b", "a", True),
        ("a unless b", "b", False),
        ("a > bool b or c", "c", True),
        ("a > bool b or c", "b", False),
        ("absent(a)", "b", True),
        ("absent_over_time(a[5m])", "b", True),
        ("vector(1)", "b", True),
        ("vector(scalar(a))", "b", True),
        ("-(topk(3, max_over_time(a[1h:1m])))", "a", True),
        ("-(topk(3, max_over_time(a[1h:1m])))", "b", False),
        ('{__name__=~"a|c"}', "b", True),
    ],
)
def test_a_rule_is_left_out_only_where_it_has_no_result(expr: str, present: str, expected: bool) -> None:
    """What no series can make true needs no playing; whatever may have a result is played."""
    assert has_result(expr, {present}) is expected


def test_nothing_is_left_out_where_all_series_are() -> None:
    """No rule is left out of every situation, and with nothing to watch the two that need nothing remain."""
    assert possible(groups(), ALL) == groups()
    alone = [rule["alert"] for group in possible(groups(), set()) for rule in group["rules"]]
    assert alone == ["StreamExporterDown", "StreamWatchdog"]


def test_each_alert_is_raised_in_a_scenario_on_both_majors() -> None:
    """No alert is left out of the scenarios, nor of those that are chosen for the second major."""
    alerts = {rule["alert"] for rule in rules("alert")}
    for scenarios in (situations(), chosen()):
        tests = [test for scenario in scenarios.values() for test in scenario["tests"]]
        assert set().union(*map(raised, tests)) == alerts


def scale(node: Any, key: str = "") -> Any:
    """Return a scenario with all its times shrunk."""
    if isinstance(node, dict):
        return {key: scale(value, key) for key, value in node.items()}
    if isinstance(node, list):
        return [scale(value, key) for value in node]
    if key in {"interval", "evaluation_interval", "eval_time"}:
        return scale_duration(node, SCALE)
    if key == "expr":
        return scale_expression(node, SCALE)
    return node


@pytest.mark.parametrize("name", ["down", "outage"])
def test_scaled_rules_hold_the_same_figures_in_scaled_time(name: str, tmp_path: Path) -> None:
    """A test that shrinks the rules tests the same rules, ten times faster."""
    (tmp_path / "rules.yml").write_text(render(RulesOptions(), SCALE), encoding="utf-8")
    scenario = scale(chosen()[PROMETHEUS / "tests" / f"{name}.yml"])
    shrunk = scenario | {"rule_files": ["rules.yml"], "tests": scenario["tests"][:1]}
    (tmp_path / "scenario.yml").write_text(yaml.safe_dump(shrunk), encoding="utf-8")
    accepts(promtool(), "test", "rules", tmp_path / "scenario.yml")


def test_a_scale_that_leaves_nothing_is_refused() -> None:
    """A factor that would round a window to nothing is an error, not a rule that never fires."""
    with pytest.raises(ValueError, match="below a millisecond"):
        render(RulesOptions(), 0.00000001)
