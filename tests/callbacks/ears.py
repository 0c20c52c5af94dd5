"""An ear without a network: what it counted, and whom it would ask for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from exporter.fields import Secret
from exporter.model import Account, Stream
from exporter.providers import found
from exporter.providers.interface import Callback
from exporter.state.board import Board
from exporter.state.callbacks import Ear, Verdict
from exporter.state.counters import Tally

from .letters import DOMAIN, NOW, SECRET

STREAMS: dict[str, list[dict[str, Any]]] = {
    "zego": [{"name": "rtc01"}, {"name": "rtc02"}],
    "tencent": [{"name": name, "domain": DOMAIN} for name in ("s1", "s2")],
    "alibaba": [{"name": name, "domain": DOMAIN, "app": "live"} for name in ("s1", "s2")],
}
FIELDS: dict[str, dict[str, Any]] = {"zego": {"app_id": 77}, "tencent": {}, "alibaba": {}}


def account(provider: str, **fields: Any) -> Account:
    """Return an account that is named as its provider."""
    made: Account = found()[provider].account(name=provider, provider=provider, **FIELDS[provider], **fields)
    return made


def streams(provider: str, rows: Iterable[dict[str, Any]]) -> list[Stream]:
    """Return streams of that account."""
    return [found()[provider].stream(account=provider, **row) for row in rows]


class Hearing:
    """One account's listener and all that it may touch."""

    def __init__(self, provider: str, rows: list[dict[str, Any]] | None = None, **fields: Any) -> None:
        self.provider = provider
        self.board, self.tally = Board(120.0), Tally()
        self.ear = Ear(self.board, self.tally)
        self.watch(STREAMS[provider] if rows is None else rows, **fields)

    def watch(self, rows: list[dict[str, Any]], **fields: Any) -> None:
        """Configure."""
        watched = streams(self.provider, rows)
        self.board.watch([(self.provider, stream) for stream in watched], 120.0)
        cloud = found()[self.provider]
        self.ear.configure([(cloud, account(self.provider, **fields), Secret(SECRET), watched)])

    def hear(self, received: Callback, now: float = NOW) -> Verdict:
        """Hear one callback."""
        listener = self.ear.listener(self.provider)
        assert listener is not None
        return self.ear.hear(listener, received, now)

    def outcome(self, received: Callback, now: float = NOW) -> str:
        """Hear one callback; return how it was counted."""
        return self.hear(received, now).outcome

    def counted(self) -> dict[tuple[str, str], int]:
        """Return what was counted, by event and outcome."""
        return {key[2:]: count for key, count in self.tally.callbacks.items() if count}

    def untouched(self) -> bool:
        """Whether nothing but `stream_callbacks_total` has changed."""
        answers = [record for record in self.board if record.answer is not None or record.fault is not None]
        return not (answers or self.tally.ended or self.tally.last_callback)
