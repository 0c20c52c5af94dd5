"""The clouds, one folder each, found by scanning: the folder's name is the configuration word and the label."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from exporter.providers.interface import AnyProvider


@lru_cache(maxsize=1)
def found() -> MappingProxyType[str, AnyProvider]:
    """Return every provider by its name, in alphabetical order."""
    names = sorted(module.name for module in iter_modules(__path__) if module.ispkg)
    return MappingProxyType({name: import_module(f"{__name__}.{name}.provider").PROVIDER for name in names})
