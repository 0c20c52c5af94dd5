"""The clouds, one folder each. The folder's name is the word in the configuration and the label."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from exporter.providers.interface import AnyProvider
from exporter.spelling import LONGEST, closest


def names() -> tuple[str, ...]:
    """Return the names of all folders in alphabetical order, without importing them."""
    return tuple(sorted(module.name for module in iter_modules(__path__) if module.ispkg))


@lru_cache(maxsize=1)
def all_providers() -> MappingProxyType[str, AnyProvider]:
    """Return every provider by name, in alphabetical order.

    Raises:
        ImportError: A folder does not hold a provider; the text says what it lacks.
    """
    return MappingProxyType({name: _provider(name) for name in names()})


def sources_of(metric: str) -> str:
    """Return which APIs or fields the providers take a metric from, for its help text."""
    sources = (provider.metric_sources.get(metric) for provider in all_providers().values())
    return ", ".join(dict.fromkeys(filter(None, sources)))


def suggest_provider(word: str, known: Mapping[str, AnyProvider]) -> str:
    """Return `; did you mean 'x'?` for a provider's misspelt name or alias, or an empty text."""
    names_of = {alias: name for name, provider in known.items() for alias in (name, *provider.aliases)}
    near = closest(word, names_of) if len(word) <= LONGEST else []
    return f"; did you mean '{names_of[near[0]]}'?" if near else ""


def _provider(name: str) -> AnyProvider:
    where = f"exporter/providers/{name}"
    try:
        module = import_module(f"{__name__}.{name}.provider")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}.provider":
            raise
        raise ImportError(f"{where} lacks provider.py, which ends in PROVIDER = Provider(...)") from None
    provider: AnyProvider | None = getattr(module, "PROVIDER", None)
    if provider is None:
        raise ImportError(f"{where}/provider.py does not end in PROVIDER = Provider(...)")
    if provider.name != name:
        raise ImportError(f"{where}/provider.py is named {provider.name}, unlike its folder")
    return provider
