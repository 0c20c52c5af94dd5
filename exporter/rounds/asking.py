"""The calls of one round: each waits for its turn, goes out, and what comes of it is noted and counted."""

from __future__ import annotations

from exporter.model import Answer, Fault, Reason
from exporter.providers.interface import Page
from exporter.rounds.call import Caller, Outcome
from exporter.rounds.gate import Connection
from exporter.rounds.plan import Listed, Query
from exporter.rounds.state import AccountState
from exporter.state.record import Record


class Asker:
    """Makes the calls of one round with the credentials that it began with.

    Attributes:
        caller: Signs, sends and reads.
        calls: Calls made, without those whose kept connection had ended meanwhile.
        waiting: Calls that wait for a connection and a slot.
        good: Calls whose outcome shows that the account works.
        definite: Streams that got a definite answer.
        fault: The last failure.
    """

    def __init__(self, state: AccountState, caller: Caller, deadline: float, *, judges: bool = True) -> None:
        """Take what the calls are made with, and until when (monotonic seconds).

        Unless it `judges`, what comes of them is counted and says nothing of the account: for figures.
        """
        self.caller = caller
        self._judges = judges
        self.calls = self.waiting = self.good = self.definite = 0
        self.fault: Fault | None = None
        self._state = state
        self._deadline = deadline

    async def turn(self, action: str) -> Connection | None:
        """Wait until a connection is there and the quota allows a call; None if that would be after the deadline."""
        self.waiting += 1
        new = any(one.action == action and one.elsewhere for one in self._state.provider.listings)
        try:
            return await self._state.gates[action].turn(self._deadline, self.caller.connect, new=new)
        finally:
            self.waiting -= 1

    async def ask_one(self, query: Query, record: Record, connection: Connection) -> None:
        """Ask for one stream."""
        state = self._state
        state.flying.add(record.key)
        try:
            outcome = await self._call(query, connection)
        finally:
            state.flying.discard(record.key)
        if state.record(query.streams[0]) is record:
            board, now = state.shared.board, state.shared.clock.now()
            if isinstance(outcome, Fault):
                board.failed(record, outcome, now)
            elif isinstance(outcome, Answer):
                self.definite += 1
                board.answered(record, outcome, query.api.action, now)
                board.add_inputs(record, query.inputs)
        state.waiting.asked(record.key)

    async def ask_list(self, query: Query, connection: Connection) -> tuple[Page | Fault, float]:
        """Ask for a page of a list; return what came of it, and when it was sent (monotonic seconds)."""
        state = self._state
        sent = state.shared.clock.mono()
        outcome = await self._call(query, connection)
        assert not isinstance(outcome, Answer)
        # A listing that failed counts too: it used up its turn.
        key = (query.api.action, query.scope)
        if isinstance(outcome, Page):
            # A token says that one more page follows.
            pages = query.page if outcome.last else max(outcome.pages, query.page + bool(outcome.token))
            if outcome.origin:
                state.origins[key].note(outcome.origin, sent)
        else:
            pages = state.listed[key].pages if key in state.listed else 1
            state.rows.pop(key, None)
            if (record := state.record(query.streams[0])) is not None:
                state.shared.board.remember(record, outcome, state.shared.clock.now())
        state.listed[key] = Listed(sent, pages)
        return outcome, sent

    async def _call(self, query: Query, connection: Connection) -> Outcome:
        """Make a call, and once more on a new connection if its own broke before an answer; count what came of it."""
        state, gate, caller = self._state, self._state.gates[query.api.action], self.caller
        self.calls += 1
        kept = connection.reused
        made = await caller.call(query, connection)
        stale = made.broke_early and kept
        if made.broke_early and (other := await gate.turn(self._deadline, caller.connect, new=True)) is not None:
            stale = False
            try:
                made = await caller.call(query, other)
            finally:
                other.release()
        if made.throttled:
            gate.throttled(made.retry_after, made.sent)
        fault = made.outcome if isinstance(made.outcome, Fault) else None
        # A kept connection that has ended meanwhile says nothing of the account.
        self.calls -= stale
        if fault is not None:
            if not stale:
                self.fault = fault
            state.count(fault)
            if fault.reason is Reason.AUTH and self._judges:
                state.shared.mark_refused(state.provider, caller.account)
        if self._judges:
            self.good += state.health.met(fault)
        return made.outcome
