"""One round: drives a plan, spends quota, keeps the deadline, and counts failures where they are born."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import structlog

from exporter.model import Answer, Fault, Reason, State
from exporter.providers import codes as catalogue
from exporter.providers.interface import CredentialsError, Page
from exporter.rounds.call import Attempt, Caller, Outcome, bug
from exporter.rounds.gate import Connection
from exporter.rounds.health import Result
from exporter.rounds.plan import Listed, Outlook, Plan, Query, Step, plan
from exporter.rounds.queue import CallQueue
from exporter.rounds.shared import unhurried
from exporter.rounds.state import AccountState
from exporter.state.board import Key, Record

log = structlog.get_logger("prober")

MAYBE_ITS_OWN: Final = frozenset({Reason.MALFORMED, Reason.HTTP, Reason.PROVIDER_ERROR})
"""Answers that may be broken for one stream alone; while they are, up to a tenth of the streams is tried in a round."""

MOST_TRIALS, TRIAL_SHARE = 8, 10
PLANNED_AT_ONCE: Final = 1000  # streams and rows that the planner goes through in a few milliseconds


class Round:
    """One pass over streams whose turn it is, until all are asked or the deadline comes.

    It keeps the account's configuration and the credentials with which it began.

    Attributes:
        started: Monotonic seconds.
        deadline: Monotonic seconds after which no call begins.
        alone: The stream that it is about, where it is about one alone.
        held: Streams that are not asked because the breaker is open.
        over: Whether all its calls have ended.
        task: What runs it.
    """

    def __init__(
        self, state: AccountState, deadline: float, *, whole: bool, alone: Key | None = None, hinted: bool = False
    ) -> None:
        """Begin a round.

        Args:
            state: The account's.
            deadline: Monotonic seconds.
            whole: Whether it is about all streams of the account.
            alone: The stream that it is about, where it is about one alone.
            hinted: Whether only a callback asked for it: then it says nothing of the account.
        """
        self.started = state.shared.clock.mono()
        self.deadline = deadline
        self.alone = alone
        self.held = 0
        self.over = False
        self.task: asyncio.Task[None] | None = None
        self._state = state
        self._account = state.account
        self._whole = whole
        self._hinted = hinted
        self._judged = False
        self._caller: Caller | None = None
        self._plan: Plan | None = None
        self._planning = asyncio.Lock()
        self._queue = CallQueue()
        self._news = asyncio.Event()
        self._calls = self._connecting = self._good = self._definite = 0
        self._fault: Fault | None = None

    async def run(self, due: list[Record]) -> None:
        """Ask for streams; whatever happens, each of them is answered, failed, or left for the next round."""
        state = self._state
        try:
            credentials = await state.shared.credentials(state.provider, self._account)
            state.identify(credentials)
            self._caller = Caller(state.provider, self._account, credentials, state.shared, state.observers)
            if state.health.breaker.open:
                due = await self._trial(due)
            await self._begin(due)
            # A list may bring as many single calls as there are streams.
            workers = min(self._account.concurrency, len(due))
            await asyncio.gather(*(self._work() for _ in range(workers)))
        except CredentialsError as error:
            await self._fail_all(due, Fault(Reason.AUTH, Reason.AUTH, str(error)))
        except Exception as error:
            await self._fail_all(due, bug(state.provider.name, error))
        finally:
            self.over = True
        self.judge()

    # --- what is asked of it from outside ----------------------------------------------------------------------------

    def joinable(self, now: float) -> bool:
        """Whether it is about many streams and still starts calls."""
        return not self.over and self.alone is None and self.deadline > now

    def hurry(self, record: Record) -> bool:
        """Ask for a stream ahead of all others; say whether that will be soon."""
        single = self._state.provider.single
        if not self._queue.waits(single.action):
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
        if self._hinted:
            return
        if self._whole and self.over and not (self._queue.left() or self.held or state.flying):
            state.complete_since = max(state.complete_since, self.started)
        if state.health.learn(self._result(now)):
            self._tell()

    def _result(self, now: float) -> Result:
        left, quota = self._queue.left(), self._queue.left_by_quota()
        flying = 0 if self.over else len(self._state.flying)
        return Result(
            tried=self._calls + self._connecting > 0 or self._fault is not None,
            good=self._good > 0,
            definite=self._definite > 0,
            alone=self.alone if len(self._state.streams) > 1 else None,
            fault=self._fault,
            seconds=min(now, max(self.deadline, self.started)) - self.started,
            unprobed={"quota": quota, "deadline": left - quota + flying, "breaker": self.held},
        )

    def _tell(self) -> None:
        """Log that the account begins to fail, fails for another reason, or answers again."""
        provider, name = self._state.names
        fault = self._state.health.fault
        if fault is None:
            log.info("account answers again", provider=provider, account=name)
            return
        advice = catalogue.of_fault(provider, fault.code, fault.reason).advice
        log.warning("account answers nothing", provider=provider, account=name, reason=str(fault.reason),
                    code=fault.code, message=fault.message, request_id=fault.request_id, advice=advice)  # fmt: skip

    # --- how it begins -----------------------------------------------------------------------------------------------

    async def _trial(self, due: list[Record]) -> list[Record]:
        """While the breaker is open ask for one stream; return the others if the account answers again.

        A broken answer shows that somebody is there, and may be that stream's own trouble: the next one is tried.
        """
        state, rest = self._state, deque(due)
        single = state.provider.single
        for _ in range(min(MOST_TRIALS, max(1, len(state.streams) // TRIAL_SHARE))):
            if not rest or (connection := await self._turn(single.action)) is None:
                break
            first = rest.popleft()
            try:
                await self._ask_one(Query(single, (first.stream,)), first, connection)
            finally:
                connection.release()
            if not state.health.breaker.open:
                # What only a list tells of the first is asked with the rest.
                detailed = any(listing.details(first.stream) for listing in state.provider.listings)
                return [*rest, first] if detailed else list(rest)
            if first.fault is None or first.fault.reason not in MAYBE_ITS_OWN:
                break
        fault = self._fault or state.health.fault or Fault(Reason.TIMEOUT, Reason.TIMEOUT)
        self.held = len(rest)
        now = state.shared.clock.now()
        async for record in unhurried(rest):
            state.shared.board.withhold(record, fault, now)
        return []

    async def _begin(self, due: list[Record]) -> None:
        state = self._state
        down = {r.stream.name for r in due if r.answer is not None and r.answer.state is not State.ACTIVE}
        outlook = Outlook(state.shared.clock.mono(), state.rates(), down, state.listed)
        self._plan = plan(state.provider, self._account, [record.stream for record in due], outlook)
        step = await self._planned(partial(next, self._plan, None), len(due))
        self._add(step.ask if step is not None else ())

    async def _planned(self, advance: Callable[[], Step | None], size: int) -> Step | None:
        """Take the plan one step further, for many streams where that does not hold the event loop."""
        async with self._planning:
            if size <= PLANNED_AT_ONCE:
                return advance()
            step: Step | None = await self._state.shared.aside(advance)
            return step

    def _add(self, queries: Iterable[Query]) -> None:
        self._queue.add(queries)
        self._news.set()

    async def _fail_all(self, due: Iterable[Record], fault: Fault) -> None:
        """Fail every stream of a round that could not even begin."""
        self._fault = fault
        board, now = self._state.shared.board, self._state.shared.clock.now()
        async for record in unhurried(due):
            if record.tried < self.started:
                board.failed(record, fault, now)
                self._count(fault)

    # --- workers -----------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        """Make calls until none are left: a fixed set of workers, never a task per stream."""
        while self._state.shared.clock.mono() < self.deadline:
            if self._queue.choose() is not None:
                async with self._state.slots:
                    await self._next()
            elif self._queue.listings:
                # A listing under way may bring more to ask.
                self._news.clear()
                await self._news.wait()
            else:
                return

    async def _next(self) -> None:
        """Wait for a turn, and only then take the call that is most urgent by now."""
        action = self._queue.choose()
        if action is None:
            return
        self._queue.claim(action)
        try:
            connection = await self._turn(action)
        finally:
            self._queue.unclaim(action)
        if connection is None:
            self._queue.refuse(action)
            self._news.set()
            return
        try:
            await self._take(action, connection)
        finally:
            connection.release()

    async def _turn(self, action: str) -> Connection | None:
        """Wait until a connection is there and the quota allows a call; None if that would be after the deadline."""
        assert self._caller is not None
        self._connecting += 1
        try:
            return await self._state.gates[action].turn(self.deadline, self._caller.connect)
        finally:
            self._connecting -= 1

    async def _take(self, action: str, connection: Connection) -> None:
        while (query := self._queue.take(action)) is not None:
            if query.page:
                await self._ask_list(query, connection)
                return
            record = self._state.record(query.streams[0])
            if record is not None and self._wanted(record):
                await self._ask_one(query, record, connection)
                return

    def _wanted(self, record: Record) -> bool:
        """Whether a stream in the queue still waits for an answer: another call may have brought it."""
        fresh = max(self.started, self._state.waiting.fresh(record.key))
        return record.tried < fresh and record.key not in self._state.flying

    # --- calls -------------------------------------------------------------------------------------------------------

    async def _ask_one(self, query: Query, record: Record, connection: Connection) -> None:
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
                self._definite += 1
                board.answered(record, outcome, query.api.action, now)
                board.supply(record, query.inputs)
        state.waiting.asked(record.key)

    async def _ask_list(self, query: Query, connection: Connection) -> None:
        state = self._state
        sent = state.shared.clock.mono()
        try:
            outcome = await self._call(query, connection)
            page = outcome if isinstance(outcome, Page) else None
            if isinstance(outcome, Fault) and (record := state.record(query.streams[0])) is not None:
                state.shared.board.remember(record, outcome, state.shared.clock.now())
            # A listing that failed counts too: it used up its turn.
            key = (query.api.action, query.scope)
            pages = state.listed[key].pages if key in state.listed else 1
            if page is not None:
                pages = query.page if page.last else page.pages
            state.listed[key] = Listed(sent, pages)
            await self._learn(query, page, sent)
        finally:
            self._queue.listings -= 1
            self._news.set()

    async def _learn(self, query: Query, page: Page | None, sent: float) -> None:
        assert self._plan is not None
        size = len(query.streams) + (len(page.rows) if page is not None else 0)
        step = await self._planned(partial(_told, self._plan, query, page), size)
        if step is None:
            return
        self._add(step.ask)
        state, board, now = self._state, self._state.shared.board, self._state.shared.clock.now()
        async for stream, answer in unhurried(step.settled):
            record = state.record(stream)
            # What was asked of a stream since the listing was sent is newer than the listing.
            if record is not None and record.tried <= sent:
                self._definite += 1
                board.answered(record, answer, query.api.action, now)
                state.waiting.asked(record.key)
            elif record is not None:
                board.supply(record, answer.inputs)
        async for asked in unhurried(step.ask):
            if asked.inputs is not None and (record := state.record(asked.streams[0])) is not None:
                board.supply(record, asked.inputs)

    async def _call(self, query: Query, connection: Connection) -> Outcome:
        """Make a call, and once more on a new connection if its own broke before an answer; count what came of it."""
        assert self._caller is not None
        state, gate = self._state, self._state.gates[query.api.action]
        self._calls += 1
        made = await self._attempt(query, connection)
        stale = made.broke_early and connection.reused
        if made.broke_early and (other := await gate.turn(self.deadline, self._caller.connect, new=True)) is not None:
            stale = False
            try:
                made = await self._attempt(query, other)
            finally:
                other.release()
        fault = made.outcome if isinstance(made.outcome, Fault) else None
        # A kept connection that has ended meanwhile says nothing of the account.
        self._calls -= stale
        if fault is not None:
            if not stale:
                self._fault = fault
            self._count(fault)
            if fault.reason is Reason.AUTH:
                state.shared.doubt(state.provider, self._account)
        self._good += state.health.met(fault)
        return made.outcome

    async def _attempt(self, query: Query, connection: Connection) -> Attempt:
        assert self._caller is not None
        made = await self._caller.call(query, connection)
        if made.throttled:
            self._state.gates[query.api.action].throttled(made.retry_after, made.sent)
        return made

    def _count(self, fault: Fault) -> None:
        key = (*self._state.names, fault.code, str(fault.reason))
        self._state.shared.counters.errors[key] += 1


def _told(plan: Plan, query: Query, page: Page | None) -> Step | None:
    """Tell a plan what came of a listing call; return what follows, or None where it is at its end."""
    try:
        return plan.send((query, page))
    except StopIteration:
        return None
