"""Whether an account answers, judged round by round. Nothing here waits, and nothing is logged."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Final

from exporter.model import Fault, Reason
from exporter.rounds.pace import Breaker

ACCOUNT_WIDE = frozenset(Reason) - {Reason.BAD_REQUEST, Reason.BUG}
"""Failures that say something of the account or the provider as a whole; a bad request speaks of one stream alone."""

UNPROBED: Final = ("quota", "deadline", "breaker")
"""Why a stream's turn may not come in a round."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a round went.

    Attributes:
        tried: Whether it made a call, or failed to.
        good: Whether any answer shows that the account works.
        definite: Whether any stream got a definite answer.
        alone: The stream that the round was about, where it was about one of several.
        fault: The last failure.
        seconds: How long it took.
        unprobed: Streams whose turn did not come, by why: quota, deadline, breaker.
    """

    tried: bool
    good: bool
    definite: bool
    alone: Hashable | None
    fault: Fault | None
    seconds: float
    unprobed: Mapping[str, int]


@dataclass(slots=True)
class Health:
    """What the rounds of an account have shown.

    Attributes:
        breaker: Holds back calls after bad rounds.
        up: Whether the last round that tried got a definite answer; None before the first.
        fault: Why the account answers nothing; None while it answers.
        round_seconds: How long the last round took.
        unprobed: Streams whose turn did not come in the last round, by why.
    """

    breaker: Breaker = field(default_factory=Breaker)
    up: bool | None = None
    fault: Fault | None = None
    round_seconds: float | None = None
    unprobed: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(UNPROBED, 0))
    _failed_alone: Hashable | None = None

    def met(self, fault: Fault | None) -> bool:
        """Take the outcome of one call, None for an answer; say whether it shows that the account works."""
        good = fault is None or fault.reason not in ACCOUNT_WIDE
        if good:
            self.breaker.answered()
        return good

    def learn(self, result: Result) -> bool:
        """Take the result of a round; say whether what is wrong with the account is news."""
        self.round_seconds, self.unprobed = result.seconds, result.unprobed
        if not result.tried:
            return False
        # One stream that fails again and again counts once.
        if not result.good and (result.alone is None or result.alone != self._failed_alone):
            self.breaker.failed()
        self._failed_alone = None if result.good else result.alone
        self.up = result.definite
        before = None if self.fault is None else self.fault.reason
        now = None if result.definite or result.fault is None else result.fault.reason
        if now is before:
            return False
        self.fault = None if now is None else result.fault
        return True
