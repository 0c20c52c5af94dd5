"""Parts of requests and responses that several clouds share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, TypeVar
from uuid import UUID

from exporter.model import State
from exporter.simulator.exchange import Exchange, Refusal, refuse_if
from exporter.simulator.types import Stream, Tricks

Row = TypeVar("Row")
ISO = "%Y-%m-%dT%H:%M:%SZ"


def parse_decimal(text: str, most: int) -> int:
    """Read a decimal number; return -1 for anything else, or if it exceeds `most`."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else -1
    return number if number <= most else -1


def parse_time(text: str, form: str = ISO) -> float | None:
    """Read a time in UTC as Unix seconds; return None if its format is different."""
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def format_time(seconds: float, form: str = ISO) -> str:
    """Format Unix seconds as a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime(form)


def uuid(random: Random) -> str:
    """Return a random UUID in lower case."""
    return str(UUID(int=random.getrandbits(128), version=4))


def state_word(exchange: Exchange, stream: Stream | None, words: Mapping[State, str], absent: str) -> str:
    """Return the vendor's word for a stream's state.

    Args:
        exchange: The call.
        stream: None if it was never published.
        words: By state; there is none for a stream that is not found.
        absent: One of the words, or an error code, for a stream that is not found.

    Raises:
        Refusal: `absent` applies and is an error code.
    """
    word = words.get(stream.script.state(exchange.now) if stream else State.NOT_FOUND, absent)
    if word not in words.values():
        raise Refusal(word, message="The stream does not exist.")
    return word


@dataclass(frozen=True, slots=True)
class Paged:
    """One page of a list with tricks applied: its rows (None for null) and the reported totals."""

    rows: list[Any] | None
    total: int
    pages: int


def paginate(rows: list[Row], number: int, size: int, tricks: Tricks, foreign: Callable[[int], Row]) -> Paged:
    """Return one page of a list with tricks applied.

    Args:
        rows: The true rows.
        number: The page, counted from 1.
        size: Rows per page.
        tricks: What to falsify.
        foreign: Returns a row for a stream of another account, given a number.
    """
    whole = [foreign(count) for count in range(tricks.foreign)] + rows
    whole = [row for row in whole for _ in range(tricks.duplicates + 1)]
    turn = 0 if tricks.loop else number - 1
    start = max(0, turn * (size - tricks.drift))
    total = len(whole) if tricks.total is None else tricks.total
    pages = number + 1 if tricks.loop else -(-len(whole) // size)
    return Paged(
        None if tricks.null else whole[start : start + size], total, pages if tricks.pages is None else tricks.pages
    )


def admit(exchange: Exchange, code: str) -> None:
    """Find the caller by a token, or by name and password; refuse anybody else with a code."""
    scheme, _, word = exchange.received.authorization.partition(" ")
    if scheme.lower() == "bearer":
        accounts = [one for one in exchange.world.accounts.values() if one.provider == exchange.fake.name]
        exchange.account = next((one for one in accounts if word and one.text("token") == word), None)
        refuse_if((exchange.account is None, code))
        return
    given = exchange.authorization
    known = exchange.account is not None and given is not None and exchange.account.text("password") == given.signature
    refuse_if((not known, code))
