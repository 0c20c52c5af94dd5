"""The clouds: one folder each, and those of packages outside. A name is the word in the configuration and the label."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Final

from exporter.providers.addresses import AddressSigner
from exporter.providers.interface import AnyProvider, Provider
from exporter.spelling import LONGEST, closest

GROUP: Final = "stream_exporter.providers"
"""The entry points of clouds from outside, as in `toy = "toy_cloud.provider:PROVIDER"`, with codes.yml beside it."""


@lru_cache(maxsize=1)
def places() -> MappingProxyType[str, EntryPoint]:
    """Return where every provider is, in alphabetical order, without importing any.

    Raises:
        ImportError: Two have the same name.
    """
    folders = (module.name for module in iter_modules(__path__) if module.ispkg)
    ours = [EntryPoint(name, f"{__name__}.{name}.provider:PROVIDER", GROUP) for name in folders]
    found: dict[str, EntryPoint] = {}
    for one in sorted((*ours, *entry_points(group=GROUP)), key=lambda one: one.name):
        if found.setdefault(one.name, one) is not one:
            raise ImportError(f"two providers are named {one.name}: {found[one.name].value} and {one.value}")
    return MappingProxyType(found)


@lru_cache(maxsize=1)
def all_providers() -> MappingProxyType[str, AnyProvider]:
    """Return every provider by name, in alphabetical order.

    Raises:
        ImportError: There is no provider where one should be; the text says what is missing.
    """
    return MappingProxyType({name: _provider(place) for name, place in places().items()})


def address_signers() -> Mapping[str, AddressSigner]:
    """Return the ways of signing addresses that viewers use, by the provider's name."""
    found = {name: provider.address_signer for name, provider in all_providers().items()}
    return {name: signer for name, signer in found.items() if signer is not None}


def sources_of(metric: str) -> str:
    """Return which APIs or fields the providers take a metric from, for its help text."""
    sources = (provider.metric_sources.get(metric) for provider in all_providers().values())
    return ", ".join(dict.fromkeys(filter(None, sources)))


def suggest_provider(word: str, known: Mapping[str, AnyProvider]) -> str:
    """Return `; did you mean 'x'?` for a provider's misspelt name or alias, or an empty text."""
    names_of = {alias: name for name, provider in known.items() for alias in (name, *provider.aliases)}
    near = closest(word, names_of) if len(word) <= LONGEST else []
    return f"; did you mean '{names_of[near[0]]}'?" if near else ""


def _provider(place: EntryPoint) -> AnyProvider:
    folder, _, file = place.module.replace(".", "/").rpartition("/")
    try:
        provider = place.load()
    except ModuleNotFoundError as error:
        if error.name != place.module:
            raise
        raise ImportError(f"{folder} lacks {file}.py, which ends in {place.attr} = Provider(...)") from None
    except AttributeError:
        provider = None
    if not isinstance(provider, Provider):
        raise ImportError(f"{folder}/{file}.py does not end in {place.attr} = Provider(...)")
    if provider.name != place.name:
        raise ImportError(f"{folder}/{file}.py is named {provider.name}, and has to be {place.name}")
    return provider
