"""Asks for the streams of one account: joins the round under way, starts another, and waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from exporter.model import Account, Stream
from exporter.providers.interface import AnyProvider
from exporter.rounds.call import Observer
from exporter.rounds.figures import FigureAsker
from exporter.rounds.round import Round
from exporter.rounds.shared import Shared
from exporter.rounds.state import AccountState
from exporter.state.record import Key, Record


class AccountProber(AccountState):
    """One account, with all that belongs to it alone: an account that is dead or slow costs the others nothing."""

    def __init__(self, provider: AnyProvider, account: Account, shared: Shared) -> None:
        super().__init__(provider, account, shared)
        self._rounds: list[Round] = []
        self._figures = FigureAsker(self)
        self.configure(account, ())

    def configure(self, account: Account, streams: Sequence[Stream]) -> None:
        """Take another configuration; quotas, breaker and calls in flight stay."""
        super().configure(account, streams)
        for one in self._rounds:
            one.narrow()
        self._figures.configure()

    # --- asking ------------------------------------------------------------------------------------------------------

    async def refresh(self, deadline: float, fresh: float) -> None:
        """Ask all streams that were not asked since `fresh`, until the deadline (both monotonic seconds).

        A round under way is joined: what it asked counts as fresh. What it left over is asked in a round of our own.
        Then figures are asked for where they are due.
        """
        replicas, leads, started, present = self.shared.replicas, False, False, None
        arrived = self.shared.clock.mono()
        try:
            while (now := self.shared.clock.mono()) < deadline:
                began, over = self.elsewhere
                if over >= arrived:
                    fresh = min(fresh, began)
                joined = self._present(now)
                if joined is not None:
                    fresh, present = min(fresh, joined.started), joined
                elif started or self.complete_since >= fresh or not (due := self._due(fresh)):
                    break
                elif not leads:
                    # What another one asked meanwhile is no longer due.
                    leads = await replicas.lead(self.names, deadline)
                    continue
                else:
                    started, present, leads = True, self._start(due, deadline, leads=True), False
                await self._wait([present], deadline)
                if present.withheld:
                    break
        finally:
            if leads:
                replicas.leave(self.names)
        # Calls of earlier rounds that are still in flight are waited for too: none of them is asked twice.
        await self._wait(self._rounds, deadline)
        self._settle()
        if present is not None and present.caller is not None:
            caller, present.caller = present.caller, None
            self._figures.begin(caller)
        await self._figures.wait(deadline)

    async def refresh_one(self, record: Record, deadline: float, fresh: float, *, follow_up: bool = False) -> None:
        """Ask for one stream, ahead of all others, unless it was asked since `fresh` (monotonic seconds).

        A call that only a callback asked for says nothing of the account: neither the breaker nor the figures of the
        last round are touched by it.
        """
        replicas, claimed = self.shared.replicas, False
        try:
            while record.tried < fresh and (now := self.shared.clock.mono()) < deadline:
                done = self.waiting.expect(record.key, fresh)
                present = self._present(now)
                if record.key not in self.flying and not claimed:
                    claimed = await replicas.claim(record, deadline)
                    continue
                if record.key not in self.flying and not (present is not None and present.hurry(record)):
                    present = self._start([record], deadline, alone=record.key, follow_up=follow_up)
                tasks = {done} if present is None or present.task is None else {done, present.task}
                await asyncio.wait(tasks, timeout=deadline - now, return_when=asyncio.FIRST_COMPLETED)
                if present is not None and (present.withheld or self._in_vain(present, record)):
                    break
        finally:
            if claimed:
                replicas.release(record)
        self._settle()

    @contextmanager
    def observed(self, observer: Observer) -> Iterator[None]:
        """Tell an observer of each call while the block runs."""
        self.observers.add(observer)
        try:
            yield
        finally:
            self.observers.discard(observer)

    @property
    def scraped(self) -> bool:
        """Whether a round over many streams is under way."""
        return self._present(self.shared.clock.mono()) is not None

    # --- rounds ------------------------------------------------------------------------------------------------------

    def _present(self, now: float) -> Round | None:
        """Return the round under way that may be joined."""
        return next((one for one in self._rounds if one.joinable(now)), None)

    def _due(self, fresh: float) -> list[Record]:
        """Return the records whose turn it is, the one asked longest ago first."""
        keys = ((self.provider.name, stream.name) for stream in self.streams)
        records = [record for key in keys if (record := self.shared.board.get(key)) is not None]
        due = [record for record in records if record.tried < fresh and record.key not in self.flying]
        due.sort(key=lambda record: record.tried)
        return due

    def _start(
        self,
        due: list[Record],
        deadline: float,
        *,
        leads: bool = False,
        alone: Key | None = None,
        follow_up: bool = False,
    ) -> Round:
        """Begin a round; one that `leads` keeps other replicas from theirs until it is over."""
        # The callers that waited for these may have left.
        self._rounds = [one for one in self._rounds if not one.over]
        whole = len(due) == len(self.streams)
        made = Round(self, deadline, whole=whole, alone=alone, follow_up=follow_up)
        made.task = asyncio.create_task(made.run(due), name=f"round {self.account.name}")
        if leads:
            made.task.add_done_callback(lambda _: self.shared.replicas.leave(self.names))
        self._rounds.append(made)
        return made

    def _in_vain(self, one: Round, record: Record) -> bool:
        """Whether a round for one stream alone ended without asking: no quota is left, or a reload took the stream."""
        return one.alone is not None and one.over and record.key not in self.flying

    async def _wait(self, rounds: Iterable[Round], deadline: float) -> None:
        """Wait for the calls of some rounds, at most until the deadline."""
        tasks = [one.task for one in rounds if one.task is not None and not one.over]
        left = deadline - self.shared.clock.mono()
        if tasks and left > 0:
            await asyncio.wait(tasks, timeout=left)

    def _settle(self) -> None:
        """Say how the rounds went that are over or whose deadline has come."""
        for one in self._rounds:
            one.judge()
        self._rounds = [one for one in self._rounds if not one.over]
