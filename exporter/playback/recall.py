"""Which of the playlists that a master playlist names is which of those that it named before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar
from urllib.parse import urlsplit

Which = tuple[str, int]
"""The path of a playlist, and how many with that path stand before it."""

ALONE: Final[Which] = ("", 0)
"""What is fetched without a master playlist."""

T = TypeVar("T")


def recall(known: dict[Which, T], urls: Iterable[str], new: Callable[[], T]) -> Sequence[Which]:
    """Say which playlist each of these is, in their order; of others nothing is known any more.

    They are known by their paths, in whatever order they stand. What has another path takes the place of what is gone:
    some servers name a playlist anew for each viewer.
    """
    seen: Counter[str] = Counter()
    which: list[Which] = []
    for path in (urlsplit(url).path for url in urls):
        which.append((path, seen[path]))
        seen[path] += 1
    there = set(which)
    left = iter([one for each, one in known.items() if each not in there])
    found = {each: known[each] if each in known else next(left, None) or new() for each in which}
    known.clear()
    known.update(found)
    return which
