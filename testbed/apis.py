"""The API for one stream of a cloud that is known to have one."""

from __future__ import annotations

from typing import Any

from exporter.providers.interface import AnyProvider, Api


def single(provider: AnyProvider) -> Api[Any, Any]:
    """Return a provider's API for one stream."""
    assert provider.single is not None
    return provider.single
