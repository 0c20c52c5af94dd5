"""A strict reading of YAML: one pass over the parser's events builds plain values and refuses what a configuration
has no need of (aliases, anchors, merges, tags, duplicate keys, depth). Where lines and columns are wanted later, a
second pass finds them, so a file without errors does not pay for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.constructor import SafeConstructor

from exporter.config.odd import LONGEST_NUMBER, odd
from exporter.config.problems import MOST, Place, Problem, shown

LARGEST = 16 << 20
DEEPEST = 64

# libyaml where PyYAML was built with it, else the same parser in Python.
Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Document:
    """One file, read.

    Attributes:
        file: Its name as messages show it.
        data: Its bytes.
        words: The keys that it may have, which messages may repeat.
        value: Plain values: dict, list, str, int, float, bool, None.
        readable: False where no value could be built at all.
        problems: What YAML itself has to say.
        unknown: Places whose value was refused, so nothing can be said of it.
        odd: What to say of values that YAML may read differently than they were meant, such as `0123`.
        merged: Mappings that wanted to merge others into them, so nothing can be said of what they lack.
    """

    file: str
    data: bytes = field(default=b"", repr=False)
    words: frozenset[str] = field(default=frozenset(), repr=False)
    value: Any = field(default=None, repr=False)
    readable: bool = False
    problems: list[Problem] = field(default_factory=list)
    unknown: set[Place] = field(default_factory=set)
    odd: dict[Place, str] = field(default_factory=dict, repr=False)
    merged: set[Place] = field(default_factory=set)


def read_document(
    file: str, data: bytes, parser: Callable[[bytes], Any] = Parser, words: frozenset[str] = frozenset()
) -> Document:
    """Read one file's bytes; whatever they are, nothing is raised."""
    document = Document(file, data.removeprefix(b"\xef\xbb\xbf"), words)
    problem = _unfit(document)
    if problem is None:
        _Reader(document, parser).run()
    else:
        document.problems.append(problem)
    return document


def _unfit(document: Document) -> Problem | None:
    data = document.data
    if len(data) > LARGEST:
        return Problem(document.file, 1, 1, "document", "is larger than 16 MiB")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = _spot(data, error.start)
        return Problem(document.file, line, column, "document", "is not UTF-8 here")
    return None


def _spot(data: bytes, offset: int) -> tuple[int, int]:
    before = data[:offset]
    return before.count(b"\n") + 1, len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1


class _Merge(str):
    """The plain scalar `<<`, which YAML 1.1 takes for an order to merge."""

    __slots__ = ()


_TAG = "tag:yaml.org,2002:"
_CONSTRUCT: dict[str, Callable[[Any], Any]] = {
    f"{_TAG}bool": SafeConstructor().construct_yaml_bool,
    f"{_TAG}int": SafeConstructor().construct_yaml_int,
    f"{_TAG}float": SafeConstructor().construct_yaml_float,
    f"{_TAG}null": lambda _node: None,
    f"{_TAG}merge": lambda node: _Merge(node.value),
}
_RESOLVERS: dict[str, list[tuple[str, re.Pattern[str]]]] = yaml.SafeLoader.yaml_implicit_resolvers


class _Scalars(dict[str, Any]):
    """What plain scalars are that may be more than text: as SafeLoader has it, but times and huge numbers stay text."""

    def __init__(self) -> None:
        self.odd: dict[str, str] = {}

    def __missing__(self, text: str) -> Any:
        value: Any = text
        if len(text) <= LONGEST_NUMBER:
            value = _resolved(text)
            self.odd |= {text: advice} if (advice := odd(text)) else {}
        self[text] = value
        return value


def _resolved(text: str) -> Any:
    for tag, pattern in _RESOLVERS[text[:1]]:
        if pattern.match(text):
            construct = _CONSTRUCT.get(tag)
            try:
                return construct(yaml.ScalarNode(tag, text)) if construct else text
            except ValueError:  # such as 0x_, which the pattern lets pass
                return text
    return text


class _Stop(Exception):  # noqa: N818
    """Reading ends here; the problem has been noted."""


_DROPPED: Any = object()  # the key under which refused values wait for the end of their mapping


class _Reader:
    """Turns events into values. `box` is what is being filled, `key` the key that waits for its value there."""

    def __init__(self, document: Document, parser: Callable[[bytes], Any]) -> None:
        self.document = document
        self.parser = parser
        self.scalars = _Scalars()
        self.box: Any = []
        self.key: Any = None
        self.stack: list[tuple[Any, Any]] = []
        self.root = self.box
        self.handlers: dict[type, Callable[[Any], None]] = {
            yaml.ScalarEvent: self.scalar,
            yaml.MappingStartEvent: self.mapping,
            yaml.SequenceStartEvent: self.sequence,
            yaml.MappingEndEvent: self.close,
            yaml.SequenceEndEvent: self.close,
            yaml.AliasEvent: self.alias,
            yaml.StreamStartEvent: lambda _event: None,
            yaml.DocumentStartEvent: self.document_start,
            yaml.DocumentEndEvent: lambda _event: None,
        }

    def run(self) -> None:
        """Read to the end, or to where it cannot go on."""
        try:
            self.events()
        except _Stop:
            return
        except yaml.YAMLError as error:
            self.syntax(error)
            return
        except (ValueError, OverflowError):  # the Python parser's own slips, on escapes that are no characters
            self.note((), 1, 1, "is not YAML: an escape or a directive that cannot be read")
            return
        if not self.root:
            self.note((), 1, 1, "is empty")
            return
        self.document.value = self.root[0]
        self.document.readable = True

    def events(self) -> None:
        get = self.parser(self.document.data).get_event
        handlers = self.handlers
        end = yaml.StreamEndEvent
        while (kind := type(event := get())) is not end:
            handlers[kind](event)

    def note(self, place: Place, line: int, column: int, message: str, *, bare: bool = False) -> None:
        document = self.document
        if len(document.problems) < MOST:
            path = shown(place, document.words, bare=bare)
            document.problems.append(Problem(document.file, line, column, path, message))

    def refuse(self, event: Any, message: str, *, bare: bool = False) -> None:
        mark = event.start_mark
        self.note(self.place(), mark.line + 1, mark.column + 1, message, bare=bare)

    def syntax(self, error: yaml.YAMLError) -> None:
        """Say what stops the parser in our own words: its own repeat the text around."""
        problem = getattr(error, "problem", None)
        ended = isinstance(problem, str) and "unexpected end" in problem
        marks = ("context_mark", "problem_mark") if ended else ("problem_mark", "context_mark")
        mark = getattr(error, marks[0], None) or getattr(error, marks[1], None)
        line, column = (mark.line + 1, mark.column + 1) if mark else self.unprintable()
        self.note((), line, column, f"is not YAML: {_explained(problem)}")

    def unprintable(self) -> tuple[int, int]:
        text = self.document.data.decode("utf-8")
        found = yaml.reader.Reader.NON_PRINTABLE.search(text)
        return _spot(self.document.data, len(text[: found.start()].encode())) if found else (1, 1)

    def place(self) -> Place:
        """Return the place of the value that comes next, or of the mapping where a key comes next."""
        steps = [len(box) - 1 if type(box) is list else key for box, key in self.stack]
        steps.append(len(self.box) if type(self.box) is list else self.key)
        return tuple(step for step in steps[1:] if isinstance(step, (str, int)))

    # The handlers, most frequent first.

    def scalar(self, event: Any) -> None:
        value = event.value
        if value[:1] in _RESOLVERS and event.implicit[0]:
            value = self.scalars[value]
            if event.value in self.scalars.odd:
                self.document.odd[self.place()] = self.scalars.odd[event.value]
        if event.tag is not None or event.anchor is not None:
            self.decorated(event)
        box = self.box
        if type(box) is list:
            box.append(value)
        elif (key := self.key) is not None:
            box[key] = value
            self.key = None
        elif type(value) is str and value not in box:
            self.key = value
        else:
            self.bad_key(event, value)

    def bad_key(self, event: Any, value: Any) -> None:
        if isinstance(value, _Merge):
            self.document.merged.add(self.place())
            self.refuse(event, "merges (<<) are not read; write the keys out")
        elif isinstance(value, str):
            self.key = value
            self.refuse(event, "stands twice in one mapping", bare=self.box[value] is None)
        else:
            self.refuse(event, "a key is not text; quote it")
        self.key = _DROPPED

    def mapping(self, event: Any) -> None:
        self.open(event, {})

    def sequence(self, event: Any) -> None:
        self.open(event, [])

    def open(self, event: Any, new: Any) -> None:
        if event.tag is not None or event.anchor is not None:
            self.decorated(event)
        if len(self.stack) > DEEPEST:
            self.refuse(event, f"is nested deeper than {DEEPEST} levels")
            raise _Stop
        box, key = self.box, self.key
        if type(box) is list:
            box.append(new)
        elif key is not None:
            box[key] = new
        else:
            braces = "; {{ … }} of a template is not filled in here" if new == {} == box and event.flow_style else ""
            self.refuse(event, f"a key is a list or a mapping; it must be text{braces}")
        self.stack.append((box, key))
        self.box, self.key = new, None

    def close(self, _event: Any) -> None:
        if type(self.box) is dict:
            self.box.pop(_DROPPED, None)
        self.box, key = self.stack.pop()
        # Where no key was waiting, what ended was itself the key.
        self.key = _DROPPED if key is None and type(self.box) is dict else None

    def alias(self, event: Any) -> None:
        self.refuse(event, "aliases (*) are not read; write the value out")
        self.doubt()
        if type(self.box) is list:
            self.box.append(None)
        elif self.key is None:
            self.key = _DROPPED
        else:
            self.box[self.key] = None
            self.key = None

    def decorated(self, event: Any) -> None:
        if event.anchor is not None:
            self.refuse(event, "anchors (&) are not read; remove it")
        if event.tag is not None:
            self.refuse(event, "tags (!) are not read; remove it")
            self.doubt()

    def doubt(self) -> None:
        """Note that nothing can be said of the value that comes next."""
        if type(self.box) is list or self.key is not None:
            self.document.unknown.add(self.place())

    def document_start(self, event: Any) -> None:
        if self.root:
            self.refuse(event, "a second document starts here; one file holds one")
            raise _Stop


_SYNTAX = (
    ("mapping values are not allowed", "a ': ' where no key can stand; quote the text, or mend the indentation"),
    ("could not find expected ':'", "a key without its ': '"),
    ("cannot start any token", "a character that cannot begin a value; quote it, and indent with spaces"),
    ("did not find expected key", "the indentation does not fit the lines above, or text follows a closing quote"),
    ("did not find expected '-' indicator", "the indentation does not fit the list above"),
    ("expected <block end>", "the indentation does not fit the lines above"),
    ("block sequence entries are not allowed", "a '-' where no list can stand; put it on a line of its own"),
    ("unexpected end of stream", "a quote or a bracket is not closed"),
    ("expected ',' or", "a list or mapping in brackets is not closed, or lacks a comma"),
    ("tab", "a tab in the indentation; use spaces"),
    ("escape", "an escape (\\) that does not exist; use single quotes"),
    ("control characters", "a control character"),
    ("special characters", "a control character"),
)


def _explained(problem: object) -> str:
    text = problem if isinstance(problem, str) else "special characters"
    return next((words for sign, words in _SYNTAX if sign in text), "it cannot be read from here on")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a value and its key stand: (line, column) each, counted from 1."""

    key: tuple[int, int]
    value: tuple[int, int]


class _Locator(_Reader):
    """Reads a document again and notes where the wanted places are."""

    def __init__(self, document: Document, parser: Callable[[bytes], Any], wanted: set[Place]) -> None:
        super().__init__(Document(document.file, document.data), parser)
        self.wanted = wanted
        self.found: dict[Place, Spot] = {}
        self.key_spot: tuple[int, int] | None = None

    def scalar(self, event: Any) -> None:
        self.see(event)
        super().scalar(event)

    def open(self, event: Any, new: Any) -> None:
        self.see(event)
        super().open(event, new)

    def alias(self, event: Any) -> None:
        self.see(event)
        super().alias(event)

    def see(self, event: Any) -> None:
        here = (event.start_mark.line + 1, event.start_mark.column + 1)
        if type(self.box) is dict and self.key is None:
            self.key_spot = here
            return
        inside = any(key is _DROPPED for _, key in self.stack)
        if not inside and (place := self.place()) in self.wanted:
            self.found.setdefault(place, Spot((type(self.box) is dict and self.key_spot) or here, here))


def locate(document: Document, places: set[Place], parser: Callable[[bytes], Any] = Parser) -> dict[Place, Spot]:
    """Return where places stand; one that is not there stands where the nearest value around it does."""
    wanted = {place[:length] for place in places for length in range(len(place) + 1)}
    locator = _Locator(document, parser, wanted)
    locator.run()
    found = locator.found
    return {place: _nearest(found, place) for place in places}


def _nearest(found: dict[Place, Spot], place: Place) -> Spot:
    if place in found:
        return found[place]
    around = next((found[place[:n]] for n in range(len(place) - 1, -1, -1) if place[:n] in found), None)
    spot = around.value if around else (1, 1)
    return Spot(spot, spot)
