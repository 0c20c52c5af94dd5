"""The state that the exposition renders."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from exporter.rounds.account import AccountProber
from exporter.state.board import Board
from exporter.state.counters import Counters


@dataclass(slots=True)
class Source:
    """Where samples come from.

    Attributes:
        label_names: Keys of the labels configured on streams.
        reload_ok: Whether the configuration last read is in force.
        reloaded: Unix seconds at which the configuration in force was read.
        dropped: Returns how many log lines were dropped.
        store: Returns whether the shared store answers, how many exporters share it, and what is wrong with it; None
            without one.
    """

    board: Board
    counters: Counters
    accounts: Callable[[], Iterable[AccountProber]]
    label_names: tuple[str, ...] = ()
    reload_ok: bool = True
    reloaded: float = 0.0
    dropped: Callable[[], int] = int
    store: Callable[[], tuple[bool, int, str] | None] = lambda: None

    def version(self) -> object:
        """Return a value that changes with the exposition, except for changes by the mere passing of time."""
        health = [one.health for one in self.accounts()]
        rounds = [(one.up, one.breaker.open, one.round_seconds, one.unprobed) for one in health]
        return self.board.version, self.reload_ok, self.store(), self.counters.callbacks.total(), rounds
