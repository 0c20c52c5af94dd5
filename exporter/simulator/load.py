"""The world file: YAML read strictly, every error at once with its line. docs/simulator.md describes the format."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from exporter import files
from exporter.config.document import Format, read_document
from exporter.config.positions import leaves, misread, problems_at, unprintable
from exporter.config.problems import Place, Problem, path_of
from exporter.fields import duration
from exporter.model import State
from exporter.scrubbing import scrub
from exporter.simulator.faults import Fault
from exporter.simulator.providers import quirks
from exporter.simulator.types import Input, Manners, Script, Tricks
from exporter.simulator.world import World

LARGEST = 16 << 20

T = TypeVar("T")
Definite = Literal["active", "inactive", "forbidden", "not_found"]


class WorldError(Exception):
    """The world file is wrong; the text has one line for each error, `file:line: path: message`."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class _Cycle(_Part):
    """States one after another, from the beginning again after the last."""

    cycle: list[Definite] = Field(min_length=1)
    every: duration(0.01, 1e9) = 30.0  # type: ignore[valid-type]
    offset: duration(0, 1e9) = 0.0  # type: ignore[valid-type]


_State = Definite | _Cycle


class _Input(_Part):
    domain: str
    app: str
    source: Literal["push", "pull"] = "push"
    up: bool | _Cycle = True
    group: str = ""


class _Account(_Part):
    """An account; all other keys are the provider's own."""

    model_config = ConfigDict(extra="allow")

    name: str
    provider: str
    quota: dict[str, float] = Field(default_factory=dict)
    denied: list[str] = Field(default_factory=list)
    domains: list[str] = Field(default_factory=list)
    token_expires: float | None = None


class _Stream(_Part):
    """A stream; all other keys are its address."""

    model_config = ConfigDict(extra="allow")

    name: str
    account: str
    state: _State = "active"
    media: list[Literal["Audio", "Video", "ScreenAudio", "ScreenVideo"]] | None = None
    inputs: list[_Input] = Field(default_factory=list)
    ingest: Literal["push", "pull"] = "push"
    in_room: bool | None = None


class _World(_Part):
    seed: int = 1
    accounts: list[_Account]
    streams: list[_Stream] = Field(default_factory=list)
    faults: list[dict[str, Any]] = Field(default_factory=list)
    quirks: dict[str, Any] = Field(default_factory=dict)
    listings: dict[str, dict[str, Any]] = Field(default_factory=dict)
    callbacks: str = Field("", pattern=r"^(https?://[^\s?#]+)?$")
    manners: dict[str, dict[str, Any]] = Field(default_factory=dict)


@lru_cache(maxsize=16)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _read(kind: Any, value: Any) -> Any:
    # In JSON mode "strict" still lets an object be a dataclass and a text be an enum.
    return _adapter(kind).validate_json(json.dumps(value))


def _reader(kind: type[T]) -> Callable[[Mapping[str, Any]], T]:
    """Return a function that reads a value strictly from its JSON form, or raises ValueError."""
    return partial(_read, kind)


read_fault = _reader(Fault)
read_quirks: Callable[[Mapping[str, Any]], Any] = _reader(quirks())
read_tricks = _reader(Tricks)


def read_manners(value: Mapping[str, Any]) -> dict[str, Any]:
    """Read how callbacks are sent strictly; raises ValueError."""
    return asdict(_reader(Manners)(value))


def read_script(value: Any, now: float) -> Script:
    """Read `active` or `{cycle: [active, inactive], every: 30s, offset: 0s}`; a single state begins now.

    Raises:
        ValueError: It is written otherwise.
    """
    return _script(_read(_State, value), now)


def read_inputs(value: Any, now: float = 0.0) -> tuple[Input, ...]:
    """Read a list of inputs; raises ValueError."""
    return tuple(_input(each, now) for each in _read(list[_Input], value))


def _script(found: str | _Cycle, now: float) -> Script:
    if isinstance(found, str):
        return Script((State(found),), since=now)
    return Script(tuple(State(state) for state in found.cycle), found.every, found.offset, now)


def _input(found: _Input, now: float) -> Input:
    up = found.up if isinstance(found.up, bool) else _script(found.up, now)
    return Input(found.domain, found.app, found.source, up, found.group)


def load_world(path: Path, *, clock: Callable[[], float] = time.time) -> World:
    """Read a world from a file.

    Raises:
        WorldError: It cannot be read, or is wrong.
    """
    try:
        data = files.read(path, LARGEST + 1)
        text = data.decode("utf-8")
    except (FileNotFoundError, PermissionError, UnicodeDecodeError) as error:
        raise WorldError(f"{path}: cannot be read: {type(error).__name__}") from None
    except (OSError, ValueError) as error:
        raise WorldError(f"{path}: {files.problem(error)}") from None
    if len(data) > LARGEST:
        raise WorldError(f"{path}: is larger than {LARGEST >> 20} MiB")
    return parse_world(text, name=str(path), clock=clock)


def parse_world(text: str, *, name: str = "world", clock: Callable[[], float] = time.time) -> World:
    """Make a world from the text of a world file.

    Raises:
        WorldError: It is wrong; each line tells one error with its place.
    """
    document = read_document(name, text.encode(), _FORMAT)
    if document.problems:
        raise WorldError("\n".join(_line(each, each.path) for each in document.problems))
    mistakes = [*misread(document).items(), *unprintable(document).items()]
    world = None if mistakes else _build(document.value, clock, mistakes)
    if world is None or mistakes:
        secrets = {text for text in _texts(document.value) if not _PLAIN.fullmatch(text)}
        told = problems_at(document, ((place, scrub(message, secrets)) for place, message in mistakes))
        raise WorldError("\n".join(_line(each, each.path or "world") for each in told))
    return world


def _line(problem: Problem, path: str) -> str:
    return f"{problem.file}:{problem.line}: " + (f"{path}: " if path else "") + problem.message


def _texts(tree: Any) -> Iterator[str]:
    """Yield every key and value as text."""
    for place, value in leaves(tree):
        yield from (step for step in (*place, str(value)) if isinstance(step, str))


_KEYS = frozenset(name for part in (_World, _Account, _Stream, _Input, _Cycle) for name in part.model_fields) | {
    field.name for kind in (Fault, quirks(), Tricks, Manners) for field in fields(kind)
}
_FORMAT = Format(path=lambda place, bare: path_of(place, bare, _KEYS) if place else "", parser=yaml.SafeLoader)
# A text that does not look like a secret: words and short numbers.
_PLAIN = re.compile(
    r"([A-Za-z]?[a-z]{0,15}|[A-Z]{0,5}|[0-9]{0,4})([-_./: ]([A-Za-z]?[a-z]{0,15}|[0-9]{0,4}))*", re.ASCII
)

Mistakes = list[tuple[Place, str]]


def _build(tree: Any, clock: Callable[[], float], mistakes: Mistakes) -> World | None:
    """Return the world that was written, and note what is wrong with it."""
    found = _collect(mistakes, (), lambda: _World.model_validate(tree))
    if found is None:
        return None
    world = World(clock=clock, seed=found.seed)
    parts: tuple[tuple[str, Iterable[tuple[str | int, Any]], Callable[[World, Any, Any], object]], ...] = (
        ("accounts", enumerate(found.accounts), _add_account),
        ("streams", enumerate(found.streams), _add_stream),
        ("faults", enumerate(found.faults), lambda world, _, fault: world.put(read_fault(fault))),
        ("listings", found.listings.items(), lambda world, name, tricks: world.mislead(name, read_tricks(tricks))),
        ("manners", found.manners.items(), lambda world, name, manners: world.behave(name, **read_manners(manners))),
    )
    for part, entries, add in parts:
        for step, entry in entries:
            _collect(mistakes, (part, step), partial(add, world, step, entry))
    world.callbacks = found.callbacks
    world.quirks = _collect(mistakes, ("quirks",), lambda: read_quirks(found.quirks)) or world.quirks
    return world


def _collect(mistakes: Mistakes, place: Place, step: Callable[[], T]) -> T | None:
    try:
        return step()
    except ValidationError as error:
        mistakes.extend(((*place, *each["loc"]), each["msg"]) for each in error.errors(include_input=False))
    except (ValueError, TypeError) as error:  # TypeError: a key that no field can have, such as `self`
        mistakes.append((place, str(error)))
    return None


def _add_account(world: World, _: int, found: _Account) -> None:
    world.add_account(**found.model_dump())


def _add_stream(world: World, _: int, found: _Stream) -> None:
    now = world.clock()
    address: dict[str, Any] = found.model_extra or {}
    wrong = [name for name, value in address.items() if not isinstance(value, str)]
    if wrong:
        raise ValueError(f"{wrong[0]} is not text")
    details: dict[str, Any] = {} if found.media is None else {"media": found.media}
    world.add_stream(
        found.name,
        found.account,
        state=_script(found.state, now),
        inputs=[_input(each, now) for each in found.inputs],
        ingest=found.ingest,
        in_room=found.in_room,
        **details,
        **address,
    )
