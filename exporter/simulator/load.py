"""The world file: strict YAML, all errors reported at once with their lines. docs/simulator.md describes the format."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, replace
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
from exporter.simulator.types import Figures, Input, Manners, Playback, Script, Tricks
from exporter.simulator.world import World

LARGEST = 16 << 20

T = TypeVar("T")
Definite = Literal["active", "inactive", "forbidden", "not_found"]


class WorldError(Exception):
    """The world file is invalid; the text has one line per error, `file:line: path: message`."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class _Cycle(_Part):
    """States in order, repeated for ever."""

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


class _Figures(_Part):
    frames: float = 25.0
    audio_frames: float = 43.0
    video_bits: int = 2_500_000
    audio_bits: int = 128_000
    width: int = 1280
    height: int = 720
    moving: bool | _Cycle = True


class _Playback(_Part):
    moving: bool | _Cycle = True
    missing: list[str] = Field(default_factory=list)
    target: int = Field(2, ge=1, le=60)
    rows: int = Field(6, ge=1, le=100_000)
    keys: dict[Literal["txSecret", "auth_key"], str] = Field(default_factory=dict)


class _Account(_Part):
    """An account; further keys are fields of its provider."""

    model_config = ConfigDict(extra="allow")

    name: str
    provider: str
    quota: dict[str, float] = Field(default_factory=dict)
    denied: list[str] = Field(default_factory=list)
    domains: list[str] = Field(default_factory=list)
    token_expires: float | None = None


class _Stream(_Part):
    """A stream; further keys are its address."""

    model_config = ConfigDict(extra="allow")

    name: str
    account: str
    state: _State = "active"
    media: list[Literal["Audio", "Video", "ScreenAudio", "ScreenVideo"]] | None = None
    inputs: list[_Input] = Field(default_factory=list)
    ingest: Literal["push", "pull"] = "push"
    in_room: bool | None = None
    figures: _Figures = Field(default_factory=_Figures)
    playback: _Playback = Field(default_factory=_Playback)


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


def read(kind: Any, value: Any) -> Any:
    """Read a value of a type strictly from its JSON form; raises ValueError."""
    # In JSON mode "strict" still accepts an object for a dataclass and a text for an enum.
    return _adapter(kind).validate_json(json.dumps(value))


def read_script(value: Any, now: float) -> Script:
    """Read `active` or `{cycle: [active, inactive], every: 30s, offset: 0s}`; raises ValueError.

    A single state begins at `now`, in Unix seconds.
    """
    return _script(read(_State, value), now)


def read_inputs(value: Any, now: float = 0.0) -> tuple[Input, ...]:
    """Read a list of inputs; raises ValueError."""
    return tuple(_input(each, now) for each in read(list[_Input], value))


def read_figures(value: Any, now: float = 0.0) -> Figures:
    """Read `{frames: 25, moving: false}` and the like; raises ValueError."""
    return _figures(read(_Figures, value), now)


def read_playback(value: Any, now: float, present: Playback) -> Playback:
    """Read `{moving: false, missing: [low.m3u8]}` and the like; what is not given stays; raises ValueError."""
    return _playback(read(_Playback, value), now, present)


def _playback(part: _Playback, now: float, present: Playback) -> Playback:
    given: dict[str, Any] = {name: getattr(part, name) for name in part.model_fields_set}
    if "moving" in given:
        given["moving"] = _switch(part.moving, now)
    if "missing" in given:
        given["missing"] = tuple(part.missing)
    return replace(present, **given)


def _figures(part: _Figures, now: float) -> Figures:
    return Figures(**{**dict(part), "moving": _switch(part.moving, now)})


def _switch(part: bool | _Cycle, now: float) -> bool | Script:
    return part if isinstance(part, bool) else _script(part, now)


def _script(part: str | _Cycle, now: float) -> Script:
    if isinstance(part, str):
        return Script((State(part),), since=now)
    return Script(tuple(State(state) for state in part.cycle), part.every, part.offset, now)


def _input(part: _Input, now: float) -> Input:
    return Input(part.domain, part.app, part.source, _switch(part.up, now), part.group)


def load_world(path: Path, *, clock: Callable[[], float] = time.time) -> World:
    """Read a world from a file.

    Raises:
        WorldError: It cannot be read, or is invalid.
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
    """Build a world from the text of a world file.

    Raises:
        WorldError: It is invalid; each line is one error.
    """
    document = read_document(name, text.encode(), _FORMAT)
    if document.problems:
        raise WorldError("\n".join(_line(each, each.path) for each in document.problems))
    mistakes = [*misread(document).items(), *unprintable(document).items()]
    world = None if mistakes else _build(document.value, clock, mistakes)
    if world is None or mistakes:
        secrets = {text for text in _texts(document.value) if not _PLAIN.fullmatch(text)}
        problems = problems_at(document, ((place, scrub(message, secrets)) for place, message in mistakes))
        raise WorldError("\n".join(_line(each, each.path or "world") for each in problems))
    return world


def _line(problem: Problem, path: str) -> str:
    return f"{problem.file}:{problem.line}: " + (f"{path}: " if path else "") + problem.message


def _texts(tree: Any) -> Iterator[str]:
    """Yield every key and value as text."""
    for place, value in leaves(tree):
        yield from (step for step in (*place, str(value)) if isinstance(step, str))


_KEYS = frozenset(
    name for part in (_World, _Account, _Stream, _Input, _Figures, _Playback, _Cycle) for name in part.model_fields
) | {field.name for kind in (Fault, quirks(), Tricks, Manners) for field in fields(kind)}
_FORMAT = Format(path=lambda place, bare: path_of(place, bare, _KEYS) if place else "", parser=yaml.SafeLoader)
# Text that does not look like a secret: words and short numbers.
_PLAIN = re.compile(
    r"([A-Za-z]?[a-z]{0,15}|[A-Z]{0,5}|[0-9]{0,4})([-_./: ]([A-Za-z]?[a-z]{0,15}|[0-9]{0,4}))*", re.ASCII
)

Mistakes = list[tuple[Place, str]]


def _build(tree: Any, clock: Callable[[], float], mistakes: Mistakes) -> World | None:
    """Build a world from a parsed file and add its errors to `mistakes`; return None if nothing can be built."""
    part = _collect(mistakes, (), lambda: _World.model_validate(tree))
    if part is None:
        return None
    world = World(clock=clock, seed=part.seed)
    lists: tuple[tuple[str, Iterable[tuple[str | int, Any]], Callable[[World, Any, Any], object]], ...] = (
        ("accounts", enumerate(part.accounts), _add_account),
        ("streams", enumerate(part.streams), _add_stream),
        ("faults", enumerate(part.faults), lambda world, _, value: world.add_fault(read(Fault, value))),
        ("listings", part.listings.items(), lambda world, name, value: world.set_tricks(name, read(Tricks, value))),
        ("manners", part.manners.items(), lambda world, name, value: world.set_manners(name, read(Manners, value))),
    )
    for section, entries, add in lists:
        for step, entry in entries:
            _collect(mistakes, (section, step), partial(add, world, step, entry))
    world.callbacks = part.callbacks
    world.quirks = _collect(mistakes, ("quirks",), lambda: read(quirks(), part.quirks)) or world.quirks
    return world


def _collect(mistakes: Mistakes, place: Place, step: Callable[[], T]) -> T | None:
    try:
        return step()
    except ValidationError as error:
        mistakes.extend(((*place, *each["loc"]), each["msg"]) for each in error.errors(include_input=False))
    except (ValueError, TypeError) as error:  # TypeError: a key such as `self`
        mistakes.append((place, str(error)))
    return None


def _add_account(world: World, _: int, part: _Account) -> None:
    world.add_account(**part.model_dump())


def _add_stream(world: World, _: int, part: _Stream) -> None:
    now = world.clock()
    address: dict[str, Any] = part.model_extra or {}
    for name, value in address.items():
        if not isinstance(value, str):
            raise ValueError(f"{name} is not text")
    details: dict[str, Any] = {} if part.media is None else {"media": part.media}
    world.add_stream(
        part.name,
        part.account,
        state=_script(part.state, now),
        inputs=[_input(each, now) for each in part.inputs],
        ingest=part.ingest,
        in_room=part.in_room,
        figures=_figures(part.figures, now),
        playback=_playback(part.playback, now, Playback()),
        **details,
        **address,
    )
