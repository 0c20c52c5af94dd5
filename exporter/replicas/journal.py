"""The journal of one account: what this replica has to tell, and what the others told. Nothing here waits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from typing import Any, Final, Protocol

from exporter.model import Answer, Fault, Reason, Stream
from exporter.replicas import entries
from exporter.replicas.entries import Details, Ended, Entry, Heard, News, Outcome, Unreadable
from exporter.rounds.health import UNPROBED, Result
from exporter.rounds.limits import Owner
from exporter.rounds.plan import Listed, Scope
from exporter.rounds.state import NEVER, AccountState
from exporter.state.record import Instant, Key, Record
from exporter.state.record import News as BoardNews

SAME_SECONDS: Final = 0.05
"""Two times of one attempt differ by less, on two replicas; no stream is asked twice within it."""

ON_THE_WAY: Final = {Reason.TIMEOUT, Reason.CONNECTION, Reason.DNS, Reason.TLS, Reason.CLOCK}
"""Failures that may be those of one machine's network or clock."""

LATELY: Final = 5.0  # seconds

CLOCKS_APART: Final = 300.0
"""A replica's clock and the store's must agree on the age of an entry, up to so many seconds."""


class Times(Protocol):
    """The store's time in seconds, and our monotonic seconds."""

    def there(self, mono: float) -> float:
        """Return what the store's clock says at a time of ours."""
        ...

    def here(self, time: float) -> float:
        """Return our time at one of the store's."""
        ...


@dataclass(slots=True, eq=False)
class Journal:
    """One account's.

    Attributes:
        state: The account.
        member: This replica, as the entries name it.
        keys: What entries are signed with: the present key first, then the one before.
        last: The id of the last entry that was taken.
        untold: What was learned before was not told to all (monotonic seconds).
    """

    state: AccountState
    member: str
    keys: tuple[bytes, ...] = ()
    last: str = "0-0"
    untold: float = NEVER
    _news: dict[Key, BoardNews] = field(default_factory=dict)
    _ended: list[tuple[Result, float, bool]] = field(default_factory=list)
    _heard: list[tuple[tuple[str, ...], float]] = field(default_factory=list)
    _told_listed: dict[Scope, Listed] = field(default_factory=dict)
    _told_rows: dict[Scope, tuple[int, float]] = field(default_factory=dict)
    _told_origins: dict[Scope, float] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)
    _unheard: dict[str, float] = field(default_factory=dict)
    _answered: float = NEVER
    _marks: dict[str, tuple[Stream, str, bytes]] = field(default_factory=dict)
    _hashed: tuple[tuple[Stream, ...], str] = ((), "")
    _taking: bool = False

    # --- telling -----------------------------------------------------------------------------------------------------

    def note(self, record: Record, news: BoardNews) -> None:
        """Tell of a stream with the next entry."""
        if not self._taking:
            self._news[record.key] = self._news.get(record.key, news) | news
            if record.succeeded and BoardNews.OUTCOME in news:
                self._answered = record.tried

    def ended(self, result: Result, began: float, *, complete: bool) -> None:
        """Tell how a round went, after what it learned; see `Replicas.learned`."""
        if not self._ours_alone(result.fault, began):
            self._ended.append((result, began, complete))

    def heard(self, records: Iterable[Record], mono: float) -> None:
        """Tell of a callback that was accepted at a time in monotonic seconds."""
        self._heard.append((tuple(record.key[1] for record in records), mono))

    @property
    def idle(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self._news or self._ended or self._heard)

    def drop(self, mono: float) -> None:
        """Tell nothing of what was noted until now, in monotonic seconds: there is nobody to tell."""
        self.untold = mono
        for told in (self._news, self._heard, self._told_listed, self._told_rows, self._told_origins):
            told.clear()
        self._ended.clear()

    def entries(self, times: Times, now: Instant) -> Iterator[bytes]:
        """Yield what there is to tell, in slices of a few milliseconds."""
        while self._news:
            keys = list(islice(self._news, entries.MOST_NEWS))
            if chunk := [one for key in keys for one in self._news_of(key, self._news.pop(key), times, now)]:
                yield self._pack(times, now, chunk)
        if self._ended or self._heard or self._listings_changed():
            yield self._pack(times, now, [])

    def _pack(self, times: Times, now: Instant, news: list[News]) -> bytes:
        last = not self._news
        number = self._numbers[self.member] = self._numbers.get(self.member, 0) + 1
        time = times.there(now.mono)
        entry = Entry(
            member=self.member,
            number=number,
            unix=now.unix,
            time=time,
            **entries.columns(news, time),
            **(self._rest(now) if last else {}),
        )
        return entries.pack(entry, self.keys[0])

    def _rest(self, now: Instant) -> dict[str, Any]:
        """Return what is told once the streams have been told: others believe then that they know all."""
        state = self.state
        listed = [
            (*scope, _ms(now.mono - one.at), one.pages)
            for scope, one in state.listed.items()
            if self._told_listed.get(scope) != one
        ]
        rows = [
            (*scope, _ms(now.mono - at), count)
            for scope, (count, at) in state.rows.items()
            if self._told_rows.get(scope) != (count, at)
        ]
        origins = [
            (*scope, _ms(now.mono - at), origin)
            for scope, one in state.origins.items()
            for at, origin in one.answers
            if at > self._told_origins.get(scope, NEVER)
        ]
        self._told_listed, self._told_rows = dict(state.listed), dict(state.rows)
        self._told_origins = {scope: one.answers[-1][0] for scope, one in state.origins.items() if one.answers}
        ended = tuple(
            _told_result(one, _ms(now.mono - at), whole and at > self.untold, self._streams())
            for one, at, whole in self._ended
        )
        heard = tuple(Heard(streams=names, age=_ms(now.mono - at)) for names, at in self._heard)
        self._ended.clear()
        self._heard.clear()
        return {"listed": tuple(listed), "rows": tuple(rows), "origins": tuple(origins), "ended": ended, "heard": heard}

    def _listings_changed(self) -> bool:
        return self._told_listed != self.state.listed or self._told_rows != self.state.rows

    def _news_of(self, key: Key, news: BoardNews, times: Times, now: Instant) -> Iterator[News]:
        record = self.state.shared.board.get(key)
        if record is None:
            return
        name, mark = key[1], self._mark(record.stream)
        tried = now.mono if BoardNews.WITHHELD in news else record.tried
        if self._ours_alone(record.fault, tried):
            self.untold = now.mono
            return
        if BoardNews.OUTCOME in news and record.fault is not None:
            yield News(name, mark, times.there(record.tried), entries.told_fault(record.fault))
        elif BoardNews.OUTCOME in news and record.answer is not None:
            told, details = entries.told_answer(record.answer, record.action)
            yield News(name, mark, times.there(record.answered_mono), told, details)
        elif BoardNews.WITHHELD in news and record.fault is not None:
            yield News(name, mark, times.there(now.mono), entries.told_fault(record.fault, withheld=True))
        if BoardNews.FIGURES in news:
            flow, nothing = record.listed, Outcome(kind="figures")
            if flow is None:
                yield News(name, mark, times.there(now.mono), nothing)
            else:
                until = _ms(flow.until - now.mono)
                details = Details(figures=flow.figures, until=until)
                yield News(name, mark, times.there(flow.measured), nothing, details)

    def _ours_alone(self, fault: Fault | None, at: float) -> bool:
        """Whether a failure may be this machine's own: nothing has reached the cloud lately. The others try it."""
        return fault is not None and fault.reason in ON_THE_WAY and self._answered < at - LATELY

    def _mark(self, stream: Stream) -> bytes:
        known, endpoint = self._marks.get(stream.name), self.state.account.endpoint
        if known is None or known[0] is not stream or known[1] != endpoint:
            known = self._marks[stream.name] = stream, endpoint, entries.mark_of(stream, endpoint)
        return known[2]

    def _streams(self) -> str:
        """Return a hash of what is watched: while replicas are reloaded, all streams are not the same for each."""
        streams = self.state.streams
        if self._hashed[0] is not streams:
            marks = sorted(self._mark(stream) + stream.name.encode() for stream in streams)
            self._hashed = streams, blake2b(b"\0".join(marks), digest_size=8).hexdigest()
        return self._hashed[1]

    # --- being told --------------------------------------------------------------------------------------------------

    def take(self, data: bytes, times: Times, now: Instant) -> bool:
        """Take what another replica told; return whether a round is over. Raises `entries.Unreadable`."""
        entry = entries.unpack(data, self.keys)
        before = self._numbers.get(entry.member, 0)
        if entry.member == self.member or entry.number <= before:
            return False
        sent = times.here(entry.time)
        if abs((now.unix - entry.unix) - (now.mono - sent)) > CLOCKS_APART:
            raise Unreadable("the clocks of the replicas or the store differ by minutes")
        # The store's clock may have been set back since: nothing is from the future.
        sent = min(sent, now.mono)
        if entry.number != before + 1:
            self._unheard[entry.member] = sent
        news = entries.news_of(entry)
        self._taking = True
        try:
            for one in news:
                self._learn(one, sent - (entry.time - one.at), now, sent)
            self._take_listings(entry, sent)
            self._take_rounds(entry, sent)
            self._take_callbacks(entry, now.unix - (now.mono - sent))
        finally:
            self._taking = False
        # One that raised counts as not heard.
        self._numbers[entry.member] = entry.number
        return bool(entry.ended)

    def _learn(self, news: News, at: float, now: Instant, sent: float) -> None:
        board, waiting = self.state.shared.board, self.state.waiting
        record = board.get((self.state.provider.name, news.name))
        if record is None or news.mark != self._mark(record.stream) or now.mono - at > board.max_age:
            return
        at = min(at, now.mono)
        when, outcome, details = Instant(now.unix - (now.mono - at), at), news.outcome, news.details
        match outcome.kind:
            case "figures":
                until = sent + (0 if details is None else details.until / 1000)
                board.figured(record, None if details is None else details.figures, when, until)
                return
            case "withheld":
                if at > record.tried + SAME_SECONDS:
                    board.withhold(record, entries.fault_of(outcome), when)
                return
        learned: Answer | Fault
        learned = entries.answer_of(outcome, details) if outcome.kind == "answer" else entries.fault_of(outcome)
        if at <= record.tried + SAME_SECONDS:
            if isinstance(learned, Answer) and at >= record.tried - SAME_SECONDS:
                board.add_inputs(record, learned.inputs)
            return
        if isinstance(learned, Fault):
            board.failed(record, learned, when)
        elif outcome.action in self.state.provider.apis():
            self.state.health.breaker.answered()
            board.answered(record, learned, outcome.action, when)
        waiting.asked(record.key)
        if record.key in self._news:
            self._news[record.key] &= ~BoardNews.OUTCOME

    def _take_listings(self, entry: Entry, sent: float) -> None:
        state = self.state
        for action, scope, age, pages in entry.listed:
            if (known := state.listed.get((action, scope))) is None or known.at < sent - age / 1000:
                self._told_listed[action, scope] = state.listed[action, scope] = Listed(sent - age / 1000, pages)
        for action, scope, age, count in entry.rows:
            if state.rows.get((action, scope), (0, float("-inf")))[1] < sent - age / 1000:
                self._told_rows[action, scope] = state.rows[action, scope] = count, sent - age / 1000
        for action, scope, age, origin in entry.origins:
            answers, at = state.origins[action, scope].answers, sent - age / 1000
            if not answers or at > answers[-1][0]:
                state.origins[action, scope].note(origin, at)
                self._told_origins[action, scope] = at

    def _take_rounds(self, entry: Entry, sent: float) -> None:
        state = self.state
        for ended in entry.ended:
            state.learn(_result_of(ended, state.names))
            if ended.alone is None and ended.streams == self._streams():
                began = sent - ended.began / 1000
                state.elsewhere = began, sent
                if ended.complete and began > self._unheard.get(entry.member, NEVER):
                    state.complete_since = max(state.complete_since, began)

    def _take_callbacks(self, entry: Entry, sent: float) -> None:
        """Note when callbacks came, which were sent at a time in Unix seconds."""
        last = self.state.shared.counters.last_callback
        for heard in entry.heard:
            at = sent - heard.age / 1000
            for key in ((self.state.provider.name, name) for name in heard.streams):
                if self.state.shared.board.get(key) is not None:
                    last[key] = max(at, last.get(key, at))


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _told_result(result: Result, began: int, complete: bool, streams: str) -> Ended:
    alone = result.alone[1] if isinstance(result.alone, tuple) else None
    fault = None if result.fault is None else entries.told_fault(result.fault)
    return Ended(tried=result.tried, good=result.good, definite=result.definite, seconds=result.seconds,
                 unprobed=dict(result.unprobed), began=began, complete=complete, streams=streams, alone=alone,
                 fault=fault)  # fmt: skip


def _result_of(ended: Ended, names: Owner) -> Result:
    alone = None if ended.alone is None else (names[0], ended.alone)
    fault = None if ended.fault is None else entries.fault_of(ended.fault)
    unprobed = {why: max(0, ended.unprobed.get(why, 0)) for why in UNPROBED}
    return Result(ended.tried, ended.good, ended.definite, alone, fault, ended.seconds, unprobed)
