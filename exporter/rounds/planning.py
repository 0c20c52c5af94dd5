"""The plan of one round: which calls it begins with, and which follow from each page of a list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from exporter.model import Fault, Reason, State, Stream
from exporter.providers import codes as catalogue
from exporter.providers.interface import AnyProvider, Listing, Page
from exporter.rounds.asking import Asker
from exporter.rounds.plan import Outlook, Query, Step, plan
from exporter.rounds.shared import unhurried
from exporter.rounds.state import AccountState
from exporter.state.record import Record

PLANNED_AT_ONCE: Final = 1000  # streams and rows that the planner goes through in a few milliseconds

UNTOLD: Final = Fault(Reason.MALFORMED, Reason.MALFORMED, "the list does not say whether the stream is live")
"""Where a list that was not read whole is all that a provider has."""


class Planner:
    """Takes a plan from step to step, for many streams where that does not hold the event loop."""

    def __init__(self, state: AccountState, asker: Asker, due: Sequence[Record]) -> None:
        down = {r.stream.name for r in due if r.answer is not None and r.answer.state is not State.ACTIVE}
        now, since = state.shared.clock.mono(), state.endpoint_since
        homes = {r.stream.name: r.answer.origin for r in due if r.answer is not None and r.answered_mono >= since}
        homes = {name: origin for name, origin in homes.items() if origin}
        outlook = Outlook(now, state.allowed_rates(), down, state.listed, state.origins, homes)
        self._state = state
        self._asker = asker
        self._size = len(due)
        self._plan = plan(state.provider, asker.caller.account, [record.stream for record in due], outlook)
        self._one_at_a_time = asyncio.Lock()

    async def begin(self) -> list[Query]:
        """Return the calls to begin with."""
        step = await self._advance(partial(next, self._plan), self._size)
        return step.ask

    async def learn(self, query: Query, outcome: Page | Fault, sent: float) -> list[Query]:
        """Take what came of a listing call; return the calls that follow, or raise what the provider's code raised.

        Args:
            query: What was asked.
            outcome: What came of it.
            sent: When it was sent, in monotonic seconds.
        """
        page = outcome if isinstance(outcome, Page) else None
        size = len(query.streams) + (len(page.rows) if page is not None else 0)
        step = await self._advance(partial(self._plan.send, (query, page)), size)
        if step.bug is not None:
            raise step.bug
        state = self._state
        if step.rows is not None:
            state.rows[query.api.action, query.scope] = step.rows, sent
        await self._settle(step, query.api.action, sent, page.origin if page is not None else "")
        fault = UNTOLD if isinstance(outcome, Page) else outcome
        await self._fail(step.lost, fault, sent)
        if step.elsewhere:
            doubt = _elsewhere(state.provider, query)
            state.count(doubt)
            self._asker.fault = doubt
            await self._fail(step.elsewhere, doubt, sent)
        async for asked in unhurried(step.ask):
            if asked.inputs is not None and (record := state.record(asked.streams[0])) is not None:
                state.shared.board.add_inputs(record, asked.inputs)
        return step.ask

    async def _settle(self, step: Step, action: str, sent: float, origin: str) -> None:
        """Note what a listing tells; what was asked of a stream since that was sent is newer."""
        state, board, now = self._state, self._state.shared.board, self._state.shared.clock.now()
        async for stream, answer in unhurried(step.settled):
            record = state.record(stream)
            if record is not None and record.tried <= sent:
                self._asker.definite += 1
                told = answer._replace(origin=origin) if origin and answer.state is State.ACTIVE else answer
                board.answered(record, told, action, now)
                state.waiting.asked(record.key)
            elif record is not None:
                board.add_inputs(record, answer.inputs)

    async def _fail(self, streams: Sequence[Stream], fault: Fault, sent: float) -> None:
        """Note that a listing does not tell of these streams."""
        state, now = self._state, self._state.shared.clock.now()
        async for stream in unhurried(streams):
            if (record := state.record(stream)) is not None and record.tried <= sent:
                state.shared.board.failed(record, fault, now)
                state.waiting.asked(record.key)

    async def _advance(self, advance: Callable[[], Step], size: int) -> Step:
        async with self._one_at_a_time:
            if size <= PLANNED_AT_ONCE:
                return advance()
            step: Step = await self._state.shared.aside(advance)
            return step


def _elsewhere(provider: AnyProvider, query: Query) -> Fault:
    """Say of a stream that another process of the server may have it."""
    assert isinstance(query.api, Listing)
    entry = catalogue.load(provider.name).lookup(query.api.action, query.api.elsewhere)
    return Fault(Reason(entry.reason or Reason.PROVIDER_ERROR), catalogue.label(entry), entry.meaning)
