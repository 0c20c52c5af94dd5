"""`rules`: what its flags choose, and what they refuse."""

from __future__ import annotations

import pytest

from exporter.rules.building import render
from exporter.rules.options import RulesOptions
from tests.commands.running import run
from tests.deploy.tools import ROOT


def test_without_flags_the_shipped_rules_are_printed() -> None:
    """An installed package brings the rules that deploy/ has."""
    done = run("rules")
    assert (done.code, done.err) == (0, "")
    assert done.out == (ROOT / "deploy" / "prometheus" / "rules.yml").read_text(encoding="utf-8")


def test_every_flag_arrives() -> None:
    """Labels, severity, job, replicas and runbook of the command line are those of the rules."""
    flags = "--info-label team --info-label place --severity-label tier --job live --replica-label host"
    done = run("rules", *flags.split(), "--runbook-url", "https://wiki.example/runbook?id=7")
    assert (done.code, done.err) == (0, "")
    wanted = RulesOptions(("team", "place"), "tier", "live", ("host",), "https://wiki.example/runbook?id=7")
    assert done.out == render(wanted)
    assert done.out != render(RulesOptions())


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--info-label", "a b"], "'a b' is not the name of a label"),
        (["--info-label", ""], "'' is not the name of a label"),
        (["--severity-label", "media"], "cannot take media"),
        (["--job", "*"], "is not a regular expression"),
        (["--runbook-url", "wiki.example"], "is not an address like"),
        (["--runbook-url", "https://wiki.example/#top"], "is not an address like"),
        (["--info-labels", "team"], "did you mean --info-label?"),
    ],
)
def test_what_is_wrong_is_refused(argv: list[str], message: str) -> None:
    """A mistake ends with exit code 2 and its reason, and no rule is printed."""
    done = run("rules", *argv)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
