"""What the probers of all accounts share: time, chance, what is known, and the way to the providers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from exporter.model import Account, Credentials
from exporter.providers.interface import AnyProvider
from exporter.rounds.gate import Connection
from exporter.rounds.limits import Limits
from exporter.rounds.replicas import Alone, Replicas
from exporter.state.board import Board
from exporter.state.counters import Counters
from exporter.state.record import Instant
from exporter.transport.aside import Aside, at_once

T = TypeVar("T")

SLICE: Final = 100


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and chance, handed in so that tests own them.

    Attributes:
        unix: Seconds since 1970.
        mono: Seconds on the event loop's own clock.
        nonce: 32 fresh lower-case hexadecimal digits.
    """

    unix: Callable[[], float]
    mono: Callable[[], float]
    nonce: Callable[[], str]

    def now(self) -> Instant:
        """Return the time on both clocks."""
        return Instant(self.unix(), self.mono())

    def ahead(self) -> float:
        """Return by how many seconds Unix time is ahead of monotonic time."""
        return self.unix() - self.mono()


class Sequence:
    """Issues the `sequence` of moments: milliseconds that always grow while the process lives, whatever the clock.

    Where several exporters share an account, each call brings the one of its slot along.
    """

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = 0

    def next(self, unix: float, given: int = 0) -> int:
        """Return the given number, or one above all before it."""
        if given:
            self._last = max(given, self._last)
            return given
        self._last = max(int(unix * 1000), self._last + 1)
        return self._last


Connect = Callable[[str, Account, float, bool], Awaitable[Connection]]
"""Returns a connection to an account's endpoint, given the provider, the account, the seconds between two calls, and
whether it must be new; raises `TransportError`."""


@dataclass(slots=True)
class Shared:
    """What all account probers share.

    Attributes:
        board: What is known of each stream.
        counters: Counters.
        clock: Time and chance.
        connect: The way to the providers.
        credentials: Returns what to sign an account's calls with; raises `CredentialsError`.
        mark_refused: Called when the provider refuses an account's credentials.
        sequence: Issues the `sequence` of moments.
        limits: The quotas, which outlive the accounts.
        aside: Reads answers that are not small.
        replicas: The other exporters of the same accounts.
    """

    board: Board
    counters: Counters
    clock: Clock
    connect: Connect
    credentials: Callable[[AnyProvider, Account], Awaitable[Credentials]]
    mark_refused: Callable[[AnyProvider, Account], None] = lambda _provider, _account: None
    sequence: Sequence = field(default_factory=Sequence)
    limits: Limits = field(default_factory=Limits)
    aside: Aside = at_once
    replicas: Replicas = field(default_factory=Alone)


async def unhurried(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield items, and let others run after every hundredth."""
    for number, item in enumerate(items, 1):
        yield item
        if number % SLICE == 0:
            await asyncio.sleep(0)


def place(error: BaseException) -> str:
    """Return where an exception was raised, as function:line."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace is not None else "?"
