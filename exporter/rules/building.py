"""Makes the text of a rule file out of the tables."""

from __future__ import annotations

import json
import re
from string import Template
from textwrap import indent
from typing import Any, Final

import yaml

from exporter.rules import alerts, records
from exporter.rules.model import Alert, Group, Record, StreamAlert
from exporter.rules.options import RulesOptions

GROUPS: Final = (
    Group(name="stream-exporter-alerts", interval="15s", rules=(*records.RECORDS, *alerts.ALERTS)),
    records.AVAILABILITY,
    records.HOURLY,
)
HEADER: Final = """\
# Written by `stream-exporter rules`: its flags change it. Reasons: docs/alerting.md. What to do: docs/runbook.md.
---
"""
MILLISECONDS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
DURATION: Final = re.compile(r"(\d+)(ms|s|m|h|d)")
# What the Helm chart puts its values for.
CHART: Final = RulesOptions(
    info_label=("INFO_LABELS",), severity_label="SEVERITY_LABEL", job="EXPORTER_JOB", runbook_url="RUNBOOK_URL"
)
Rule = dict[str, Any]


def render(options: RulesOptions, scale: float = 1) -> str:
    """Return the text of the rule file.

    Args:
        options: What the deployment chooses.
        scale: Factor on every duration; 1 for a scrape interval of 15 s, less for a test that scrapes more often.

    Raises:
        ValueError: A duration times the factor is below a millisecond.
    """
    groups = {"groups": [_group(group, options, scale) for group in GROUPS]}
    return HEADER + yaml.dump(groups, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


def scale_duration(text: str, factor: float) -> str:
    """Return a Prometheus duration times `factor`, rounded to whole milliseconds; `75s` × 0.1 is `7s500ms`."""
    if factor == 1:
        return text
    rest = round(sum(int(number) * MILLISECONDS[unit] for number, unit in DURATION.findall(text)) * factor)
    if rest < 1:
        raise ValueError(f"{text} times {factor} is below a millisecond")
    parts = []
    for unit in reversed(MILLISECONDS):
        number, rest = divmod(rest, MILLISECONDS[unit])
        parts += [f"{number}{unit}"] if number else []
    return "".join(parts)


def scale_expression(expr: str, factor: float) -> str:
    """Return `expr` with every range and offset times `factor`."""
    return re.sub(r"(?<=\[)\w+(?=\])|(?<=offset )\w+", lambda found: scale_duration(found[0], factor), expr)


def _group(group: Group, options: RulesOptions, scale: float) -> dict[str, Any]:
    rules = [
        _alert(rule, options, scale) if isinstance(rule, Alert) else _record(rule, options, scale)
        for rule in group.rules
    ]
    return {"name": group.name, "interval": scale_duration(group.interval, scale), "rules": rules}


def _record(record: Record, options: RulesOptions, scale: float) -> Rule:
    return {"record": record.name, "expr": _finished(record.expr, options, scale)}


def _alert(alert: Alert, options: RulesOptions, scale: float) -> Rule:
    expr, severity = alert.expr, alert.severity
    if isinstance(alert, StreamAlert):
        expr, severity = _labelled(alert), _severity(alert.severity, options.severity_label)
    rule: Rule = {"alert": alert.name, "expr": _finished(expr, options, scale)}
    for key, duration in (("for", alert.pending), ("keep_firing_for", alert.keep)):
        if duration:
            rule[key] = scale_duration(duration, scale)
    rule["labels"] = {"severity": severity}
    rule["annotations"] = {
        "summary": alert.summary,
        "description": alert.description,
        "runbook_url": f"{options.runbook_url}#{alert.name.lower()}",
    }
    return rule


def _finished(expr: str, options: RulesOptions, scale: float) -> str:
    """Return `expr` with its durations scaled and its placeholders filled in.

    The placeholders: `$replica`, the labels in which replicas differ; `$job`, the expression for the exporter's job;
    `$keys`, the labels that tell streams apart; `$info`, the series that have the labels of `stream_info`; `$more`,
    those of them that were chosen, each after a comma.
    """
    return Template(scale_expression(expr, scale)).substitute(
        replica=", ".join(options.replica_label),
        job=json.dumps(options.job, ensure_ascii=False),
        info=records.STREAM_LABELS,
        keys=", ".join(options.keys),
        more="".join(f", {label}" for label in options.chosen),
    )


def _labelled(alert: StreamAlert) -> str:
    """Return an alert's expression, where the stream is expected, with the account and the chosen labels joined on.

    The join can neither fail nor lose an alert: there is one series of labels a stream, and a stream that has none
    keeps its alert without them.
    """
    expr = f"(\n{indent(_where_expected(alert), '  ')}\n)"
    joined = f"""\
max without (account$more) {expr}
* on ($keys) group_left (account$more)
$info
or
{expr}
unless on ($keys)
$info"""
    return f"(\n{indent(joined, '  ')}\n)\n{alert.exempt}" if alert.exempt else joined


def _where_expected(alert: StreamAlert) -> str:
    """Return an alert's expression without streams that were not expected at some time of the alert's look-back."""
    if not alert.expected:
        return alert.expr
    return f"""\
(
{indent(alert.expr, "  ")}
)
unless ignoring (media, playback)
min_over_time({records.EXPECTED}[{alert.expected}]) == 0"""


def _severity(own: str, label: str | None) -> str:
    """Return the severity of an alert about a stream: a page becomes what the stream's label says, the rest never more.

    A stream whose label says `info` has nothing graver than that, also where the alert's own severity is a warning.
    """
    if label is None or own == "info":
        return own
    if own == "critical":
        return f"{{{{ if $labels.{label} }}}}{{{{ $labels.{label} }}}}{{{{ else }}}}critical{{{{ end }}}}"
    return f'{{{{ if eq $labels.{label} "info" }}}}info{{{{ else }}}}{own}{{{{ end }}}}'


class _Dumper(yaml.SafeDumper):
    """Writes expressions as literal blocks and indents lists, as people write rule files."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)
