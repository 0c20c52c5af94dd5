"""Several exporters on one hub and one network, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from exporter.model import Account, State, Stream
from exporter.replicas.together import SharedRounds
from exporter.rounds.prober import Prober
from exporter.rounds.state import AccountState
from tests.replicas.hub import Hub, HubStore
from tests.virtual import Network, account, prober


async def in_common(_state: AccountState) -> Mapping[str, str]:
    """Return what all replicas know."""
    return {"secret": "made-up-secret"}


@dataclass(slots=True)
class Replica:
    """One exporter."""

    prober: Prober
    store: HubStore
    rounds: SharedRounds

    def configure(self, accounts: Iterable[Account], watched: Iterable[Stream]) -> None:
        """Watch these streams from now on."""
        clouds = {one.provider.name: one.provider for one in self.prober.present()}
        self.prober.configure([(clouds[one.provider], one) for one in accounts], watched, 120.0)
        self.rounds.configure(self.prober.present())

    def states(self) -> dict[str, State]:
        """Return what each stream shows now."""
        now, board = asyncio.get_running_loop().time(), self.prober.shared.board
        return {record.key[1]: record.state(now, board.max_age) for record in board}


@asynccontextmanager
async def replicas(
    network: Network,
    watched: list[Stream],
    count: int = 2,
    hub: Hub | None = None,
    kind: str = "r",
    secrets: Callable[[AccountState], Awaitable[Mapping[str, str]]] = in_common,
    **fields: Any,
) -> AsyncIterator[list[Replica]]:
    """Run exporters of one account that share a hub."""
    hub = hub or Hub()
    async with AsyncExitStack() as stack:
        made = []
        for number in range(count):
            one = prober(network, [account(**fields)], watched)
            store = HubStore(hub, f"{kind}{number}")
            rounds = SharedRounds(store, one.shared.clock, secrets)
            rounds.start()
            stack.push_async_callback(rounds.close)
            one.shared.replicas = rounds
            one.shared.board.on_news.append(rounds.note)
            rounds.configure(one.present())
            made.append(Replica(one, store, rounds))
        yield made
