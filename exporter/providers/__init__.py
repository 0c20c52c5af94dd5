"""The clouds, found by scanning this folder: file name = configuration word = label."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from exporter.provider import AnyProvider


@lru_cache(maxsize=1)
def found() -> MappingProxyType[str, AnyProvider]:
    """Return every provider of this folder by its name, in alphabetical order."""
    names = sorted(module.name for module in iter_modules(__path__))
    return MappingProxyType({name: import_module(f"{__name__}.{name}").PROVIDER for name in names})
