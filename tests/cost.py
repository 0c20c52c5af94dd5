"""What a piece of work costs, told so that neither a slow machine nor a busy one changes it.

No test asserts seconds: figures in seconds are for `benchmarks/`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import thread_time
from types import FrameType, TracebackType
from typing import Any

LARGE = 8
"""How many times as large the large piece of work is as the small one, for `growth`."""
LINEAR = 3.0
"""What `growth` stays below where the cost grows with the size: that gives 1, and its square gives 8."""
TURNS = 5

Work = Callable[[], object]


class Calls:
    """Counts the functions, Python's and C's, that this thread calls inside a `with` block.

    The number is the same on any machine. A loop without calls, such as `x in values`, is not seen: use `growth` there.
    """

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Calls:
        self._before = sys.getprofile()
        sys.setprofile(self._called)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        sys.setprofile(self._before)

    def _called(self, _frame: FrameType, event: str, _what: Any) -> None:
        self.count += event in ("call", "c_call")


def calls(work: Work) -> int:
    """Return how many functions a piece of work calls."""
    with Calls() as counted:
        work()
    return counted.count


def ratio(work: Work, baseline: Work, bound: float) -> float:
    """Return how many times as much of the processor a piece of work takes as another one.

    They take turns, so a slow machine is slow for both. What disturbs a turn only adds to it, so the least of several
    counts; there are no more of them once the ratio is below the bound.
    """
    least, least_of_baseline = float("inf"), float("inf")
    for _ in range(TURNS):
        least_of_baseline = min(least_of_baseline, _seconds(baseline))
        least = min(least, _seconds(work))
        if least < bound * least_of_baseline:
            break
    return least / least_of_baseline


def growth(make: Callable[[int], Work], size: int) -> float:
    """Return how many times as much of the processor one large piece of work takes as eight small ones.

    That is 1 where the cost grows with the size, and 8 where it grows with the square.

    Args:
        make: Returns the work of a size, with all that is not to be measured done.
        size: That of the large piece.
    """
    small = make(size // LARGE)

    def eight() -> None:
        for _ in range(LARGE):
            small()

    return ratio(make(size), eight, LINEAR)


def _seconds(work: Work) -> float:
    """Return the processor seconds that a piece of work takes in this thread."""
    started = thread_time()
    work()
    return thread_time() - started
