"""What a deployment may choose about its rules and dashboards."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

RUNBOOK: Final = "https://github.com/stream-exporter/stream-exporter/blob/main/docs/runbook.md"
JOB: Final = ".*stream-exporter.*"
REPLICA_LABELS: Final = ("instance", "pod")
SITE_LABELS: Final = ("cluster", "environment", "namespace")
"""Target labels, besides the job, by which deployments are told apart."""
EVERYWHERE: Final = ("provider", "account", "stream", "job")
"""Labels that alerts about a stream carry anyway."""
TAKEN: Final = ("alertname", "media", "playback")
"""Labels that alerts give a meaning of their own."""


@dataclass(frozen=True, slots=True)
class RulesOptions:
    """Flags of `rules`.

    Attributes:
        info_label: Configured stream labels that the alerts about a stream carry.
        severity_label: Configured stream label whose value takes the place of the severity `critical`.
        job: Regular expression that matches the exporter's scrape job, for `up`.
        replica_label: Target labels in which the replicas of one exporter differ.
        runbook_url: Address of the runbook, to which an anchor is added.

    Raises:
        ValueError: A label cannot be used, or the job is no regular expression.
    """

    info_label: tuple[str, ...] = ()
    severity_label: str | None = None
    job: str = JOB
    replica_label: tuple[str, ...] = REPLICA_LABELS
    runbook_url: str = RUNBOOK

    def __post_init__(self) -> None:
        for label in (*self._wanted, *self.replica_label):
            check_label(label)
        if essential := set(EVERYWHERE).intersection(self.replica_label):
            raise ValueError(f"replicas cannot differ in {', '.join(sorted(essential))}")
        if taken := {*TAKEN, *self.replica_label}.intersection(self.chosen):
            raise ValueError(f"alerts cannot take {', '.join(sorted(taken))} from stream_info: the label is taken")
        _check_expression(self.job)

    @property
    def _wanted(self) -> tuple[str, ...]:
        return self.info_label if self.severity_label is None else (*self.info_label, self.severity_label)

    @property
    def chosen(self) -> tuple[str, ...]:
        """The labels that alerts take from `stream_info` besides the account, each once."""
        return tuple(dict.fromkeys(label for label in self._wanted if label not in EVERYWHERE))

    @property
    def keys(self) -> tuple[str, ...]:
        """The labels by which `stream_info` is matched; what is chosen belongs to streams, not to targets."""
        return (*(label for label in SITE_LABELS if label not in self.chosen), "job", "provider", "stream")


@dataclass(frozen=True, slots=True)
class DashboardsOptions:
    """Flags of `dashboards`.

    Attributes:
        name: Which one; empty for all.
        output_dir: The folder to write them into.
        info_label: Configured stream labels to filter by.
        page_url: Address of the status page; without it, links lead to where Prometheus scrapes the exporter.
        runbook_url: Address of the runbook.

    Raises:
        ValueError: A label cannot be used.
    """

    name: str = ""
    output_dir: Path | None = None
    info_label: tuple[str, ...] = ()
    page_url: str | None = None
    runbook_url: str = RUNBOOK

    def __post_init__(self) -> None:
        for label in self.info_label:
            check_label(label)

    @property
    def chosen(self) -> tuple[str, ...]:
        """The labels to filter by besides those by which one can anyway, each once."""
        return tuple(dict.fromkeys(label for label in self.info_label if label not in EVERYWHERE))


def check_label(name: str) -> None:
    """Raise `ValueError` for what no stream's label can be named."""
    if not re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name) or name.startswith("__"):
        raise ValueError(f"{name!r} is not the name of a label")


def _check_expression(text: str) -> None:
    if not text:
        raise ValueError("the regular expression for the job is empty")
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from None
    # Python knows them, RE2 does not.
    if found := re.search(r"\(\?(?:[=!(]|<[=!])|\\[1-9]", text):
        raise ValueError(f"{text!r} is not a regular expression for Prometheus, which has no {found[0]}")
