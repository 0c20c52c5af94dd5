"""A board that watches streams with addresses and groups, told by hand what clouds answer and checks find."""

from __future__ import annotations

from dataclasses import dataclass, field

from exporter.addresses import PlaybackAddress
from exporter.fields import Secret
from exporter.model import Answer, Fault, Reason, State, Stream
from exporter.providers import all_providers
from exporter.schedule import ALWAYS, Expectations, Schedule
from exporter.state.board import Board
from exporter.state.playback import PlaybackCheck
from exporter.state.record import Change, Instant, Record, Row

EPOCH = 1_800_000_000.0
MAX_AGE = 60.0
FAULT = Fault(Reason.TIMEOUT, "timeout")
PLACE = {"zego": {}, "tencent": {"domain": "d"}, "alibaba": {"domain": "d", "app": "a"}}


def at(mono: float) -> Instant:
    """Return a time on both clocks."""
    return Instant(EPOCH + mono, mono)


def address(name: str = "playback-1", url: str = "https://play.example/a.m3u8?token=t") -> PlaybackAddress:
    """Return an address that viewers use."""
    return PlaybackAddress(name, Secret(url), url.partition("?")[0], ("https://play.example",))


def stream(provider: str, name: str, group: str = "", playback: tuple[PlaybackAddress, ...] = ()) -> Stream:
    """Return a stream of a provider's."""
    labels = {"group": group} if group else {}
    made: Stream = all_providers()[provider].stream(
        name=name, account="main", labels=labels, playback=playback, **PLACE[provider]
    )
    return made


@dataclass
class Watching:
    """A board, and what it told: of addresses, and of streams."""

    board: Board = field(default_factory=lambda: Board(MAX_AGE))
    told: list[Change] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.board.on_change.append(lambda one: (self.told if one.playback else self.changes).append(one))

    def watch(self, *streams: tuple[str, Stream], schedules: dict[str, Schedule] | None = None) -> Watching:
        """Watch these streams; those named follow a schedule of their own."""
        own = schedules or {}
        numbers = {(provider, one.name): list(own).index(one.name) + 1 for provider, one in streams if one.name in own}
        self.board.expectations = Expectations((ALWAYS, *own.values()), numbers)
        self.board.watch(streams, MAX_AGE)
        return self

    def record(self, key: str) -> Record:
        """Return the record of PROVIDER/STREAM."""
        provider, _, name = key.partition("/")
        found = self.board.get((provider, name))
        assert found is not None
        return found

    def says(self, key: str, state: State | None, mono: float) -> None:
        """Let a cloud answer; None fails."""
        if state is None:
            self.board.failed(self.record(key), FAULT, at(mono))
        else:
            self.board.answered(self.record(key), Answer(state), "Action", at(mono))

    def check(self, key: str, mono: float, *, up: bool | None, name: str = "", until: float = 60.0) -> None:
        """Let a check of an address, the first or the one named, have this outcome, which counts for so long."""
        record = self.record(key)
        one = next(one for one in record.stream.playback if name in ("", one.name))
        reason = Reason.TIMEOUT if up is None else None
        check = PlaybackCheck(up, f"up is {up}", reason, 1.0, 0.1, EPOCH + mono, mono + until)
        self.board.played(record, one, check, at(mono))

    def row(self, key: str, mono: float) -> Row:
        """Return what PROVIDER/STREAM shows."""
        provider, _, name = key.partition("/")
        return next(self.board.rows(at(mono), [(provider, name)]))

    def differs(self, key: str, mono: float) -> bool | None:
        """Return whether PROVIDER/STREAM is live at one hop and not at another."""
        return self.row(key, mono).hop_disagreement
