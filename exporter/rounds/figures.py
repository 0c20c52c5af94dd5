"""Asks for the figures of one account's live streams: after the states of a round, and never at their expense.

One call at a time, beside the calls for states and with a pace of its own. A scrape waits for figures only a moment,
and not at all after they have been late; then they come with the next one.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

import structlog

from exporter.model import Fault, State, Stream
from exporter.providers import codes as catalogue
from exporter.providers.interface import Page
from exporter.rounds.asking import Asker
from exporter.rounds.call import Caller, bug
from exporter.rounds.plan import FigureStep, Group, figure_groups
from exporter.rounds.planning import PLANNED_AT_ONCE
from exporter.rounds.shared import unhurried
from exporter.rounds.state import NEVER, AccountState
from exporter.state.record import Instant

log = structlog.get_logger("prober")

PATIENCE_SECONDS: Final = 0.5
"""How long a scrape whose states are there waits for figures."""

ASKING_SECONDS: Final = 5.0
"""How long calls for figures may begin after a round, whatever its deadline was."""


class FigureAsker:
    """Asks for figures where they are due; `fault` is the last call's, None once one has been answered."""

    def __init__(self, state: AccountState) -> None:
        self.fault: Fault | None = None
        self._state = state
        self._task: asyncio.Task[None] | None = None
        self._punctual = True
        self._next = NEVER

    def configure(self) -> None:
        """Look again at the next round what is due: there may be other streams now."""
        self._next = NEVER

    def begin(self, caller: Caller) -> None:
        """Ask for what is due, unless that is under way."""
        state, now = self._state, self._state.shared.clock.mono()
        idle = self._task is None or self._task.done()
        wanted = state.provider.figures and caller.account.figures and not state.health.breaker.open
        if wanted and idle and now >= self._next:
            self._task = asyncio.create_task(self._run(caller), name=f"figures {state.account.name}")

    async def wait(self, deadline: float) -> None:
        """Wait a moment for figures that are being asked for, at most until the deadline (monotonic seconds)."""
        task, left = self._task, deadline - self._state.shared.clock.mono()
        if task is not None and not task.done() and self._punctual and left > 0:
            await asyncio.wait({task}, timeout=min(left, PATIENCE_SECONDS))
            self._punctual = task.done()

    # --- asking ------------------------------------------------------------------------------------------------------

    async def _run(self, caller: Caller) -> None:
        state, mono = self._state, self._state.shared.clock.mono
        began = mono()
        try:
            live = await self._live()
            make = partial(figure_groups, state.provider, caller.account, live, began, state.listed)
            groups: list[Group] = make() if len(live) <= PLANNED_AT_ONCE else await state.shared.aside(make)
            asker = Asker(state, caller, began + ASKING_SECONDS, judges=False)
            done = [await self._ask(asker, group) for group in groups]
            if done and all(done) and state.account is caller.account:
                self._next = began + min(listing.every(caller.account) for listing in state.provider.figures)
            if asker.calls:
                self._tell(asker.fault)
        except Exception as error:
            bug(state.provider.name, error)
        finally:
            self._punctual = mono() - began <= PATIENCE_SECONDS

    async def _live(self) -> list[Stream]:
        """Return the streams that are live now: no other stream has figures."""
        state, board = self._state, self._state.shared.board
        now, live = state.shared.clock.mono(), []
        async for stream in unhurried(state.streams):
            record = board.get((state.provider.name, stream.name))
            if record is not None and record.state(now, board.max_age) is State.ACTIVE:
                live.append(stream)
        return live

    async def _ask(self, asker: Asker, group: Group) -> bool:
        """Read a list page by page; return False where no turn came in time."""
        query = group.query(1, "")
        # A reload may take the streams away meanwhile.
        while query.streams and self._state.record(query.streams[0]) is not None:
            connection = await asker.turn(query.api.action)
            if connection is None:
                return False
            try:
                outcome, sent = await asker.ask_list(query, connection)
            finally:
                connection.release()
            step = await self._learn(asker, group, query.page, outcome)
            await self._show(group, step, sent)
            # What a list says of earlier is no word on how many are live now.
            if step.rows is not None and not group.listing.lag:
                self._state.rows[group.listing.action, group.scope] = step.rows, sent
            if step.ask is None:
                break
            query = step.ask
        return True

    async def _learn(self, asker: Asker, group: Group, number: int, outcome: Page | Fault) -> FigureStep:
        if isinstance(outcome, Fault):
            return FigureStep([], None)
        learn = partial(group.learn_figures, self._state.provider, asker.caller.account, number, outcome)
        if len(group.left) + len(outcome.rows) <= PLANNED_AT_ONCE:
            return learn()
        step: FigureStep = await self._state.shared.aside(learn)
        return step

    async def _show(self, group: Group, step: FigureStep, sent: float) -> None:
        """Show what a page tells; after the last one, or a failure, what the list does not tell is no longer known."""
        state, clock = self._state, self._state.shared.clock
        now, lag = clock.now(), group.listing.lag
        since = Instant(now.unix - (now.mono - sent) - lag, sent - lag)
        until = sent + max(state.shared.board.max_age, 2 * group.listing.every(state.account))
        gone = [(stream, None) for stream in group.left] if step.ask is None else []
        async for stream, figures in unhurried([*step.told, *gone]):
            if (record := state.record(stream)) is not None:
                state.shared.board.figured(record, figures, since, until)

    def _tell(self, fault: Fault | None) -> None:
        """Log that figures begin to fail, fail for another reason, or come again."""
        before, self.fault = self.fault, fault
        if (before and before.reason) == (fault and fault.reason):
            return
        provider, account = self._state.names
        action = ", ".join(listing.action for listing in self._state.provider.figures)
        if fault is None:
            log.info("figures come again", provider=provider, account=account, action=action)
            return
        advice = catalogue.of_fault(provider, fault.code, fault.reason).advice
        log.warning("figures are missing", provider=provider, account=account, action=action, reason=str(fault.reason),
                    code=fault.code, message=fault.message, request_id=fault.request_id, advice=advice)  # fmt: skip
