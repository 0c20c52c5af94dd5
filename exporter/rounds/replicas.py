"""The other exporters that ask for the same accounts: who begins a round, and who is told of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from exporter.providers.interface import Event
from exporter.rounds.health import Result
from exporter.rounds.limits import Owner
from exporter.state.record import Record


class Replicas(Protocol):
    """Makes sure that of all replicas one asks; what it learns, the board of each of them shows.

    Accounts are named by provider and name.
    """

    async def lead(self, account: Owner, deadline: float) -> bool:
        """Return whether a round may begin here, which then has to be left.

        If another replica's round is under way, wait until it is over or the deadline comes (monotonic seconds), and
        return False.
        """
        ...

    def leave(self, account: Owner) -> None:
        """Let others lead: the round is over, or there is none."""
        ...

    def learned(self, account: Owner, result: Result, began: float, *, complete: bool) -> None:
        """Tell the others how a round went, when it began (monotonic seconds), and whether it asked all streams."""
        ...

    async def claim(self, record: Record, deadline: float) -> bool:
        """Return whether a stream may be asked for alone, which then has to be released.

        If another replica is asking for it, wait for its answer, but not beyond the deadline (monotonic seconds), and
        return False.
        """
        ...

    def release(self, record: Record) -> None:
        """Let others ask for a stream."""
        ...

    async def first(self, account: Owner, event: Event) -> bool:
        """Return whether no other replica has heard a callback yet."""
        ...

    def heard(self, account: Owner, records: Iterable[Record]) -> None:
        """Tell the others of a callback that was accepted, about these streams."""
        ...


class Alone:
    """There are no others."""

    async def lead(self, _account: Owner, _deadline: float) -> bool:
        """Always."""
        return True

    def leave(self, account: Owner) -> None:
        """Do nothing."""

    def learned(self, account: Owner, result: Result, began: float, *, complete: bool) -> None:
        """Do nothing."""

    async def claim(self, _record: Record, _deadline: float) -> bool:
        """Always."""
        return True

    def release(self, record: Record) -> None:
        """Do nothing."""

    async def first(self, _account: Owner, _event: Event) -> bool:
        """Always."""
        return True

    def heard(self, account: Owner, records: Iterable[Record]) -> None:
        """Do nothing."""
