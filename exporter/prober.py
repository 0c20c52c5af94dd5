"""One round: drives plans, spends quota, keeps the deadline, and counts faults where they are born.

A `Lane` is one account with all that belongs to it alone: quotas, breaker, calls in flight. Lanes share nothing but the
board and the tally, so a provider that is dead or slow costs the others nothing. A scrape, a probe of one stream, the
command `probe` and a callback's immediate probe are all the same `refresh`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import lru_cache, partial
from typing import Any, TypeVar

import structlog

from exporter import catalogue
from exporter.board import Board, Instant, Key, Record
from exporter.document import cheap
from exporter.exchange import Exchange, known_secrets, redact
from exporter.gate import Connection, Gate
from exporter.limits import Limits
from exporter.model import Account, Answer, Call, Credentials, Fault, Moment, Reason, Reply, Request, State, Stream
from exporter.planner import Listed, Outlook, Plan, Query, Step, plan
from exporter.provider import (
    LONGEST_WORD,
    AnyProvider,
    CredentialsError,
    Listing,
    Malformed,
    NoEnvelope,
    Page,
    ProviderError,
    TransportError,
    kept,
    printable,
    retry_after,
)
from exporter.quota import Breaker, Pace
from exporter.reading import Aside, at_once
from exporter.scrubbing import scrub
from exporter.tally import Tally

log = structlog.get_logger("prober")

T = TypeVar("T")

SHOWN = 4096  # characters of an answer that are shown

# Failures that say something of the account or the provider as a whole; a bad request speaks of one stream alone.
ACCOUNT_WIDE = frozenset(Reason) - {Reason.BAD_REQUEST, Reason.BUG}
# Answers that may be broken for one stream alone; while they are, up to a tenth of the streams is tried in a round.
MAYBE_ITS_OWN = frozenset({Reason.MALFORMED, Reason.HTTP, Reason.PROVIDER_ERROR})
MOST_TRIALS, TRIAL_SHARE = 8, 10

OUT_OF_TURN = ""  # stands for no API's action, but for what asks for single streams out of turn

PLANNED_AT_ONCE = 1000  # streams and rows that the planner goes through in a few milliseconds
SLICE = 100


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and chance, handed in so that tests own them.

    Attributes:
        unix: Seconds since 1970.
        mono: Seconds on the event loop's own clock.
        nonce: 32 fresh lower-case hexadecimal digits.
    """

    unix: Callable[[], float]
    mono: Callable[[], float]
    nonce: Callable[[], str]

    def now(self) -> Instant:
        """Return the time on both clocks."""
        return Instant(self.unix(), self.mono())


class Counter:
    """Issues ZEGO's Sequence: milliseconds, strictly growing over the life of the process, whatever the clock does."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = 0

    def next(self, unix: float) -> int:
        """Return a number above all before it."""
        self._last = max(int(unix * 1000), self._last + 1)
        return self._last


Observer = Callable[[Exchange], None]


@dataclass(slots=True)
class Round:
    """One pass over streams whose turn it is, until all are asked or the deadline comes."""

    started: float
    deadline: float
    whole: bool = False
    alone: Key | None = None
    hinted: bool = False
    plan: Plan | None = None
    pending: dict[str, deque[Query]] = field(default_factory=dict)
    claimed: dict[str, int] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    listings: int = 0
    calls: int = 0
    good: int = 0
    definite: int = 0
    held: int = 0
    connecting: int = 0
    fault: Fault | None = None
    judged: bool = False
    over: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)
    planning: asyncio.Lock = field(default_factory=asyncio.Lock)
    task: asyncio.Task[None] | None = None

    def add(self, queries: Iterable[Query]) -> None:
        """Queue calls, listings first of their kind."""
        for query in queries:
            self.pending.setdefault(query.api.action, deque()).append(query)
            self.listings += query.page > 0
        self.news.set()

    def add_first(self, query: Query) -> None:
        """Queue a call ahead of all others of its action."""
        queue = self.pending.setdefault(query.api.action, deque())
        # The same call may wait further behind, and know what a list told before.
        queue.appendleft(next((one for one in queue if one.streams == query.streams and not one.page), query))
        self.news.set()

    def queues(self, action: str) -> bool:
        """Whether calls of an action wait for their turn, so that the next one is sure to be taken soon."""
        return bool(self.pending.get(action)) and action not in self.refused

    def refuse(self, action: str) -> None:
        """Make no more calls of an action: its quota has none left before the deadline."""
        self.refused.add(action)
        self.listings -= sum(query.page > 0 for query in self.pending[action])
        self.news.set()

    def choose(self) -> str | None:
        """Return an action with a call that no worker has claimed yet."""
        for action, queue in self.pending.items():
            if len(queue) > self.claimed.get(action, 0) and action not in self.refused:
                return action
        return None

    def left(self) -> int:
        """Return how many streams still wait for their turn."""
        return sum(len(query.streams) for queue in self.pending.values() for query in queue)


class Lane:
    """One account: its quotas, its breaker, its calls in flight, its present round."""

    def __init__(self, provider: AnyProvider, account: Account, shared: Shared) -> None:
        self.provider = provider
        self.account = account
        self.shared = shared
        self.streams: tuple[Stream, ...] = ()
        self.breaker = Breaker()
        self.paces: dict[str, Pace] = {}
        self.out_of_turn = Pace(1.0)
        self.observers: set[Observer] = set()
        self.up: bool | None = None
        self.fault: Fault | None = None
        self.round_seconds: float | None = None
        self.unprobed: dict[str, int] = dict.fromkeys(("quota", "deadline", "breaker"), 0)
        self._catalogue = catalogue.load(provider.name)
        self._gates: dict[str, Gate] = {}
        self._calls = asyncio.Semaphore(account.concurrency)
        self._flying: set[Key] = set()
        self._rounds: list[Round] = []
        self._listed: dict[tuple[str, str], Listed] = {}
        self._credentials: Credentials | None = None
        self._complete = float("-inf")  # every stream was asked since then
        self._failed_alone: Key | None = None
        self._urgent: dict[Key, float] = {}
        self._awaited: dict[Key, asyncio.Future[None]] = {}
        self.configure(account, ())

    def configure(self, account: Account, streams: Sequence[Stream]) -> None:
        """Take another configuration; quotas, breaker and calls in flight stay."""
        if account.concurrency != self.account.concurrency:
            self._calls = asyncio.Semaphore(account.concurrency)
        self.account, self.streams = account, tuple(streams)
        self._complete = float("-inf")
        for one in self._rounds:
            one.whole = False
        limits = {action: kept(account, api) for action, api in self.provider.apis().items()}
        for action in limits:
            if action not in self._gates:
                self._gates[action] = Gate(partial(self._pace, action), self.shared.clock.mono, self._connect)
        self._share(
            self.shared.limits.configure(self.names, {**limits, OUT_OF_TURN: limits[self.provider.single.action]})
        )

    def _pace(self, action: str) -> Pace:
        """Return the pace of an action by now: while a call waits, its account may come to share another's."""
        return self.paces[action]

    def _share(self, paces: Mapping[str, Pace]) -> None:
        """Keep these paces from now on, which other accounts may keep, too."""
        self.paces = {action: pace for action, pace in paces.items() if action != OUT_OF_TURN}
        self.out_of_turn = paces[OUT_OF_TURN]

    # --- what is asked of a lane -------------------------------------------------------------------------------------

    async def refresh(self, deadline: float, fresh: float) -> None:
        """Ask all streams that were not asked since `fresh`, until the deadline (both monotonic seconds).

        A round under way is joined: what it asked counts as fresh. What it left over is asked in a round of our own.
        """
        started = False
        while (now := self.shared.clock.mono()) < deadline:
            present = self._present(now)
            if present is not None:
                fresh = min(fresh, present.started)
            elif started or self._complete >= fresh or not (due := self._due(fresh)):
                break
            else:
                started, present = True, self._start(due, deadline)
            await self._wait([present], deadline)
            if present.held:
                break
        # Calls of earlier rounds that are still in flight are waited for too: none of them is asked twice.
        await self._wait(self._rounds, deadline)
        self._settle()

    async def refresh_one(self, record: Record, deadline: float, fresh: float, *, hinted: bool = False) -> None:
        """Ask for one stream, ahead of all others, unless it was asked since `fresh` (monotonic seconds).

        A call that only a callback asked for says nothing of the account: neither the breaker nor the figures of the
        last round are touched by it.
        """
        while record.tried < fresh and (now := self.shared.clock.mono()) < deadline:
            done = self._awaited.setdefault(record.key, asyncio.get_running_loop().create_future())
            self._urgent[record.key] = max(fresh, self._urgent.get(record.key, fresh))
            present = self._present(now)
            if record.key in self._flying:
                pass
            elif present is not None and present.queues(self.provider.single.action):
                present.add_first(Query(self.provider.single, (record.stream,)))
            else:
                present = self._start([record], deadline, alone=record.key, hinted=hinted)
            tasks = {done} if present is None or present.task is None else {done, present.task}
            await asyncio.wait(tasks, timeout=deadline - now, return_when=asyncio.FIRST_COMPLETED)
            if present is not None and (present.held or self._in_vain(present, record)):
                break
        self._settle()

    def _in_vain(self, one: Round, record: Record) -> bool:
        """Whether a round for one stream alone ended without asking: no quota is left, or a reload took the stream."""
        return one.alone is not None and one.over and record.key not in self._flying

    @property
    def names(self) -> tuple[str, str]:
        """Provider and account, as labels name them."""
        return self.provider.name, self.account.name

    @property
    def size(self) -> int:
        """How many streams are watched."""
        return len(self.streams)

    @property
    def held_back(self) -> bool:
        """Whether calls are held back after repeated failures."""
        return self.breaker.open

    @property
    def scraped(self) -> bool:
        """Whether a round over many streams is under way."""
        return self._present(self.shared.clock.mono()) is not None

    def kept(self) -> dict[str, float]:
        """Return the calls per second allowed now, by action."""
        now = self.shared.clock.mono()
        return {action: pace.rate(now) for action, pace in self.paces.items()}

    @contextmanager
    def observed(self, observer: Observer) -> Iterator[None]:
        """Tell an observer of each call while the block runs."""
        self.observers.add(observer)
        try:
            yield
        finally:
            self.observers.discard(observer)

    # --- rounds ------------------------------------------------------------------------------------------------------

    def _present(self, now: float) -> Round | None:
        """Return the round under way that may be joined: one over many streams that still starts calls."""
        live = (one for one in self._rounds if not one.over and one.alone is None and one.deadline > now)
        return next(live, None)

    def _due(self, fresh: float) -> list[Record]:
        """Return the records whose turn it is, the one asked longest ago first."""
        board, name = self.shared.board, self.provider.name
        records = [record for stream in self.streams if (record := board.get((name, stream.name))) is not None]
        due = [record for record in records if record.tried < fresh and record.key not in self._flying]
        due.sort(key=lambda record: record.tried)
        return due

    def _start(self, due: list[Record], deadline: float, *, alone: Key | None = None, hinted: bool = False) -> Round:
        # Whoever waited for these may have gone without settling them.
        self._rounds = [one for one in self._rounds if not one.over]
        whole = len(due) == len(self.streams)
        round_ = Round(self.shared.clock.mono(), deadline, whole=whole, alone=alone, hinted=hinted)
        round_.task = asyncio.create_task(self._run(round_, due), name=f"round {self.account.name}")
        self._rounds.append(round_)
        return round_

    async def _wait(self, rounds: Iterable[Round], deadline: float) -> None:
        """Wait for the calls of some rounds, at most until the deadline."""
        tasks = [one.task for one in rounds if one.task is not None and not one.over]
        left = deadline - self.shared.clock.mono()
        if tasks and left > 0:
            await asyncio.wait(tasks, timeout=left)

    def _settle(self) -> None:
        """Say how the rounds went that are over or whose deadline has come."""
        for one in self._rounds:
            self._judge(one)
        self._rounds = [one for one in self._rounds if not one.over]

    async def _run(self, round_: Round, due: list[Record]) -> None:
        try:
            self._credentials = await self.shared.credentials(self.provider, self.account)
            self._identify(self._credentials)
            if self.breaker.open:
                due = await self._trial(round_, due)
            await self._begin(round_, due)
            # A list may bring as many single calls as there are streams.
            workers = min(self.account.concurrency, len(due))
            await asyncio.gather(*(self._work(round_) for _ in range(workers)))
        except CredentialsError as error:
            await self._fail_all(round_, due, Fault(Reason.AUTH, Reason.AUTH, str(error)))
        except Exception as error:
            await self._fail_all(round_, due, self._bug(error))
        finally:
            round_.over = True
        self._judge(round_)

    def _identify(self, credentials: Credentials) -> None:
        """Share the quota of those whose calls the provider counts as ours."""
        identity = self.provider.identity(self.account, credentials)
        if paces := self.shared.limits.identify(self.names, identity, self.shared.clock.mono()):
            self._share(paces)

    async def _trial(self, round_: Round, due: list[Record]) -> list[Record]:
        """While the breaker is open ask for one stream; return the others if the account answers again.

        A broken answer shows that somebody is there, and may be that stream's own trouble: the next one is tried.
        """
        rest = deque(due)
        for _ in range(min(MOST_TRIALS, max(1, self.size // TRIAL_SHARE))):
            if not rest or (connection := await self._turn(round_, self.provider.single.action)) is None:
                break
            first = rest.popleft()
            try:
                await self._single(round_, Query(self.provider.single, (first.stream,)), first, connection)
            finally:
                connection.release()
            if not self.breaker.open:
                # What only a list tells of the first is asked with the rest.
                detailed = any(listing.details(first.stream) for listing in self.provider.listings)
                return [*rest, first] if detailed else list(rest)
            if first.fault is None or first.fault.reason not in MAYBE_ITS_OWN:
                break
        fault = round_.fault or self.fault or Fault(Reason.TIMEOUT, Reason.TIMEOUT)
        round_.held = len(rest)
        now = self.shared.clock.now()
        async for record in unhurried(rest):
            self.shared.board.withhold(record, fault, now)
        return []

    async def _begin(self, round_: Round, due: list[Record]) -> None:
        now = self.shared.clock.mono()
        down = {r.stream.name for r in due if r.answer is not None and r.answer.state is not State.ACTIVE}
        rates = {action: pace.rate(now) for action, pace in self.paces.items()}
        outlook = Outlook(now, rates, down, self._listed)
        round_.plan = plan(self.provider, self.account, [record.stream for record in due], outlook)
        step = await self._planned(round_, partial(next, round_.plan, None), len(due))
        round_.add(step.ask if step is not None else ())

    async def _planned(self, round_: Round, advance: Callable[[], Step | None], size: int) -> Step | None:
        """Take a round's plan one step further, for many streams where that does not hold the event loop."""
        async with round_.planning:
            if size <= PLANNED_AT_ONCE:
                return advance()
            step: Step | None = await self.shared.aside(advance)
            return step

    def _judge(self, round_: Round) -> None:
        """Say how a round went, once it is over or its deadline has come."""
        clock = self.shared.clock
        if round_.judged or not (round_.over or clock.mono() >= round_.deadline):
            return
        round_.judged = True
        if round_.hinted:
            return
        left = round_.left()
        if round_.whole and round_.over and not (left or round_.held or self._flying):
            self._complete = max(self._complete, round_.started)
        quota = sum(len(q.streams) for action in round_.refused for q in round_.pending.get(action, ()))
        flying = 0 if round_.over else len(self._flying)
        self.unprobed = {"quota": quota, "deadline": left - quota + flying, "breaker": round_.held}
        self.round_seconds = min(clock.mono(), max(round_.deadline, round_.started)) - round_.started
        if round_.calls + round_.connecting == 0 and round_.fault is None:
            return
        up = round_.definite > 0
        # One stream that is asked for again and again says no more of the account than it does once.
        if not round_.good and (round_.alone is None or self.size == 1 or round_.alone != self._failed_alone):
            self.breaker.failed()
        self._failed_alone = None if round_.good else round_.alone
        self._tell(up, round_.fault)
        self.up = up
        self.shared.board.version += 1

    def _tell(self, up: bool, fault: Fault | None) -> None:
        """Log when an account begins to fail, fails for another reason, or answers again; not each time."""
        reason = None if up or fault is None else fault.reason
        before = None if self.fault is None else self.fault.reason
        if reason is before:
            return
        self.fault = None if reason is None else fault
        words = {"provider": self.provider.name, "account": self.account.name}
        if fault is None or reason is None:
            log.info("account answers again", **words)
        else:
            advice = catalogue.of_fault(self.provider.name, fault.code, fault.reason).advice
            log.warning("account answers nothing", **words, reason=str(reason), code=fault.code,
                        message=fault.message, request_id=fault.request_id, advice=advice)  # fmt: skip

    # --- workers -----------------------------------------------------------------------------------------------------

    async def _work(self, round_: Round) -> None:
        """Make calls until none are left: a fixed set of workers, never a task per stream."""
        while self.shared.clock.mono() < round_.deadline:
            if round_.choose() is not None:
                async with self._calls:
                    await self._next(round_)
            elif round_.listings:
                # A listing under way may bring more to ask.
                round_.news.clear()
                await round_.news.wait()
            else:
                return

    async def _next(self, round_: Round) -> None:
        """Wait for the quota, and only then take the call that is most urgent by now."""
        action = round_.choose()
        if action is None:
            return
        round_.claimed[action] = round_.claimed.get(action, 0) + 1
        try:
            connection = await self._turn(round_, action)
        finally:
            round_.claimed[action] -= 1
        if connection is None:
            round_.refuse(action)
            return
        try:
            await self._take(round_, action, connection)
        finally:
            connection.release()

    async def _take(self, round_: Round, action: str, connection: Connection) -> None:
        queue = round_.pending[action]
        while queue:
            query = queue.popleft()
            if query.page:
                await self._list(round_, query, connection)
                return
            record = self._record(query.streams[0])
            if record is not None and self._wanted(round_, record):
                await self._single(round_, query, record, connection)
                return

    def _wanted(self, round_: Round, record: Record) -> bool:
        """Whether a stream in the queue still waits for an answer: another call may have brought it."""
        fresh = max(round_.started, self._urgent.get(record.key, float("-inf")))
        return record.tried < fresh and record.key not in self._flying

    async def _turn(self, round_: Round, action: str) -> Connection | None:
        """Wait until a connection is there and the quota allows a call; None if that would be after the deadline."""
        round_.connecting += 1
        try:
            return await self._gates[action].turn(round_.deadline)
        finally:
            round_.connecting -= 1

    async def _connect(self, gap: float, new: bool) -> Connection:
        return await self.shared.connect(self.provider.name, self.account, gap, new)

    def _record(self, stream: Stream) -> Record | None:
        return self.shared.board.current(self.provider.name, stream)

    # --- calls -------------------------------------------------------------------------------------------------------

    async def _single(self, round_: Round, query: Query, record: Record, connection: Connection) -> None:
        self._flying.add(record.key)
        try:
            outcome = await self._call(round_, query, connection)
        finally:
            self._flying.discard(record.key)
        if self._record(query.streams[0]) is record:
            now = self.shared.clock.now()
            if isinstance(outcome, Fault):
                self.shared.board.failed(record, outcome, now)
            elif isinstance(outcome, Answer):
                round_.definite += 1
                self.shared.board.answered(record, outcome, query.api.action, now)
                self.shared.board.supply(record, query.inputs)
        self._tell_waiting(record)

    def _tell_waiting(self, record: Record) -> None:
        if self._awaited and (done := self._awaited.pop(record.key, None)) is not None:
            self._urgent.pop(record.key, None)
            if not done.done():
                done.set_result(None)

    async def _list(self, round_: Round, query: Query, connection: Connection) -> None:
        sent = self.shared.clock.mono()
        try:
            outcome = await self._call(round_, query, connection)
            page = outcome if isinstance(outcome, Page) else None
            if isinstance(outcome, Fault) and (record := self._record(query.streams[0])) is not None:
                self.shared.board.remember(record, outcome, self.shared.clock.now())
            # A listing that failed counts too: it was a call of those that the provider allows only every so often.
            key = (query.api.action, query.scope)
            pages = self._listed[key].pages if key in self._listed else 1
            if page is not None:
                pages = query.page if page.last else page.pages
            self._listed[key] = Listed(sent, pages)
            await self._learn(round_, query, page, sent)
        finally:
            round_.listings -= 1
            round_.news.set()

    async def _learn(self, round_: Round, query: Query, page: Page | None, sent: float) -> None:
        if round_.plan is None:
            return
        size = len(query.streams) + (len(page.rows) if page is not None else 0)
        step = await self._planned(round_, partial(_told, round_.plan, query, page), size)
        if step is None:
            return
        round_.add(step.ask)
        now = self.shared.clock.now()
        async for stream, answer in unhurried(step.settled):
            record = self._record(stream)
            # What was asked of a stream since the listing was sent is newer than the listing.
            if record is not None and record.tried <= sent:
                round_.definite += 1
                self.shared.board.answered(record, answer, query.api.action, now)
            elif record is not None:
                self.shared.board.supply(record, answer.inputs)
        async for asked in unhurried(step.ask):
            if asked.inputs is not None and (record := self._record(asked.streams[0])) is not None:
                self.shared.board.supply(record, asked.inputs)

    async def _call(self, round_: Round, query: Query, connection: Connection) -> Answer | Page | Fault:
        """Make a call, and once more on a new connection if its own broke before an answer; count what came of it."""
        round_.calls += 1
        outcome, again = await self._attempt(query, connection)
        if again and (other := await self._gates[query.api.action].turn(round_.deadline, new=True)) is not None:
            again = False
            try:
                outcome, _ = await self._attempt(query, other)
            finally:
                other.release()
        # A kept connection that has ended meanwhile says nothing of the account.
        stale = again and connection.reused
        round_.calls -= stale
        if isinstance(outcome, Fault):
            if not stale:
                round_.fault = outcome
            key = (self.provider.name, self.account.name, outcome.code, str(outcome.reason))
            self.shared.tally.errors[key] += 1
            if outcome.reason is Reason.AUTH:
                self.shared.doubt(self.provider, self.account)
        if not isinstance(outcome, Fault) or outcome.reason not in ACCOUNT_WIDE:
            round_.good += 1
            self.breaker.answered()
        return outcome

    async def _attempt(self, query: Query, connection: Connection) -> tuple[Answer | Page | Fault, bool]:
        """Sign, send and read once; also say whether the call may be made again."""
        clock = self.shared.clock
        request: Request | None = None
        reply: Reply | None = None
        outcome: Answer | Page | Fault
        again = False
        connecting, sent = connection.spent, clock.mono()
        try:
            request = self._sign(query.ask(self.account))
            reply = await connection.send(request, self.account.timeout, query.api.largest)
            self._skew(reply)
            outcome = await self._read(query, request, reply)
        except TransportError as error:
            again = error.broke_early
            outcome = Fault(error.reason, error.reason, error.message)
        except Exception as error:
            outcome = self._fault(query, request, reply, error)
            self._slow_down(query.api.action, reply, outcome, sent)
        finally:
            if reply is not None:
                reply.let_go()
        seconds = clock.mono() - sent + connecting
        self._count(query, outcome, reply is not None, seconds)
        if self.observers:
            self._observe(query, request, reply, seconds, outcome)
        return outcome, again

    def _sign(self, call: Call) -> Request:
        assert self._credentials is not None
        now = self.shared.clock.unix()
        moment = Moment(now, self.shared.clock.nonce(), self.shared.sequence.next(now))
        return self.provider.sign(self.account, self._credentials, call, moment)

    async def _read(self, query: Query, request: Request, reply: Reply) -> Answer | Page:
        """Read a small answer here and now, and any other where it does not hold the event loop."""
        if cheap(reply.body):
            return self._judged(query, reply)
        outcome: Answer | Page = await self.shared.aside(partial(self._judged_and_cleaned, query, request, reply))
        return outcome

    def _judged_and_cleaned(self, query: Query, request: Request, reply: Reply) -> Answer | Page:
        try:
            return self._judged(query, reply)
        except ProviderError as error:
            # To take secrets out of a long text takes long, too.
            error.message = self._scrub(error.message, request, addresses=True)
            if len(error.code) > LONGEST_WORD:
                error.code = printable(self._scrub(error.code, request), LONGEST_WORD)
            raise

    def _judged(self, query: Query, reply: Reply) -> Answer | Page:
        if isinstance(query.api, Listing):
            return query.api.read(self.account, query.scope, reply)
        return query.api.read(self.account, query.streams[0], reply)

    def _fault(self, query: Query, request: Request | None, reply: Reply | None, error: Exception) -> Fault:
        """Turn a failure into a fault: the catalogue knows the codes, all else has its own reason."""
        match error:
            case ProviderError() if reply is not None:
                return self._provider_fault(query, request, reply, error)
            case NoEnvelope():
                return Fault(Reason.HTTP, Reason.HTTP, str(error))
            case Malformed():
                return Fault(Reason.MALFORMED, Reason.MALFORMED, str(error))
            case _:
                return self._bug(error)

    def _provider_fault(self, query: Query, request: Request | None, reply: Reply, error: ProviderError) -> Fault:
        entry = self._catalogue.lookup(query.api.action, error.code, reply.status)
        reason = Reason(entry.reason or Reason.MALFORMED)
        hint = None
        if reason is Reason.THROTTLED:
            hint = retry_after(reply)
        told = error.message if entry.listed else f"{error.code}: {error.message}"
        # Cut last: half a secret would not be recognised.
        message = printable(self._scrub(told, request, addresses=True))
        return Fault(reason, catalogue.label(entry), message, self._scrub(error.request_id, request), hint)

    def _slow_down(self, action: str, reply: Reply | None, fault: Fault, sent: float) -> None:
        """Lower the rate after a throttling answer; a gateway's status says it, too, if in no words of the API's."""
        if reply is not None and (fault.reason is Reason.THROTTLED or reply.status == 429):
            self.paces[action].throttled(self.shared.clock.mono(), retry_after(reply), sent)

    def _bug(self, error: Exception) -> Fault:
        """Report a fault of our own by its kind and place: its text might hold anything."""
        log.error("bug", provider=self.provider.name, kind=type(error).__name__, place=place(error))
        return Fault(Reason.BUG, Reason.BUG, f"{type(error).__name__} in {place(error)}")

    async def _fail_all(self, round_: Round, due: Iterable[Record], fault: Fault) -> None:
        """Fail every stream of a round that could not even begin."""
        round_.fault = fault
        now = self.shared.clock.now()
        async for record in unhurried(due):
            if record.tried < round_.started:
                self.shared.board.failed(record, fault, now)
                key = (self.provider.name, self.account.name, fault.code, str(fault.reason))
                self.shared.tally.errors[key] += 1

    # --- what is told of a call --------------------------------------------------------------------------------------

    def _count(self, query: Query, outcome: Answer | Page | Fault, answered: bool, seconds: float) -> None:
        action = query.api.action
        tally, names = self.shared.tally, (self.provider.name, self.account.name)
        tally.duration((*names, action), seconds)
        if answered:
            tally.responses[(*names, action, outcome.code)] += 1

    def _skew(self, reply: Reply) -> None:
        seconds = _date(reply.headers.get("date", ""))
        if seconds is not None:
            # The header is cut to whole seconds: half a second is the expected remainder.
            skew = seconds + 0.5 - self.shared.clock.unix()
            self.shared.tally.skew[self.provider.name, self.account.name] = skew

    def _observe(
        self, query: Query, request: Request | None, reply: Reply | None, seconds: float, outcome: Any
    ) -> None:
        asked = self._scrub(redact(request), request) if request is not None else ""
        body = reply.body[: 4 * SHOWN].decode("utf-8", "replace") if reply is not None else ""
        status = reply.status if reply is not None else None
        streams = tuple(stream.name for stream in query.streams)
        told = self._scrub(body, request, addresses=True)[:SHOWN]
        exchange = Exchange(query.api.action, streams, asked, status, told, seconds, outcome)
        for observer in tuple(self.observers):
            observer(exchange)

    def _scrub(self, text: str, request: Request | None, *, addresses: bool = False) -> str:
        """Take the credentials and the signature out of text that a provider sent or that is to be shown."""
        return scrub(text, known_secrets(self._credentials, request), limit=SHOWN, addresses=addresses)


@dataclass(slots=True)
class Shared:
    """What all lanes share.

    Attributes:
        board: What is known of each stream.
        tally: Counters.
        clock: Time and chance.
        connect: Returns a connection to an account's endpoint: (provider, account, seconds between two calls, whether
            it must be new); raises `TransportError`.
        credentials: Returns what to sign an account's calls with; raises `CredentialsError`.
        doubt: Told that the provider refused an account's credentials.
        sequence: Issues ZEGO's Sequence.
        limits: The quotas, which outlive the accounts.
        aside: Reads answers that are not small.
    """

    board: Board
    tally: Tally
    clock: Clock
    connect: Callable[[str, Account, float, bool], Awaitable[Connection]]
    credentials: Callable[[AnyProvider, Account], Awaitable[Credentials]]
    doubt: Callable[[AnyProvider, Account], None] = lambda _provider, _account: None
    sequence: Counter = field(default_factory=Counter)
    limits: Limits = field(default_factory=Limits)
    aside: Aside = at_once


class Prober:
    """All lanes."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.lanes: dict[str, Lane] = {}

    def configure(
        self, accounts: Iterable[tuple[AnyProvider, Account]], streams: Iterable[Stream], max_age: float
    ) -> None:
        """Watch these streams from now on; lanes of accounts that stay keep their quotas, breakers and calls."""
        by_account: dict[str, list[Stream]] = {}
        for stream in streams:
            by_account.setdefault(stream.account, []).append(stream)
        lanes: dict[str, Lane] = {}
        for provider, account in accounts:
            lane = self.lanes.get(account.name)
            if lane is None or lane.provider is not provider:
                lane = Lane(provider, account, self.shared)
            lane.configure(account, by_account.get(account.name, ()))
            lanes[account.name] = lane
        self.lanes = lanes
        self.shared.limits.keep({lane.names for lane in lanes.values()}, self.shared.clock.mono())
        watched = [(lane.provider.name, stream) for lane in lanes.values() for stream in lane.streams]
        self.shared.board.watch(watched, max_age)
        self.shared.tally.keep(
            {(lane.provider.name, name) for name, lane in lanes.items()},
            {(provider, stream.name) for provider, stream in watched},
        )

    async def refresh(self, deadline: float, fresh: float, lanes: Iterable[Lane] | None = None) -> None:
        """Ask every account's streams at once; return when all are asked, or at the deadline (monotonic seconds)."""
        wanted = [lane for lane in (self.lanes.values() if lanes is None else lanes) if lane.streams]
        asked = await asyncio.gather(*(lane.refresh(deadline, fresh) for lane in wanted), return_exceptions=True)
        for lane, problem in zip(wanted, asked, strict=True):
            if isinstance(problem, Exception):
                log.error("bug", account=lane.account.name, kind=type(problem).__name__, place=place(problem))

    def present(self) -> Iterable[Lane]:
        """Return the lanes of the configuration in force."""
        return self.lanes.values()

    def lane_of(self, record: Record) -> Lane:
        """Return the lane that asks for a stream."""
        return self.lanes[record.stream.account]


def _told(plan: Plan, query: Query, page: Page | None) -> Step | None:
    """Tell a plan what came of a listing call; return what follows, or None where it is at its end."""
    try:
        return plan.send((query, page))
    except StopIteration:
        return None


async def unhurried(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield items, and let others run after every hundredth."""
    for number, item in enumerate(items, 1):
        yield item
        if number % SLICE == 0:
            await asyncio.sleep(0)


def place(error: BaseException) -> str:
    """Return where an exception was raised, as function:line."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace is not None else "?"


@lru_cache(maxsize=256)
def _date(text: str) -> float | None:
    """Return an HTTP date as Unix seconds."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
