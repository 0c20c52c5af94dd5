"""The clouds, one folder each, found by scanning: the folder's name is the configuration word and the label."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from exporter.providers.interface import AnyProvider
from exporter.spelling import LONGEST, closest


def names() -> tuple[str, ...]:
    """Return the names of all folders, in alphabetical order; nothing of them is imported."""
    return tuple(sorted(module.name for module in iter_modules(__path__) if module.ispkg))


@lru_cache(maxsize=1)
def found() -> MappingProxyType[str, AnyProvider]:
    """Return every provider by its name, in alphabetical order.

    Raises:
        ImportError: A folder is no provider; the text says what it lacks.
    """
    return MappingProxyType({name: _provider(name) for name in names()})


def told(metric: str) -> str:
    """Return where the providers take a metric from, for its help."""
    return ", ".join(dict.fromkeys(one.tells[metric] for one in found().values() if metric in one.tells))


def meant(word: str, known: Mapping[str, AnyProvider]) -> str:
    """Return `; did you mean 'x'?` for the cloud that a word likely means: misspelt, or called by another name."""
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
