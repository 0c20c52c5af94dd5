"""Reads the callbacks of several clouds."""

from __future__ import annotations

from typing import Any

from exporter.providers.interface import Callback, Refused
from exporter.providers.reading import object_in


def fields_of(callback: Callback) -> dict[str, Any]:
    """Return the JSON object in a callback's body; raises `Refused`."""
    try:
        return object_in(callback.body)
    except ValueError:
        raise Refused("forged") from None
