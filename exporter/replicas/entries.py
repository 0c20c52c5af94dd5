"""What replicas tell each other, as values and as bytes: packed, signed, and checked when it is read."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from exporter.model import Answer, Fault, Figures, Input, Reason, State, Stream
from exporter.providers.reading import LONGEST_WORD, printable
from exporter.state.board import address

MOST_NEWS: Final = 500
"""Streams in one entry: packing them takes a few milliseconds."""

LARGEST: Final = 4 << 20  # bytes of an entry, unpacked
SIGNATURE: Final = 16  # bytes
MARK: Final = 3  # bytes


class Strict(BaseModel):
    """A part of an entry: nothing else stands there, and nothing is converted."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Outcome(Strict):
    """What was learned of streams, as far as many of them have it in common.

    Attributes:
        kind: An answer, a failed attempt, calls held back by the breaker, or a list of figures.
        action: The API's action.
        state, code, media, ingest, origin: Of an answer.
        reason, code, message: Of a failure.
    """

    kind: Literal["answer", "fault", "withheld", "figures"]
    action: str = Field("", max_length=LONGEST_WORD)
    state: str = ""
    code: str = Field("", max_length=LONGEST_WORD)
    media: tuple[tuple[str, bool], ...] = ()
    ingest: Literal["push", "pull"] | None = None
    origin: str = Field("", max_length=LONGEST_WORD)
    reason: str = ""
    message: str = Field("", max_length=LONGEST_WORD)


class Details(Strict):
    """What was learned of one stream alone; times in milliseconds after the entry's.

    Attributes:
        started, inputs: Of an answer; Unix seconds.
        figures: What arrives of it.
        until: When listed figures no longer count.
    """

    started: float | None = None
    inputs: tuple[tuple[str, str, Literal["push", "pull"], bool], ...] | None = None
    figures: Figures | None = None
    until: int = 0


class Ended(Strict):
    """How a round went; ages in milliseconds before the entry's time.

    Attributes:
        tried, good, definite, seconds, unprobed: As in `Result`.
        alone: The name of the stream that it was about, where it was about one of several.
        fault: The last failure.
        began: When it began.
        complete: Whether every stream was asked.
        streams: A hash of the streams that this means.
    """

    tried: bool
    good: bool
    definite: bool
    seconds: float
    unprobed: dict[str, int]
    began: int
    complete: bool
    streams: str
    alone: str | None = None
    fault: Outcome | None = None


class Heard(Strict):
    """An accepted callback: the streams that it was about, and how old it is in milliseconds."""

    streams: tuple[str, ...]
    age: int


class Entry(Strict):
    """What one replica tells of one account at one time.

    Attributes:
        member: Which replica it is.
        number: Grows with each of its entries.
        unix: Unix seconds by its clock.
        time: Seconds by the store's clock.
        names, marks, ages, which: One stream each: its name, a hash of its address, milliseconds before `time`, and
            which of `outcomes` was learned.
        outcomes: What was learned.
        details: What was learned of single streams, by their place.
        listed: Action, scope, age and pages of listings.
        rows: Action, scope, age and rows of whole listings.
        origins: Action, scope, age and origin of answers where a server has several processes.
        ended: How rounds went that are over.
        heard: Callbacks.
    """

    member: str = Field(max_length=64)
    number: int
    unix: float
    time: float
    names: tuple[str, ...] = ()
    marks: str = ""
    ages: tuple[Annotated[int, Field(ge=-1000, le=10**9)], ...] = ()
    which: tuple[Annotated[int, Field(ge=0)], ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    details: dict[str, Details] = {}
    listed: tuple[tuple[str, str, int, int], ...] = ()
    rows: tuple[tuple[str, str, int, int], ...] = ()
    origins: tuple[tuple[str, str, int, str], ...] = ()
    ended: tuple[Ended, ...] = ()
    heard: tuple[Heard, ...] = ()


class News(NamedTuple):
    """What was learned of one stream.

    Attributes:
        name: Its name.
        mark: `mark_of` its address.
        at: When, in seconds by the store's clock.
        outcome: What.
        details: What else.
    """

    name: str
    mark: bytes
    at: float
    outcome: Outcome
    details: Details | None = None


class Unreadable(Exception):  # noqa: N818
    """An entry is not what a replica with the same keys writes."""


def mark_of(stream: Stream, endpoint: str = "") -> bytes:
    """Return a short hash of a stream's address: replicas may be configured differently while they are reloaded."""
    fields = {name: value for name, value in address(stream).items() if name != "type"} | {"endpoint": endpoint}
    return hashlib.blake2b(json.dumps(fields, sort_keys=True, default=str).encode(), digest_size=MARK).digest()


# --- as bytes --------------------------------------------------------------------------------------------------------


def columns(news: Sequence[News], time: float) -> dict[str, Any]:
    """Return the fields of an `Entry` that tell of streams."""
    places: dict[Outcome, int] = {}
    which = tuple(places.setdefault(one.outcome, len(places)) for one in news)
    return {
        "names": tuple(one.name for one in news),
        "marks": base64.b64encode(b"".join(one.mark for one in news)).decode(),
        "ages": tuple(round((time - one.at) * 1000) for one in news),
        "which": which,
        "outcomes": tuple(places),
        "details": {str(place): one.details for place, one in enumerate(news) if one.details is not None},
    }


def pack(entry: Entry, key: bytes) -> bytes:
    """Return an entry as bytes, with a signature before it."""
    packed = zlib.compress(entry.model_dump_json(exclude_defaults=True).encode(), 1)
    return _signature(packed, key) + packed


def unpack(data: bytes, keys: Sequence[bytes]) -> Entry:
    """Read an entry that was signed with one of the keys; raises `Unreadable`."""
    signature, packed = data[:SIGNATURE], data[SIGNATURE:]
    if not any(hmac.compare_digest(signature, _signature(packed, key)) for key in keys):
        raise Unreadable("it is not signed with the account's keys")
    try:
        inflating = zlib.decompressobj()
        text = inflating.decompress(packed, LARGEST)
        if inflating.unconsumed_tail or not inflating.eof or inflating.unused_data:
            raise Unreadable("it is too large")
        return Entry.model_validate_json(text)
    except (zlib.error, ValidationError) as error:
        raise Unreadable("it is malformed") from error


def news_of(entry: Entry) -> list[News]:
    """Return what an entry tells of streams; raises `Unreadable`."""
    try:
        marks = base64.b64decode(entry.marks, validate=True)
    except ValueError as error:
        raise Unreadable("it is malformed") from error
    count = len(entry.names)
    if not len(entry.ages) == len(entry.which) == count or len(marks) != MARK * count:
        raise Unreadable("its columns differ in length")
    if max(entry.which, default=-1) >= len(entry.outcomes):
        raise Unreadable("it names an outcome that it lacks")
    return [
        News(name, marks[place * MARK : place * MARK + MARK], entry.time - entry.ages[place] / 1000,
             entry.outcomes[entry.which[place]], entry.details.get(str(place)))
        for place, name in enumerate(entry.names)
    ]  # fmt: skip


def _signature(packed: bytes, key: bytes) -> bytes:
    return hmac.new(key, packed, hashlib.sha256).digest()[:SIGNATURE]


# --- from and to the model's values ----------------------------------------------------------------------------------


def told_answer(answer: Answer, action: str) -> tuple[Outcome, Details | None]:
    """Return a definite answer as it is told; ids of calls are left out, for none can be packed."""
    outcome = Outcome(kind="answer", action=action, state=answer.state, code=answer.code, media=answer.media,
                      ingest=answer.ingest, origin=answer.origin)  # fmt: skip
    if answer.started is None and answer.inputs is None and answer.figures is None:
        return outcome, None
    inputs = None
    if answer.inputs is not None:
        inputs = tuple((one.domain, one.app, one.source, one.primary) for one in answer.inputs)
    return outcome, Details(started=answer.started, inputs=inputs, figures=answer.figures)


def told_fault(fault: Fault, *, withheld: bool = False) -> Outcome:
    """Return a failure as it is told."""
    kind: Literal["withheld", "fault"] = "withheld" if withheld else "fault"
    message = fault.message[:LONGEST_WORD]
    return Outcome(kind=kind, reason=fault.reason, code=fault.code[:LONGEST_WORD], message=message)


def answer_of(outcome: Outcome, details: Details | None) -> Answer:
    """Return an answer that was told; raises `Unreadable`."""
    try:
        state = State(outcome.state)
    except ValueError as error:
        raise Unreadable("no such state") from error
    if state is State.UNKNOWN:
        raise Unreadable("an answer is definite")
    answer = Answer(state, printable(outcome.code), media=outcome.media, ingest=outcome.ingest, origin=outcome.origin)
    if details is None:
        return answer
    inputs = None if details.inputs is None else tuple(Input(*one) for one in details.inputs)
    return answer._replace(started=details.started, inputs=inputs, figures=details.figures)


def fault_of(outcome: Outcome) -> Fault:
    """Return a failure that was told; raises `Unreadable`."""
    try:
        reason = Reason(outcome.reason)
    except ValueError as error:
        raise Unreadable("no such reason") from error
    return Fault(reason, printable(outcome.code), printable(outcome.message, LONGEST_WORD))


def key_of(secrets: Mapping[str, str], provider: str, account: str) -> bytes:
    """Return the key that an account's entries are signed with, from what its replicas alone know."""
    text = json.dumps([sorted(secrets.items()), provider, account])
    return hmac.new(b"stream-exporter replicas 1", text.encode(), hashlib.sha256).digest()
