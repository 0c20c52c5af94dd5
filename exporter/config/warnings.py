"""Warnings about secrets and values that are allowed but probably not meant; none of them repeats a value."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

from exporter import files
from exporter.config.document import Document
from exporter.config.positions import leaves
from exporter.config.problems import Place

READABLE = 0o004
"""The mode bit by which everybody may read a file."""

_VARIABLE = re.compile(
    r"\$\{(?P<braces>[^{}\n]*)\}"
    r"|\$\((?P<parentheses>[A-Za-z_]\w*)\)"
    r"|\$(?P<bare>[A-Z_][A-Z0-9_]+)(?![A-Za-z0-9_])"
    r"|\{\{(?P<template>[^\n]{0,256}?)\}\}",
    re.ASCII,
)
_QUICK = re.compile(rb"\$[({A-Z_]|\{\{")
_NAME = re.compile(
    r"""[\s.$-]*(?:env(?:\.|\s+))?["']?(?P<name>[A-Za-z_]\w{0,63})["']?(?:\s*[|:?+=-].*|\s*)""", re.ASCII
)
# A secret may begin with a dollar: after a bare one, only a word that looks like a variable's name is repeated.
_BARE_NAME = re.compile(r"(?P<name>[A-Z]{1,64}|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)", re.ASCII)
_QUOTES = ('""', "''", "``", "“”", "‘’")
_NOT_FILLED_IN = "looks like a variable, and none is filled in here: write the value itself"

PLAYBACK = "playback"
"""The key of addresses that viewers use, each a text or a mapping."""

SECRETS_OF_CONTAINERS = ("/run/secrets/", "/var/run/secrets/")


def variable(text: str, field: str = "") -> str:
    """Say that a text looks like a variable, and what to do; nothing where it does not.

    Args:
        text: What is written, or what a secret's file or variable holds.
        field: The secret field that it is meant for; empty where it is for something else.
    """
    found = _VARIABLE.search(text.strip()) if not field else _VARIABLE.fullmatch(text.strip())
    if found is None:
        return ""
    if not field:
        return _NOT_FILLED_IN
    inside = next(part for part in found.groups() if part is not None)
    name = (_BARE_NAME if found["bare"] else _NAME).fullmatch(inside)
    return f"looks like a variable; use {field}_env" + (f": {name['name']}" if name else " with its name")


def blemishes(text: str, field: str) -> Iterator[str]:
    """Yield what probably went wrong when the secret for a field was copied; each text follows the secret's name."""
    if text.endswith(" "):
        yield "ends with a blank, which counts as part of it"
    if text.startswith(" "):
        yield "begins with a blank, which counts as part of it"
    bare = text.strip()
    if len(bare) > 1 and bare[0] + bare[-1] in _QUOTES:
        yield "is in quotes, which count as part of it"
    kinds = set() if text.isascii() else {unicodedata.category(sign) for sign in text if not sign.isascii()}
    if "Zs" in kinds:
        yield "holds a no-break space or another space outside ASCII"
    if "Cf" in kinds:
        yield "holds an invisible character, such as a zero-width space"
    if found := variable(text, field):
        yield found


def readable_by_all(path: Path) -> bool:
    """Say whether everybody on the machine may read a secret's file.

    Files that Kubernetes and Docker put into a container have that mode by default (0644, 0444) and are visible only
    there, so they do not count. A Secret's volume is known by its hidden directory `..DATE`, Docker's by its place.
    """
    try:
        seen = files.look(path, files.SECONDS)
        real = files.within(files.SECONDS, ("real", path), path.resolve)
    except (OSError, ValueError, RuntimeError):
        return False
    laid = any(part.startswith("..") for part in real.parts) or str(real).startswith(SECRETS_OF_CONTAINERS)
    return seen is not None and bool(seen.st_mode & READABLE) and not laid


def variables(document: Document, secrets: Set[str]) -> Mapping[Place, str]:
    """Return what to say of each value that looks like a variable; secrets are left out, as more is said of them."""
    if not document.readable or not _QUICK.search(document.data):
        return {}
    return {
        place: _NOT_FILLED_IN
        for place, value in leaves(document.value)
        if isinstance(value, str)
        and variable(value)
        and not (secrets & set(place) and (place[0] in ("accounts", "http", "store") or PLAYBACK in place))
        and not (place[-2:-1] == (PLAYBACK,) and isinstance(place[-1], int))
    }
