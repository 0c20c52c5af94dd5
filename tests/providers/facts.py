"""What tests know of a cloud beside its code, by the vendor's documentation: `<provider>/facts.py` ends in FACTS.

Every folder is found by scanning, so nothing here or in the tests names a cloud.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from exporter.model import Account, Reason, State
from exporter.providers import places
from exporter.providers.interface import Callback

HERE = Path(__file__).parent
MALFORMED = ("malformed", Reason.MALFORMED)
Judge = Callable[[dict[str, Any]], State | None]
ErrorJudge = Callable[[int, dict[str, Any]], State | None]


@dataclass(frozen=True)
class Case:
    """What happens to one stream, and what is expected.

    Attributes:
        expected: The state, or the (code, reason) of the failure.
        response: The code under which the answer is counted, or None where there is no answer to count.
        calls: How many calls the cloud gets for the stream.
        state: The stream's state in the world.
        fault: Arguments of the fault put upon the stream.
        quirks: Switches of the world.
        timeout: Of one call.
    """

    name: str
    provider: str
    expected: State | tuple[str, Reason]
    response: str | None
    calls: int = 1
    state: State = State.ACTIVE
    fault: dict[str, Any] = field(default_factory=dict)
    quirks: dict[str, Any] = field(default_factory=dict)
    timeout: str = "10s"

    def __str__(self) -> str:
        return f"{self.provider}: {self.name}"


@dataclass(frozen=True, kw_only=True)
class Listed:
    """What may be concluded from an answer of a list.

    Attributes:
        live: Whether it says of this very stream that it is being published.
        gone: Whether it proves that this very stream is not; None where no list of this action can.
        fields: Fields of account and stream, beside those of the recorded exchanges, with which the list is asked.
    """

    live: Callable[[dict[str, Any], Any], bool] = lambda _found, _stream: True
    gone: Callable[[dict[str, Any], Any], bool] | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Called:
    """How the cloud calls back.

    Attributes:
        sign: Make a callback of fields with the key `key`, signed at a time, in one of several forms.
        names: Names of fields.
        plain: Fields of a callback that tells of a beginning.
    """

    sign: Callable[[Account, dict[str, Any], str, int, int], Callback]
    names: tuple[str, ...]
    plain: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """One cloud.

    Attributes:
        keys: Fields of an account, as the cloud knows them; secrets in clear.
        address: Fields of a stream, beside those that are its name by default; `{name}` is the name.
        named_by: The field that is the stream's name by default; empty if there is none.
        narrow: Whether a name may hold plain letters and digits only.
        judge: The only state for which a single answer may be taken, or None: strict, and without the exporter's code;
            of no use where only lists answer.
        judge_error: The same for an answer whose status is not 200, where the cloud tells states by errors.
        lists: The same for lists, by action.
        callback: How it calls back, if it does.
        live: The code of an answer that a stream is live.
        states: What it may say of a stream that exists or not, in every documented form.
        codes: Error codes of each class.
        unlisted: A code that no table lists, and its class; None where there can be none.
        throttled: The code with which it throttles, if it does.
        expired: The code for a clock that is wrong, if it looks at clocks.
        invented: Codes that no table lists, by number.
        own: Fields of a success whose names look like those of error fields.
        inner: The field of its envelope that holds another object.
        others: Parts of a live answer (path, value) with which it answers something else than what was asked.
        unknown: How a state is counted that nobody knows.
        free: Fields with objects in which a name like an error's says nothing about the answer.
    """

    keys: Mapping[str, Any]
    address: Mapping[str, Any] = field(default_factory=dict)
    named_by: str = "stream"
    narrow: bool = False
    judge: Judge = lambda _found: None
    judge_error: ErrorJudge = lambda _status, _found: None
    lists: Mapping[str, Listed] = field(default_factory=dict)
    callback: Called | None = None
    live: str = "ok"
    states: tuple[Case, ...]
    codes: Mapping[str, Reason]
    unlisted: tuple[str, Reason] | None = None
    throttled: str = ""
    expired: str = ""
    invented: Callable[[int], str] = lambda number: f"Invented\ud800\n{number}"
    own: tuple[str, ...] = ()
    inner: str | None = None
    others: Mapping[str, tuple[str, Any]] = field(default_factory=dict)
    unknown: tuple[str, Reason] = MALFORMED
    free: tuple[str, ...] = ()


@cache
def facts() -> dict[str, Facts]:
    """Return what is known of each cloud; the contract test reports those without a file."""
    known = [name for name in places() if (HERE / name / "facts.py").is_file()]
    return {name: import_module(f"{__package__}.{name}.facts").FACTS for name in known}


# --- for judges ------------------------------------------------------------------------------------------------------


def told_names(value: Any) -> list[str]:
    """Return the lower-case names of all members that say something, at any depth."""
    if isinstance(value, list):
        return [name for part in value for name in told_names(part)]
    if not isinstance(value, dict):
        return []
    own = [name.lower() for name, part in value.items() if part is not None]
    return own + [name for part in value.values() for name in told_names(part)]


def tells_of_error(found: dict[str, Any]) -> bool:
    """Say whether a document has a member named like an error's."""
    return bool({"error", "code", "message"} & set(told_names(found)))


def stated(found: Any, error: str, words: Mapping[str, State]) -> State | None:
    """Return the state that StreamState names, where there is no error."""
    if not isinstance(found, dict) or found.get(error) is not None:
        return None
    word = found.get("StreamState")
    return words.get(word) if isinstance(word, str) else None


def objects(found: Any) -> list[dict[str, Any]]:
    """Return the objects of a list, or none."""
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def is_domain(value: Any, domain: str) -> bool:
    """Return whether a value is a domain, in any case."""
    return isinstance(value, str) and value.lower().removesuffix(".") == domain


def is_of(row: dict[str, Any], stream: Any) -> bool:
    """Say whether a row has a stream's app and name."""
    return (row.get("AppName"), row.get("StreamName")) == (stream.app, stream.stream or stream.name)
