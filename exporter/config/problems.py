"""What is wrong in a file, and where. Nothing here ever holds a value from the file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from exporter.spelling import closest

Place = tuple[str | int, ...]
"""The keys and list indexes that lead to a value, from the top of its file."""

MOST = 1000
"""Errors reported at once; a file with more is not mended line by line."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.-]{1,40}", re.ASCII)
_LIKE_A_NAME = re.compile(r"_{0,2}[a-z]{1,12}([_-][a-z]{1,12}){0,3}_{0,2}|[A-Za-z0-9_.-]{1,3}", re.ASCII)
_MOST_MISSPELT = 2  # surplus letters; what is glued to a key by mistake is longer


@dataclass(frozen=True, slots=True)
class Problem:
    """One error or warning, with its place; line and column count from 1, column in characters."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        path = f"{self.path}: " if self.path else ""
        return f"{self.file}:{self.line}:{self.column}: {path}{self.message}"


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a value and its key stand: (line, column) each, counted from 1."""

    key: tuple[int, int]
    value: tuple[int, int]


class ConfigErrors(Exception):  # noqa: N818 - it carries all the errors there are
    """The configuration is not valid: every error at once, by file and position."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


def path_of(place: Place, bare: bool = False, words: frozenset[str] = frozenset(), strict: bool = False) -> str:
    """Write a place as `accounts[0].quota`; a key that may be a secret is `<key>`.

    Args:
        place: The place.
        bare: Whether the last key stands without a value, and so may be one itself.
        words: The keys that the file may have.
        strict: Whether no key is shown unless it is known, or nearly so.
    """
    text = ""
    for index, step in enumerate(place):
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            doubtful = strict or (bare and index == len(place) - 1)
            text += ("." if text else "") + (step if may_be_repeated(step, words, bare=doubtful) else "<key>")
    return text or "document"


def may_be_repeated(key: str, words: frozenset[str], *, bare: bool = False) -> bool:
    """Whether a key may be repeated in a message: it is known, nearly so, or made of small letters like a name.

    A secret may stand where a key belongs, as in `{secret_key, VALUE}`: then it has no value, and only what is known
    or nearly so is repeated.
    """
    if key in words:
        return True
    if not _PLAIN_KEY.fullmatch(key):
        return False
    if not bare and _LIKE_A_NAME.fullmatch(key):
        return True
    near = closest(key, sorted(words), cutoff=0.75)
    return bool(near) and len(key) <= len(near[0]) + _MOST_MISSPELT
