"""The recorded exchanges of each cloud, which tests/providers/exchanges.py explains, and what they are about."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from exporter.model import Account, Stream
from exporter.providers.interface import AnyProvider

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
HERE = Path(__file__).parents[1] / "tests" / "providers"


def document(provider: str, folder: Path = HERE) -> dict[str, Any]:
    """Return a provider's file, or nothing where there is none."""
    file = folder / provider / "exchanges.yml"
    return dict(_parsed(file.read_bytes())) if file.exists() else {}


@cache
def _parsed(text: bytes) -> dict[str, Any]:
    """Return a file's content: many tests of a cloud begin with it."""
    content: dict[str, Any] = yaml.load(text, LOADER)
    return content


def make(provider: AnyProvider, fields: dict[str, Any], *overrides: dict[str, Any]) -> tuple[Account, Stream]:
    """Make an account and a stream of a provider from its file and from what differs."""
    account: dict[str, Any] = {"name": "main", "provider": provider.name, **fields.get("account", {})}
    stream: dict[str, Any] = {"name": "stream", "account": "main", **fields.get("stream", {})}
    for override in overrides:
        account |= override.get("account", {})
        stream |= override.get("stream", {})
    return (
        provider.account(**{name: value for name, value in account.items() if value is not None}),
        provider.stream(**{name: value for name, value in stream.items() if value is not None}),
    )
