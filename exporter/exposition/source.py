"""Where samples come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from exporter.state.board import Board
from exporter.state.counters import Counters


class AccountFigures(Protocol):
    """What is shown of every account, on the page as in the exposition."""

    @property
    def up(self) -> bool | None:
        """Whether the last round got a definite answer; None before the first."""
        ...

    @property
    def round_seconds(self) -> float | None:
        """How long the last round took."""
        ...

    @property
    def unprobed(self) -> Mapping[str, int]:
        """Streams whose turn did not come in the last round, by why."""
        ...

    @property
    def held_back(self) -> bool:
        """Whether the breaker is open."""
        ...

    def kept(self) -> dict[str, float]:
        """Return the calls per second allowed now, by action."""
        ...


class AccountView(AccountFigures, Protocol):
    """What the exposition reads of an account."""

    @property
    def names(self) -> tuple[str, str]:
        """Provider and account."""
        ...

    @property
    def size(self) -> int:
        """How many streams are watched."""
        ...


@dataclass(slots=True)
class Source:
    """Where samples come from.

    Attributes:
        board: What is known of each stream.
        counters: What was counted.
        accounts: The accounts.
        label_names: Keys of the labels configured on streams.
        reload_ok: Whether the configuration last read is in force.
        reloaded: Unix seconds at which the configuration in force was read.
        dropped: Returns how many lines of the log were dropped.
    """

    board: Board
    counters: Counters
    accounts: Callable[[], Iterable[AccountView]]
    label_names: tuple[str, ...] = ()
    reload_ok: bool = True
    reloaded: float = 0.0
    dropped: Callable[[], int] = int

    def version(self) -> object:
        """Return what differs when something else is shown; ages and what follows from them are left out."""
        rounds = [(one.up, one.held_back, one.round_seconds, one.unprobed) for one in self.accounts()]
        return self.board.version, self.reload_ok, self.counters.callbacks.total(), rounds
