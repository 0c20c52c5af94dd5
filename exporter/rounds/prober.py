"""All accounts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from exporter.model import Account, Stream
from exporter.providers.interface import AnyProvider
from exporter.rounds.account import AccountProber
from exporter.rounds.pace import WHOLE, Part
from exporter.rounds.shared import Shared, place
from exporter.state.record import Record

log = structlog.get_logger("prober")


class Prober:
    """The probers of all accounts that are configured. They share nothing but what `Shared` holds.

    Attributes:
        accounts: By the account's name.
    """

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.accounts: dict[str, AccountProber] = {}

    def configure(
        self,
        accounts: Iterable[tuple[AnyProvider, Account]],
        streams: Iterable[Stream],
        max_age: float,
        part: Part = WHOLE,
    ) -> None:
        """Watch these streams from now on, at a part of each quota.

        Accounts that stay keep their quotas, breakers and calls.
        """
        self.shared.limits.share(part, self.shared.clock.ahead())
        by_account: dict[str, list[Stream]] = {}
        for stream in streams:
            by_account.setdefault(stream.account, []).append(stream)
        probers: dict[str, AccountProber] = {}
        for provider, account in accounts:
            prober = self.accounts.get(account.name)
            if prober is None or prober.provider is not provider:
                prober = AccountProber(provider, account, self.shared)
            prober.configure(account, by_account.get(account.name, ()))
            probers[account.name] = prober
        self.accounts = probers
        names = {prober.names for prober in probers.values()}
        watched = [(prober.provider.name, stream) for prober in probers.values() for stream in prober.streams]
        self.shared.limits.keep(names, self.shared.clock.mono())
        self.shared.board.watch(watched, max_age)
        keys = {(provider, stream.name) for provider, stream in watched}
        addresses = {(provider, stream.name, one.name) for provider, stream in watched for one in stream.playback}
        self.shared.counters.keep(names, keys, addresses)

    async def refresh(self, deadline: float, fresh: float, accounts: Iterable[AccountProber] | None = None) -> None:
        """Ask every account's streams at once; return when all are asked, or at the deadline (monotonic seconds)."""
        self.shared.limits.align(self.shared.clock.ahead())
        wanted = [one for one in (self.accounts.values() if accounts is None else accounts) if one.streams]
        asked = await asyncio.gather(*(one.refresh(deadline, fresh) for one in wanted), return_exceptions=True)
        for one, problem in zip(wanted, asked, strict=True):
            if isinstance(problem, Exception):
                log.error("bug", account=one.account.name, kind=type(problem).__name__, place=place(problem))

    def present(self) -> Iterable[AccountProber]:
        """Return the accounts of the configuration in force."""
        return self.accounts.values()

    def prober_of(self, record: Record) -> AccountProber | None:
        """Return who asks for a stream, or None where a reload has taken it away."""
        watched = self.shared.board.get(record.key) is record
        return self.accounts.get(record.stream.account) if watched else None
