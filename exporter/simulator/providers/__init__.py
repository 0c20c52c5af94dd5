"""The fake clouds, one module each, which ends in `FAKE = Fake(...)`. What two share begins with an underscore."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, make_dataclass
from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Any, get_type_hints

from exporter.simulator.fake import Fake
from exporter.simulator.types import STRICT


@lru_cache(maxsize=1)
def fakes() -> Mapping[str, Fake]:
    """Return every fake cloud by name."""
    names = sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))
    return MappingProxyType({name: import_module(f"{__name__}.{name}").FAKE for name in names})


@lru_cache(maxsize=1)
def quirks() -> type[Any]:
    """Return a dataclass with the switches of all clouds, named `<cloud>_<switch>`."""
    kinds = [fake.quirks for fake in fakes().values()]
    switches = [(each.name, get_type_hints(kind)[each.name], each.default) for kind in kinds for each in fields(kind)]
    return make_dataclass("Quirks", switches, slots=True, namespace={"__pydantic_config__": STRICT})
