"""Ask Prometheus as Grafana does, with the standard library alone."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Window:
    """A time range and its resolution, in seconds."""

    start: float
    end: float
    step: float


class Refused(Exception):  # noqa: N818 - a finding, named in the field's own words
    """Prometheus could not answer the query; the text says why."""


def _open(address: str, fields: Mapping[str, str] | None) -> Any:
    body = urllib.parse.urlencode(fields).encode() if fields is not None else None
    try:
        with urllib.request.urlopen(address, body, timeout=60) as reply:
            return json.load(reply)["data"]
    except urllib.error.HTTPError as error:
        with error:
            raise Refused(json.load(error)["error"]) from error


def instant(prometheus: str, expr: str, at: float) -> list[dict[str, Any]]:
    """Return the vector at a moment: objects with `metric` and `value`.

    Raises:
        Refused: Prometheus could not answer.
    """
    found = _open(f"{prometheus.rstrip('/')}/api/v1/query", {"query": expr, "time": str(at)})
    return list(found["result"])


def ranged(prometheus: str, expr: str, window: Window) -> list[dict[str, Any]]:
    """Return the series over a time range: objects with `metric` and `values`.

    Raises:
        Refused: Prometheus could not answer.
    """
    fields = {"query": expr, "start": str(window.start), "end": str(window.end), "step": str(window.step)}
    return list(_open(f"{prometheus.rstrip('/')}/api/v1/query_range", fields)["result"])


def names(prometheus: str, selector: str, label: str | None = None) -> list[str]:
    """Return the values that a label has in the selected series, or without a label the names of their labels.

    Raises:
        Refused: Prometheus could not answer.
    """
    path = f"label/{label}/values" if label else "labels"
    return list(_open(f"{prometheus.rstrip('/')}/api/v1/{path}?{urllib.parse.urlencode({'match[]': selector})}", None))
