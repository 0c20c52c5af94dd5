"""Keys that the machine itself vouches for: profile files, pod identity, instance roles; one file per cloud.

Each way is a value with two pure functions: whether there is evidence of it, seen without a network, and a generator
that yields what it wants (a file, a request), is sent it, and returns a `Grant`. `exporter.keys` does what they want.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules

from exporter.ambient.nouns import Around, Grant, Recipe, Way
from exporter.providers.interface import AnyProvider

__all__ = ["Around", "Grant", "Recipe", "Way", "choose", "hints", "ways"]


@lru_cache(maxsize=64)
def ways(provider: str) -> tuple[Way, ...]:
    """Return a cloud's ways in the order in which they are looked for; none where this folder has no file for it."""
    if provider not in {module.name for module in iter_modules(__path__)}:
        return ()
    found: tuple[Way, ...] = getattr(import_module(f"{__name__}.{provider}"), "WAYS", ())
    return found


def choose(provider: AnyProvider, given: Collection[str], around: Around) -> Way | None:
    """Return how the keys of an account are come by that gives none itself.

    The first way with evidence counts, and it alone: where it fails, no other identity is taken silently.

    Args:
        provider: The account's cloud.
        given: The account's secret fields that are set.
        around: What can be seen of the machine.

    Returns:
        None where the account's fields or the conventional environment variables are to be used, or nothing is there.
    """
    pair = provider.credentials[:2]
    own = any(field in given for field in provider.credentials if field)
    if own or any(around.get(variable) for field in pair for variable in provider.environment.get(field, ())):
        return None
    return next((way for way in ways(provider.name) if way.applies(around)), None)


def hints(provider: str) -> str:
    """Return the ways in words, to go on with after `set access_key_id`; nothing where there are none."""
    return ", or ".join(way.hint for way in ways(provider))
