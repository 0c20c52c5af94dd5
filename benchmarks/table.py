"""One row of the table of benchmarks."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass

COMPARE: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True, slots=True)
class Row:
    """A figure, what it is held against, and the goal.

    Attributes:
        name: What was measured.
        figure: The ratio or value.
        unit: `x` for a ratio, else the unit.
        goal: The bound.
        compare: `<=` or `>=`.
        detail: Both sides of the ratio, in words.
    """

    name: str
    figure: float
    unit: str
    compare: str
    goal: float
    detail: str

    @property
    def met(self) -> bool:
        """Whether the goal is met."""
        return COMPARE[self.compare](self.figure, self.goal)
