"""Kinds of clouds: how they answer, and where they want to see who asks. A new kind is found by itself.

A cloud's own code is tested on each cloud; what is the same code for all of them, on one of each kind.
"""

from __future__ import annotations

from functools import cache

from exporter.providers import all_providers
from exporter.providers.interface import AnyProvider

from .exchanges import load
from .parrots import signed


def kind(provider: AnyProvider) -> tuple[bool, str, bool]:
    """Return whether a cloud has lists only, in what it answers, and whether it wants its URLs signed."""
    answers = [one.given["answer"] for one in load(provider) if one.api is provider.main]
    written = "xml" if any("xml" in answer for answer in answers) else "json"
    return provider.single is None, written, bool(signed(provider).parameters)


@cache
def one_of_each_kind() -> tuple[str, ...]:
    """Return the first cloud of each kind."""
    first: dict[tuple[bool, str, bool], str] = {}
    for name, provider in all_providers().items():
        first.setdefault(kind(provider), name)
    return tuple(first.values())
