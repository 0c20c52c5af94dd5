"""The world file: YAML read strictly, every error at once with its line. docs/simulator.md describes the format."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from exporter import files
from exporter.config.odd import odd
from exporter.config.problems import shown
from exporter.fields import duration
from exporter.model import State
from exporter.scrubbing import scrub
from exporter.simulator.faults import Fault
from exporter.simulator.nouns import Input, Manners, Quirks, Script, Tricks
from exporter.simulator.world import World

LARGEST = 16 << 20

T = TypeVar("T")
Place = tuple[str | int, ...]
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
    """An account; what stands beside these fields are the provider's own."""

    model_config = ConfigDict(extra="allow")

    name: str
    provider: str
    quota: dict[str, float] = Field(default_factory=dict)
    denied: list[str] = Field(default_factory=list)
    domains: list[str] = Field(default_factory=list)
    token_expires: float | None = None


class _Stream(_Part):
    """A stream; what stands beside these fields is its address."""

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


def read_fault(value: Mapping[str, Any]) -> Fault:
    """Read a fault strictly from its JSON form.

    Raises:
        ValueError: A field is unknown or of a wrong type.
    """
    found = _read(Fault, value)
    assert isinstance(found, Fault)
    return found


def read_quirks(value: Mapping[str, Any]) -> Quirks:
    """Read the switches strictly; those not named keep their default.

    Raises:
        ValueError: A switch or its value is unknown.
    """
    found = _read(Quirks, value)
    assert isinstance(found, Quirks)
    return found


def read_tricks(value: Mapping[str, Any]) -> Tricks:
    """Read what is to be wrong with a list strictly.

    Raises:
        ValueError: A field is unknown or of a wrong type.
    """
    found = _read(Tricks, value)
    assert isinstance(found, Tricks)
    return found


def read_manners(value: Mapping[str, Any]) -> dict[str, Any]:
    """Read how callbacks are sent strictly.

    Raises:
        ValueError: A field is unknown or of a wrong type.
    """
    found = _read(Manners, value)
    assert isinstance(found, Manners)
    return asdict(found)


def read_script(value: Any, now: float) -> Script:
    """Read `active` or `{cycle: [active, inactive], every: 30s, offset: 0s}`; a single state begins now.

    Raises:
        ValueError: It is written otherwise.
    """
    return _script(_read(_State, value), now)


def read_inputs(value: Any, now: float = 0.0) -> tuple[Input, ...]:
    """Read a list of inputs.

    Raises:
        ValueError: It is written otherwise.
    """
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
    try:
        tree = yaml.compose(text, _Loader)
        document = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader that leaves dates as text
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise WorldError(f"{name}:{mark.line + 1 if mark else 1}: is not YAML") from None
    problems = [*_twice(tree, ()), *_odd(tree, ())]
    world = _build(document, clock, problems) if not problems else None
    if world is None or problems:
        secrets = {text for text in _scalars(tree) if not _PLAIN.fullmatch(text)}
        told = [(place, scrub(message, secrets)) for place, message in problems]
        lines = [f"{name}:{_line(tree, place)}: {_path(place)}: {message}" for place, message in told]
        raise WorldError("\n".join(lines))
    return world


class _Loader(yaml.SafeLoader):
    """Reads dates as text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
# A text that does not look like a secret: words and short numbers.
_PLAIN = re.compile(
    r"([A-Za-z]?[a-z]{0,15}|[A-Z]{0,5}|[0-9]{0,4})([-_./: ]([A-Za-z]?[a-z]{0,15}|[0-9]{0,4}))*", re.ASCII
)

Problems = list[tuple[Place, str]]


def _build(document: Any, clock: Callable[[], float], problems: Problems) -> World | None:
    found = _collect(problems, (), lambda: _World.model_validate(document))
    if found is None:
        return None
    world = World(clock=clock, seed=found.seed)
    for place, account in enumerate(found.accounts):
        _collect(problems, ("accounts", place), partial(_add_account, world, account))
    for place, stream in enumerate(found.streams):
        _collect(problems, ("streams", place), partial(_add_stream, world, stream))
    for place, fault in enumerate(found.faults):
        _collect(problems, ("faults", place), partial(_add_fault, world, fault))
    for provider, tricks in found.listings.items():
        _collect(problems, ("listings", provider), partial(_add_tricks, world, provider, tricks))
    for provider, manners in found.manners.items():
        _collect(problems, ("manners", provider), partial(_add_manners, world, provider, manners))
    world.callbacks = found.callbacks
    world.quirks = _collect(problems, ("quirks",), lambda: read_quirks(found.quirks)) or world.quirks
    return world


def _collect(problems: Problems, place: Place, step: Callable[[], T]) -> T | None:
    try:
        return step()
    except ValidationError as error:
        problems.extend(((*place, *each["loc"]), each["msg"]) for each in error.errors(include_input=False))
    except ValueError as error:
        problems.append((place, str(error)))
    return None


def _add_account(world: World, found: _Account) -> None:
    world.add_account(
        found.name,
        found.provider,
        quota=found.quota,
        denied=found.denied,
        domains=found.domains,
        token_expires=found.token_expires,
        **(found.model_extra or {}),
    )


def _add_stream(world: World, found: _Stream) -> None:
    now = world.clock()
    details: dict[str, Any] = {} if found.media is None else {"media": found.media}
    address: dict[str, Any] = found.model_extra or {}
    wrong = [name for name, value in address.items() if not isinstance(value, str)]
    if wrong:
        raise ValueError(f"{wrong[0]} is not text")
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


def _add_fault(world: World, found: Mapping[str, Any]) -> None:
    world.put(read_fault(found))


def _add_tricks(world: World, provider: str, found: Mapping[str, Any]) -> None:
    world.mislead(provider, read_tricks(found))


def _add_manners(world: World, provider: str, found: Mapping[str, Any]) -> None:
    world.behave(provider, **read_manners(found))


def _twice(node: yaml.Node | None, place: Place) -> Iterator[tuple[Place, str]]:
    """Find keys that stand twice, which a YAML reader would let pass."""
    if isinstance(node, yaml.SequenceNode):
        for count, child in enumerate(node.value):
            yield from _twice(child, (*place, count))
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, child in node.value:
            if str(key.value) in seen:
                yield (*place, str(key.value)), "stands twice"
            seen.add(str(key.value))
            yield from _twice(child, (*place, str(key.value)))


def _odd(node: yaml.Node | None, place: Place) -> Iterator[tuple[Place, str]]:
    """Find numbers that YAML reads differently than they were written."""
    if isinstance(node, yaml.SequenceNode):
        for count, child in enumerate(node.value):
            yield from _odd(child, (*place, count))
    elif isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            yield from _odd(child, (*place, str(key.value)))
    elif isinstance(node, yaml.ScalarNode) and node.style is None and node.tag.endswith((":int", ":float")):
        yield from ((place, advice) for advice in [odd(node.value)] if advice)


def _scalars(node: yaml.Node | None) -> Iterator[str]:
    """Yield every key and value."""
    if isinstance(node, yaml.ScalarNode):
        yield node.value
    elif isinstance(node, yaml.SequenceNode):
        for child in node.value:
            yield from _scalars(child)
    elif isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            yield from (*_scalars(key), *_scalars(child))


def _line(node: yaml.Node | None, place: Sequence[str | int]) -> int:
    """Return the line of the deepest node on the way to a place."""
    line = node.start_mark.line + 1 if node else 1
    for part in place:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        elif isinstance(node, yaml.MappingNode):
            found = [(key, child) for key, child in node.value if key.value == str(part)]
            if not found:
                break
            node = found[-1][1]
            line = found[-1][0].start_mark.line + 1
            continue
        else:
            break
        line = node.start_mark.line + 1
    return line


def _path(place: Place) -> str:
    """Write a place; a key that may be a secret is not repeated."""
    return shown(place, _WORDS) if place else "world"


_WORDS = frozenset(name for part in (_World, _Account, _Stream, _Input, _Cycle) for name in part.model_fields) | {
    field.name for kind in (Fault, Quirks, Tricks, Manners) for field in fields(kind)
}
