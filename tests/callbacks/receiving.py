"""A callback receiver without a network: what it counted, and whom it would ask for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from exporter.fields import Secret
from exporter.model import Account, Stream
from exporter.providers import all_providers
from exporter.providers.interface import Callback
from exporter.state.board import Board
from exporter.state.callbacks import CallbackReceiver, Verdict
from exporter.state.counters import Counters

from .deliveries import DOMAIN, NOW, SECRET

STREAMS: dict[str, list[dict[str, Any]]] = {
    "zego": [{"name": "rtc01"}, {"name": "rtc02"}],
    "tencent": [{"name": name, "domain": DOMAIN} for name in ("s1", "s2")],
    "alibaba": [{"name": name, "domain": DOMAIN, "app": "live"} for name in ("s1", "s2")],
    "huawei": [{"name": name, "domain": DOMAIN, "app": "live"} for name in ("s1", "s2")],
}
HUAWEI = {"project_id": "project", "region": "cn-north-4"}
FIELDS: dict[str, dict[str, Any]] = {"zego": {"app_id": 77}, "tencent": {}, "alibaba": {}, "huawei": HUAWEI}


def account(provider: str, **fields: Any) -> Account:
    """Return an account that is named as its provider."""
    made: Account = all_providers()[provider].account(name=provider, provider=provider, **FIELDS[provider], **fields)
    return made


def streams(provider: str, rows: Iterable[dict[str, Any]]) -> list[Stream]:
    """Return streams of that account."""
    return [all_providers()[provider].stream(account=provider, **row) for row in rows]


class Receiving:
    """One account's receiver and all that it may touch."""

    def __init__(self, provider: str, rows: list[dict[str, Any]] | None = None, **fields: Any) -> None:
        self.provider = provider
        self.board, self.counters = Board(120.0), Counters()
        self.receiver = CallbackReceiver(
            all_providers()[provider], account(provider), Secret(SECRET), self.board, self.counters
        )
        self.watch(STREAMS[provider] if rows is None else rows, **fields)

    def watch(self, rows: list[dict[str, Any]], **fields: Any) -> None:
        """Configure."""
        watched = streams(self.provider, rows)
        self.board.watch([(self.provider, stream) for stream in watched], 120.0)
        self.receiver.configure(account(self.provider, **fields), Secret(SECRET), watched)

    def receive(self, received: Callback, now: float = NOW) -> Verdict:
        """Receive one callback."""
        return self.receiver.receive(received, now)

    def outcome(self, received: Callback, now: float = NOW) -> str:
        """Receive one callback; return how it was counted."""
        return self.receive(received, now).outcome

    def counted(self) -> dict[tuple[str, str], int]:
        """Return what was counted, by event and outcome."""
        return {key[2:]: count for key, count in self.counters.callbacks.items() if count}

    def untouched(self) -> bool:
        """Whether nothing but `stream_callbacks_total` has changed."""
        answers = [record for record in self.board if record.answer is not None or record.fault is not None]
        return not (answers or self.counters.push_ends or self.counters.last_callback)
