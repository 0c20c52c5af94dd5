"""One round: workers that ask for streams until none is left or the deadline comes, and how it went."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

import structlog

from exporter.model import Fault, Reason
from exporter.providers.interface import AnyApi, CredentialsError
from exporter.rounds.asking import Asker
from exporter.rounds.call import Caller, bug
from exporter.rounds.gate import Connection
from exporter.rounds.health import Result
from exporter.rounds.plan import Query
from exporter.rounds.planning import Planner
from exporter.rounds.queue import CallQueue
from exporter.rounds.shared import unhurried
from exporter.rounds.state import AccountState
from exporter.state.record import Key, Record

log = structlog.get_logger("prober")

MAYBE_ITS_OWN: Final = frozenset({Reason.MALFORMED, Reason.HTTP, Reason.PROVIDER_ERROR})
"""Answers that may be broken for one stream alone; while they are, up to a tenth of the streams is tried in a round."""

MOST_TRIALS, TRIAL_SHARE = 8, 10


class Round:
    """One pass over streams whose turn it is, until all are asked or the deadline comes.

    It keeps the account's configuration and the credentials with which it began.

    Attributes:
        started: Monotonic seconds.
        deadline: Monotonic seconds after which no call begins.
        alone: The stream that it is about, where it is about one alone.
        withheld: Streams that are not asked because the breaker is open.
        caller: Makes its calls, once it has credentials; it asks for figures afterwards.
        over: Whether all its calls have ended.
        task: What runs it.
    """

    def __init__(
        self, state: AccountState, deadline: float, *, whole: bool, alone: Key | None = None, follow_up: bool = False
    ) -> None:
        """Begin a round; a `whole` one is about all streams of the account.

        One that only a callback asked for, a `follow_up`, says nothing of the account.
        """
        self.started = state.shared.clock.mono()
        self.deadline = deadline
        self.alone = alone
        self.withheld = 0
        self.over = False
        self.task: asyncio.Task[None] | None = None
        self._state = state
        self._account = state.account
        self._whole = whole
        self._follow_up = follow_up
        self._judged = False
        self.caller: Caller | None = None
        self._asker: Asker | None = None
        self._queue = CallQueue()
        self._news = asyncio.Event()
        self._fault: Fault | None = None

    async def run(self, due: list[Record]) -> None:
        """Ask for streams; whatever happens, each of them is answered, failed, or left for the next round."""
        try:
            await self._ask(due)
        except CredentialsError as error:
            self._fault = Fault(Reason.AUTH, Reason.AUTH, str(error))
            await self._fail(due, self._fault)
        except Exception as error:
            self._fault = bug(self._state.provider.name, error)
            await self._fail(due, self._fault)
        finally:
            self.over = True
        self.judge()

    async def _ask(self, due: list[Record]) -> None:
        state, single = self._state, self._state.provider.single
        credentials = await state.shared.credentials(state.provider, self._account)
        state.identify(credentials)
        caller = self.caller = Caller(state.provider, self._account, credentials, state.shared, state.observers)
        asker = self._asker = Asker(state, caller, self.deadline)
        if state.health.breaker.open and single is not None:
            due = await self._trial(asker, single, due)
        planner = Planner(state, asker, due)
        self._add(await planner.begin())
        if state.health.breaker.open:
            await self._try_list(asker, planner, due)
        # A list may bring as many single calls as there are streams.
        workers = min(self._account.concurrency, len(due))
        work = (self._work(asker, planner) for _ in range(workers))
        for end in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(end, Exception):
                raise end

    # --- what is asked of it from outside ----------------------------------------------------------------------------

    def joinable(self, now: float) -> bool:
        """Whether it is about many streams and still starts calls."""
        return not self.over and self.alone is None and self.deadline > now

    def hurry(self, record: Record) -> bool:
        """Ask for a stream ahead of all others; say whether that will be soon."""
        single = self._state.provider.single
        if single is None or not self._queue.waits(single.action):
            return False
        self._queue.add_first(Query(single, (record.stream,)))
        self._news.set()
        return True

    def narrow(self) -> None:
        """Note that it is no longer about all streams: there may be others now."""
        self._whole = False

    def judge(self) -> None:
        """Say how it went, once it is over or its deadline has come."""
        state, now = self._state, self._state.shared.clock.mono()
        if self._judged or not (self.over or now >= self.deadline):
            return
        self._judged = True
        if self._follow_up:
            return
        complete = self._whole and self.over and not (self._queue.left() or self.withheld or state.flying)
        if complete:
            state.complete_since = max(state.complete_since, self.started)
        result = self._result(now)
        state.shared.replicas.learned(state.names, result, self.started, complete=complete)
        state.learn(result)

    def _result(self, now: float) -> Result:
        left, quota = self._queue.left(), self._queue.left_by_quota()
        flying = 0 if self.over else len(self._state.flying)
        asker = self._asker
        fault = self._fault or (asker.fault if asker is not None else None)
        return Result(
            tried=fault is not None or (asker is not None and asker.calls + asker.waiting > 0),
            good=asker is not None and asker.good > 0,
            definite=asker is not None and asker.definite > 0,
            alone=self.alone if len(self._state.streams) > 1 else None,
            fault=fault,
            seconds=min(now, max(self.deadline, self.started)) - self.started,
            unprobed={"quota": quota, "deadline": left - quota + flying, "breaker": self.withheld},
        )

    # --- how it begins -----------------------------------------------------------------------------------------------

    async def _trial(self, asker: Asker, single: AnyApi, due: list[Record]) -> list[Record]:
        """While the breaker is open ask for one stream; return the others if the account answers again.

        A broken answer shows that somebody is there, and may be that stream's own trouble: the next one is tried.
        """
        state, rest = self._state, deque(due)
        for _ in range(min(MOST_TRIALS, max(1, len(state.streams) // TRIAL_SHARE))):
            if not rest or (connection := await asker.turn(single.action)) is None:
                break
            first = rest.popleft()
            try:
                await asker.ask_one(Query(single, (first.stream,)), first, connection)
            finally:
                connection.release()
            if not state.health.breaker.open:
                # What only a list tells of the first is asked with the rest.
                detailed = any(listing.needed_by(first.stream) for listing in state.provider.listings)
                return [*rest, first] if detailed else list(rest)
            if first.fault is None or first.fault.reason not in MAYBE_ITS_OWN:
                break
        await self._withhold(asker, rest)
        return []

    async def _try_list(self, asker: Asker, planner: Planner, due: list[Record]) -> None:
        """Where only lists answer, make one call while the breaker is open, and no other until the account answers."""
        if (action := self._queue.choose()) is not None:
            await self._ask_next(action, asker, planner)
        if self._state.health.breaker.open:
            self._queue = CallQueue()
            await self._withhold(asker, [record for record in due if record.tried < self.started])

    async def _withhold(self, asker: Asker, records: Sequence[Record]) -> None:
        """Withdraw what streams show that are not asked for."""
        board, now = self._state.shared.board, self._state.shared.clock.now()
        self.withheld += len(records)
        fault = asker.fault or self._state.health.fault or Fault(Reason.TIMEOUT, Reason.TIMEOUT)
        async for record in unhurried(records):
            board.withhold(record, fault, now)

    def _add(self, queries: Iterable[Query]) -> None:
        self._queue.add(queries)
        self._news.set()

    async def _fail(self, due: Iterable[Record], fault: Fault) -> None:
        """Fail all of these streams that were not asked in this round."""
        state, now = self._state, self._state.shared.clock.now()
        async for record in unhurried(due):
            if record.tried < self.started:
                state.shared.board.failed(record, fault, now)
                state.count(fault)
                state.waiting.asked(record.key)

    # --- workers -----------------------------------------------------------------------------------------------------

    async def _work(self, asker: Asker, planner: Planner) -> None:
        """Make calls until none are left: a fixed set of workers, never a task per stream."""
        queue = self._queue
        try:
            while self._state.shared.clock.mono() < self.deadline:
                if queue.choose() is not None:
                    async with self._state.slots:
                        if (action := queue.choose()) is not None:
                            await self._ask_next(action, asker, planner)
                elif queue.listings:
                    # A listing under way may bring more to ask.
                    self._news.clear()
                    await self._news.wait()
                else:
                    return
        finally:
            self._news.set()

    async def _ask_next(self, action: str, asker: Asker, planner: Planner) -> None:
        """Wait for a turn, and only then make the call that is most urgent by now."""
        queue = self._queue
        queue.claim(action)
        try:
            connection = await asker.turn(action)
        finally:
            queue.unclaim(action)
        if connection is None:
            queue.refuse(action)
            self._news.set()
            return
        try:
            while (query := queue.take(action)) is not None:
                if await self._make(query, asker, planner, connection):
                    return
        finally:
            connection.release()

    async def _make(self, query: Query, asker: Asker, planner: Planner, connection: Connection) -> bool:
        """Make a call unless nobody waits for it any more; a bug costs its own streams the answer, and no others."""
        try:
            if query.page:
                await self._list(query, asker, planner, connection)
                return True
            record = self._state.record(query.streams[0])
            if record is None or not self._wanted(record):
                return False
            await asker.ask_one(query, record, connection)
        except Exception as error:
            asker.fault = bug(self._state.provider.name, error)
            await self._fail(filter(None, map(self._state.record, query.streams)), asker.fault)
        return True

    def _wanted(self, record: Record) -> bool:
        """Whether a stream in the queue still waits for an answer: another call may have brought it."""
        fresh = max(self.started, self._state.waiting.fresh(record.key))
        return record.tried < fresh and record.key not in self._state.flying

    async def _list(self, query: Query, asker: Asker, planner: Planner, connection: Connection) -> None:
        try:
            outcome, sent = await asker.ask_list(query, connection)
            self._add(await planner.learn(query, outcome, sent))
        finally:
            self._queue.listings -= 1
            self._news.set()
