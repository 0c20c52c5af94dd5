"""What rules are made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One recording rule; its expression may hold the placeholders of `building`, like that of an alert."""

    name: str
    expr: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One alerting rule.

    Attributes:
        pending: Becomes `for`.
        keep: Becomes `keep_firing_for`.
    """

    name: str
    severity: str
    expr: str
    summary: str
    description: str
    pending: str | None = None
    keep: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamAlert(Alert):
    """An alert about one stream, which gets the account and the chosen labels of the stream joined on.

    Attributes:
        expected: For how long the stream must have been expected, as far as anybody says; empty if it need not be. A
            second more than the minutes, since Prometheus 3 leaves out what is exactly as old as a range is long.
        exempt: What follows the expression once the labels are joined on.
    """

    expected: str = "181s"
    exempt: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Rules evaluated one after the other, each seeing what those before it recorded."""

    name: str
    interval: str
    rules: tuple[Record | Alert, ...]
