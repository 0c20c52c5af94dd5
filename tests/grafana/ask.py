"""Ask Prometheus as Grafana does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError

from tests.peers.servers import told


@dataclass(frozen=True, slots=True)
class Window:
    """A time range and its resolution, in seconds."""

    start: float
    end: float
    step: float


class Refused(Exception):  # noqa: N818 - a finding, named in the field's own words
    """Prometheus could not answer the query; the text says why."""


def _told(prometheus: str, path: str, **fields: str) -> Any:
    try:
        return told(prometheus, path, **fields)
    except HTTPError as error:
        with error:
            raise Refused(json.load(error)["error"]) from error


def instant(prometheus: str, expr: str, at: float) -> list[dict[str, Any]]:
    """Return the vector at a moment: objects with `metric` and `value`.

    Raises:
        Refused: Prometheus could not answer.
    """
    return list(_told(prometheus, "query", query=expr, time=str(at))["result"])


def ranged(prometheus: str, expr: str, window: Window) -> list[dict[str, Any]]:
    """Return the series over a time range: objects with `metric` and `values`.

    Raises:
        Refused: Prometheus could not answer.
    """
    times = {"start": str(window.start), "end": str(window.end), "step": str(window.step)}
    return list(_told(prometheus, "query_range", query=expr, **times)["result"])


def names(prometheus: str, selector: str, label: str | None = None) -> list[str]:
    """Return the values that a label has in the selected series, or without a label the names of their labels.

    Raises:
        Refused: Prometheus could not answer.
    """
    return list(_told(prometheus, f"label/{label}/values" if label else "labels", **{"match[]": selector}))
