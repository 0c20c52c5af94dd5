"""One call with the credentials that it was made with: sign, send, read, classify, and hide what must not be shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache, partial
from typing import Final

import structlog

from exporter.model import Account, Answer, Call, Credentials, Fault, Moment, Reason, Reply, Request
from exporter.providers import codes as catalogue
from exporter.providers.document import is_cheap
from exporter.providers.interface import (
    AnyProvider,
    Listing,
    Malformed,
    NoEnvelope,
    Page,
    ProviderError,
    TransportError,
)
from exporter.providers.reading import LONGEST_WORD, printable, retry_after
from exporter.rounds.gate import Connection
from exporter.rounds.plan import Query, label_of
from exporter.rounds.shared import Shared, place
from exporter.rounds.transcript import Transcript, known_secrets, redact, withhold
from exporter.scrubbing import Targets, scrub

log = structlog.get_logger("prober")

TOO_MANY_REQUESTS: Final = 429
SHOWN: Final = 4096  # characters of an answer that are shown

Outcome = Answer | Page | Fault
Observer = Callable[[Transcript], None]

UNFINISHED: Final = Fault(Reason.BUG, Reason.BUG)


@dataclass(slots=True)
class Attempt:
    """One request and what came of it.

    Attributes:
        query: What was asked.
        sent: Monotonic seconds at which its slot was taken.
        request: What was sent, once it was signed.
        reply: What came back, if anything did.
        outcome: How it was judged.
        broke_early: Whether the connection broke before an answer, so that the call may be made once more.
        throttled: Whether the provider, or a gateway before it, asks for fewer calls.
        retry_after: Seconds that it asks to wait.
    """

    query: Query
    sent: float
    request: Request | None = None
    reply: Reply | None = None
    outcome: Outcome = UNFINISHED
    broke_early: bool = False
    throttled: bool = False
    retry_after: float | None = None


class Caller:
    """Makes calls of one account with one set of credentials.

    Whatever comes back is searched for these very credentials, and never for those of another call: keys change, and
    an answer may come after its own have gone.
    """

    def __init__(
        self,
        provider: AnyProvider,
        account: Account,
        credentials: Credentials,
        shared: Shared,
        observers: set[Observer],
    ) -> None:
        self.provider = provider
        self.account = account
        self._credentials = credentials
        self._shared = shared
        self._observers = observers
        self._catalogue = catalogue.load(provider.name)

    def connect(self, gap: float, new: bool) -> Awaitable[Connection]:
        """Return a connection to the account's endpoint; raises `TransportError`."""
        return self._shared.connect(self.provider.name, self.account, gap, new)

    async def call(self, query: Query, connection: Connection) -> Attempt:
        """Sign, send and read once."""
        clock, connecting = self._shared.clock, connection.spent
        made = Attempt(query, clock.mono())
        try:
            asked = query.ask(self.account)
            made.request = self._sign(asked, connection.sequence)
            made.reply = await connection.send(made.request, self.account.timeout, query.api.largest)
            self._skew(made.reply)
            made.outcome = await self._read(query, asked, made.request, made.reply)
        except TransportError as error:
            made.broke_early = error.broke_early
            made.outcome = Fault(error.reason, error.reason, error.message)
        except Exception as error:
            made.outcome = self._fault(made, error)
        finally:
            if made.reply is not None:
                made.reply.release()
        seconds = clock.mono() - made.sent + connecting
        self._count(made, seconds)
        if self._observers:
            self._observe(made, seconds)
        return made

    def _sign(self, call: Call, sequence: int) -> Request:
        now = self._shared.clock.unix()
        moment = Moment(now, self._shared.clock.nonce(), self._shared.sequence.next(now, sequence))
        return self.provider.sign(self.account, self._credentials, call, moment)

    # --- reading -----------------------------------------------------------------------------------------------------

    async def _read(self, query: Query, asked: Call, request: Request, reply: Reply) -> Answer | Page:
        """Read a small answer here and now, and any other where it does not hold the event loop."""
        if is_cheap(reply.body):
            return self._judged(query, asked, reply)
        work = partial(self._judged_and_scrubbed, query, asked, request, reply)
        outcome: Answer | Page = await self._shared.aside(work)
        return outcome

    def _judged(self, query: Query, asked: Call, reply: Reply) -> Answer | Page:
        if isinstance(query.api, Listing):
            return query.api.read(self.account, query.scope, asked, reply)
        return query.api.read(self.account, query.streams[0], asked, reply)

    def _judged_and_scrubbed(self, query: Query, asked: Call, request: Request, reply: Reply) -> Answer | Page:
        try:
            return self._judged(query, asked, reply)
        except ProviderError as error:
            # To take secrets out of a long text takes long, too.
            secrets = self._secrets(request)
            error.message = scrub(error.message, secrets, limit=SHOWN, addresses=True)
            if len(error.code) > LONGEST_WORD:
                error.code = printable(scrub(error.code, secrets, limit=SHOWN), LONGEST_WORD)
            raise

    # --- what went wrong ---------------------------------------------------------------------------------------------

    def _fault(self, made: Attempt, error: Exception) -> Fault:
        """Turn a failure into a fault: the catalogue knows the codes, all else has its own reason."""
        if made.reply is not None and made.reply.status == TOO_MANY_REQUESTS:
            made.throttled, made.retry_after = True, retry_after(self.provider, made.reply)
        match error:
            case ProviderError() if made.reply is not None:
                return self._provider_fault(made, made.reply, error)
            case NoEnvelope():
                return Fault(Reason.HTTP, Reason.HTTP, str(error))
            case Malformed():
                return Fault(Reason.MALFORMED, Reason.MALFORMED, str(error))
            case _:
                return bug(self.provider.name, error)

    def _provider_fault(self, made: Attempt, reply: Reply, error: ProviderError) -> Fault:
        entry = self._catalogue.lookup(made.query.api.action, error.code, reply.status)
        reason = Reason(entry.reason or Reason.MALFORMED)
        told = error.message if entry.listed else ": ".join(filter(None, (error.code, error.message)))
        secrets = self._secrets(made.request)
        # Cut last: half a secret would not be recognised.
        message = printable(scrub(told, secrets, limit=SHOWN, addresses=True))
        request_id = scrub(error.request_id, secrets, limit=SHOWN)
        if reason is Reason.THROTTLED:
            made.throttled, made.retry_after = True, retry_after(self.provider, reply)
        return Fault(reason, catalogue.label(entry), message, request_id, made.retry_after)

    def _secrets(self, request: Request | None) -> Targets:
        """Return the credentials and the signature, which no text shows that a provider sent."""
        known = known_secrets(self._credentials, request, self.provider.hides)
        return Targets.of([*known, *self.account.http.secrets()])

    # --- what is counted and shown -----------------------------------------------------------------------------------

    def _count(self, made: Attempt, seconds: float) -> None:
        key = (self.provider.name, self.account.name, made.query.api.action)
        self._shared.counters.durations[key].observe(seconds)
        if made.reply is not None:
            self._shared.counters.responses[(*key, made.outcome.code)] += 1

    def _skew(self, reply: Reply) -> None:
        seconds = _date(reply.headers.get("date", ""))
        if seconds is not None:
            # The header is cut to whole seconds: half a second is the expected remainder.
            skew = seconds + 0.5 - self._shared.clock.unix()
            self._shared.counters.skew[self.provider.name, self.account.name] = skew

    def _observe(self, made: Attempt, seconds: float) -> None:
        request, reply = made.request, made.reply
        secrets = self._secrets(request)
        asked = scrub(redact(request, self.provider.hides), secrets, limit=SHOWN) if request is not None else ""
        body = reply.body[: 4 * SHOWN].decode("utf-8", "replace") if reply is not None else ""
        told = scrub(withhold(body, self.provider.hides), secrets, limit=SHOWN, addresses=True)[:SHOWN]
        status = reply.status if reply is not None else None
        query = made.query
        streams = () if query.api in self.provider.figures else tuple(stream.name for stream in query.streams)
        scope = label_of(query.scope)
        transcript = Transcript(query.api.action, streams, scope, asked, status, told, seconds, made.outcome)
        for observer in tuple(self._observers):
            observer(transcript)


def bug(provider: str, error: Exception) -> Fault:
    """Report a fault of our own by its kind and place: its text might hold anything."""
    log.error("bug", provider=provider, kind=type(error).__name__, place=place(error))
    return Fault(Reason.BUG, Reason.BUG, f"{type(error).__name__} in {place(error)}")


@lru_cache(maxsize=256)
def _date(text: str) -> float | None:
    """Return an HTTP date as Unix seconds."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
