"""The words that were likely meant by a misspelt one: flags, keys, accounts, streams, codes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice

LONGEST = 64
MOST_OPTIONS = 500


def closest(word: str, options: Iterable[str], most: int = 1, cutoff: float = 0.6) -> list[str]:
    """Return the options most like a word, whatever their case, likeliest first.

    Args:
        word: What was written.
        options: What could have been written.
        most: How many to return at most.
        cutoff: How alike they have to be, from 0 to 1.
    """
    return list(_closest(word, tuple(options), most, cutoff))


@lru_cache(maxsize=4096)
def _closest(word: str, options: tuple[str, ...], most: int, cutoff: float) -> tuple[str, ...]:
    by_lower = {option.lower(): option for option in options}
    return tuple(by_lower[found] for found in difflib.get_close_matches(word.lower(), by_lower, most, cutoff))


def did_you_mean(word: object, options: Iterable[str], quote: str = "'") -> str:
    """Return `; did you mean 'x'?` if one of the first 500 options is likely meant, else nothing."""
    found = closest(word, islice(options, MOST_OPTIONS)) if isinstance(word, str) and len(word) <= LONGEST else []
    return f"; did you mean {quote}{found[0]}{quote}?" if found else ""
