"""Suggestions for misspelt words: flags, keys, accounts, streams, codes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice

LONGEST = 64
MOST_OPTIONS = 500


def closest(word: str, options: Iterable[str], most: int = 1, cutoff: float = 0.6) -> list[str]:
    """Return at most `most` options similar to a word, ignoring case, best first; `cutoff` is from 0 to 1."""
    return list(_closest(word, tuple(options), most, cutoff))


@lru_cache(maxsize=4096)
def _closest(word: str, options: tuple[str, ...], most: int, cutoff: float) -> tuple[str, ...]:
    by_lower = {option.lower(): option for option in options}
    return tuple(by_lower[match] for match in difflib.get_close_matches(word.lower(), by_lower, most, cutoff))


def did_you_mean(word: object, options: Iterable[str], quote: str = "'") -> str:
    """Return `; did you mean 'x'?` if one of the first 500 options is similar, else an empty text."""
    if not isinstance(word, str) or len(word) > LONGEST:
        return ""
    return "".join(f"; did you mean {quote}{option}{quote}?" for option in closest(word, islice(options, MOST_OPTIONS)))
