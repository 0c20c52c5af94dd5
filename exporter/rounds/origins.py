"""Who answered for a list where a server has several processes, each of which knows only its own streams."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

ALONE_SECONDS: Final = 60.0
"""How long nobody else may have answered."""

SEVERAL_SECONDS: Final = 600.0
"""The same once one has answered again after another, which none does that a reload has replaced."""

FEWEST: Final = 4
"""How many answers it takes, each on a connection of its own: one process may take most of all connections."""


@dataclass(slots=True)
class Origins:
    """Who answered for one scope.

    Attributes:
        answers: When each answer of the last minute was asked for (monotonic seconds), and who gave it.
        past: Who answered before somebody else did.
        several_until: Until when (monotonic seconds) it counts that two run at the same time.
    """

    answers: deque[tuple[float, str]] = field(default_factory=deque)
    past: set[str] = field(default_factory=set)
    several_until: float = float("-inf")

    def note(self, origin: str, at: float) -> None:
        """Add an answer, and forget those that are too old by now."""
        last = self.answers[-1][1] if self.answers else origin
        if origin != last:
            self.past.add(last)
            if origin in self.past:
                self.several_until = at + SEVERAL_SECONDS
        self.answers.append((at, origin))
        while self.answers[0][0] < at - ALONE_SECONDS:
            self.answers.popleft()

    @property
    def few(self) -> bool:
        """Whether more answers may settle what one process lacks."""
        return len(self.answers) < FEWEST and self._one()

    @property
    def alone(self) -> bool:
        """Whether one process has given all answers, enough of them, and is not known to be one of several.

        That is no proof that there is no other: one that stops may keep its streams, see `Outlook.homes`.
        """
        return len(self.answers) >= FEWEST and self._one()

    def _one(self) -> bool:
        return len({origin for _, origin in self.answers}) == 1 and self.answers[-1][0] >= self.several_until
