"""The latest changes as the page shows them, those of streams and those of addresses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from exporter.model import State
from exporter.state.changes import RecentChange
from exporter.state.course import Shown
from exporter.state.playback import WORDS
from exporter.status.filter import Filter
from exporter.status.standing import Standing, standing_in
from exporter.status.wording import STATES, UNCHECKED


class ChangeRow(NamedTuple):
    """A change: what was shown before and is shown since, each as icon and word, and why, in words."""

    change: RecentChange
    old: tuple[Standing, str]
    new: tuple[Standing, str]
    evidence: str


def changes(recent: Iterable[RecentChange], chosen: Filter) -> Iterator[ChangeRow]:
    """Yield the changes of streams that a reader wants to see, and of their addresses."""
    needle = chosen.text.casefold()
    for one in recent:
        if chosen.admits_account(one.provider, one.account) and any(needle in name.casefold() for name in one.names):
            old, new = _marked(one.old, expected=True), _marked(one.new, expected=one.expected)
            yield ChangeRow(one, old, new, _evidence(one))


def _marked(shown: Shown, *, expected: bool) -> tuple[Standing, str]:
    standing = standing_in(shown, expected=expected)
    return standing, STATES[standing] if isinstance(shown, State) else WORDS[shown].capitalize()


def _evidence(one: RecentChange) -> str:
    if not one.playback:
        return f"by {one.evidence}"
    return UNCHECKED if one.evidence == "max_age" else one.evidence
