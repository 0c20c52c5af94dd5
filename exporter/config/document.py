"""A strict reading of YAML, for the configuration, the web configuration and the simulator's worlds.

One pass over the parser's events builds plain values and refuses what these files have no need of (aliases, anchors,
merges, tags, duplicate keys, depth). A second pass finds lines and columns, so a file without errors does not pay for
them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from exporter.config.problems import MOST, Place, Problem, Spot, path_of
from exporter.config.scalars import FIRST_SIGNS, Merge, Scalars, resolved

LARGEST = 16 << 20
DEEPEST = 64

BOM = b"\xef\xbb\xbf"

# Stands in a list for a stream of another shard.
ELSEWHERE: Any = object()

# libyaml where PyYAML was built with it, else the same parser in Python.
Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MESSAGES = {
    "encoding": "is not UTF-8 here",
    "escape": "is not YAML: an escape or a directive that cannot be read",
    "empty": "is empty",
    "depth": f"is nested deeper than {DEEPEST} levels",
    "alias": "aliases (*) are not read; write the value out",
    "anchor": "anchors (&) are not read; remove it",
    "tag": "tags (!) are not read; remove it",
    "merge": "merges (<<) are not read; write the keys out",
    "twice": "stands twice in one mapping",
    "key": "a key is not text; quote it",
    "nested key": "a key is a list or a mapping; it must be text",
    "template": "a key is a list or a mapping; it must be text; {{ … }} of a template is not filled in here",
    "second": "a second document starts here; one file holds one",
}

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


def explained(error: yaml.YAMLError) -> tuple[Any, str]:
    """Say where a parser stopped and why, in our own words: its own repeat the text around."""
    problem = getattr(error, "problem", None)
    text = problem if isinstance(problem, str) else "special characters"
    context, here = getattr(error, "context_mark", None), getattr(error, "problem_mark", None)
    mark = (context or here) if "unexpected end" in text else (here or context)
    reason = next((words for sign, words in _SYNTAX if sign in text), "it cannot be read from here on")
    return mark, f"is not YAML: {reason}"


@dataclass(frozen=True, slots=True)
class Format:
    """What one kind of file may hold, and how its problems are worded.

    Attributes:
        path: Writes a place for people; the flag says whether its last key has no value and so may be one itself.
        messages: Messages in place of MESSAGES; what has an empty one is allowed.
        explain: Says of a parser's error where it is and what is wrong.
        parser: Makes the parser of a file's bytes.
        scalar: Turns a plain scalar into a value.
        text_keys: Whether keys such as `1` and `yes` are text.
        largest: How many bytes it may have.
        fill: Turns a document's bytes into its value, where it is not YAML.
        locate: Returns where the wanted places of such a document are.
    """

    path: Callable[[Place, bool], str] = path_of
    messages: Mapping[str, str] = field(default_factory=dict)
    explain: Callable[[yaml.YAMLError], tuple[Any, str]] = explained
    parser: Callable[[bytes], Any] = Parser
    scalar: Callable[[str], Any] = resolved
    text_keys: bool = False
    largest: int = LARGEST
    fill: Callable[[Document], None] | None = None
    locate: Callable[[Document, set[Place]], Mapping[Place, Spot]] | None = None


@dataclass(slots=True)
class Document:
    """One file, read.

    Attributes:
        file: Its name as messages show it.
        data: Its bytes.
        format: The kind of file that it is.
        value: Plain values: dict, list, str, int, float, bool, None.
        readable: False where no value could be built at all.
        problems: What YAML itself has to say.
        unknown: Places whose value was refused, so nothing can be said of it.
        ambiguous: What to say of values that YAML may read differently than they were meant, such as `0123`.
        merged: Mappings that wanted to merge others into them, so nothing can be said of what they lack.
        forgotten: Whether its bytes and values are held no longer; it has no problems.
    """

    file: str
    data: bytes = field(default=b"", repr=False)
    format: Format = Format()
    value: Any = field(default=None, repr=False)
    readable: bool = False
    problems: list[Problem] = field(default_factory=list)
    unknown: set[Place] = field(default_factory=set)
    ambiguous: dict[Place, str] = field(default_factory=dict, repr=False)
    merged: set[Place] = field(default_factory=set)
    forgotten: bool = False

    def forget(self) -> None:
        """Hold its bytes and values no longer, unless something is to be said of them."""
        if not self.problems and not self.ambiguous:
            self.data, self.value, self.forgotten = b"", None, True

    def note(self, place: Place, line: int, column: int, kind: str, *, bare: bool = False) -> None:
        """Note a problem, unless this kind of file allows it; `kind` is one of MESSAGES, or the message itself."""
        message = self.format.messages.get(kind, MESSAGES.get(kind, kind))
        if message and len(self.problems) < MOST:
            self.problems.append(Problem(self.file, line, column, self.format.path(place, bare), message))


def read_document(file: str, data: bytes, form: Format = Format()) -> Document:
    """Read one file's bytes; whatever they are, nothing is raised."""
    document = Document(file, data.removeprefix(BOM), form)
    if len(data) > form.largest:
        document.note((), 1, 1, f"is larger than {form.largest >> 20} MiB")
        return document
    try:
        document.data.decode("utf-8")
    except UnicodeDecodeError as error:
        document.note((), *spot_of(document.data, error.start), "encoding")
    else:
        (form.fill or _read_yaml)(document)
    return document


def _read_yaml(document: Document) -> None:
    Reader(document).run()


def spot_of(data: bytes, offset: int) -> tuple[int, int]:
    """Return the line and the column of a byte, in characters, counted from 1."""
    before = data[:offset]
    return before.count(b"\n") + 1, len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1


def control_character(data: bytes) -> tuple[int, int] | None:
    """Return where the first character stands that YAML does not allow; None where there is none."""
    text = data.decode("utf-8")
    found = yaml.reader.Reader.NON_PRINTABLE.search(text)
    return spot_of(data, len(text[: found.start()].encode())) if found else None


class _Stop(Exception):  # noqa: N818
    """Reading ends here; the problem has been noted."""


DROPPED: Any = object()  # the key under which refused values wait for the end of their mapping


class Reader:
    """Turns events into values. `box` is what is being filled, `key` the key that waits for its value there."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.scalars = Scalars(document.format.scalar)
        self.text_keys = document.format.text_keys
        self.box: Any = []
        self.key: Any = None
        self.stack: list[tuple[Any, Any]] = []
        self.root = self.box
        self.handlers: dict[type, Callable[[Any], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: lambda event: self._open(event, {}),
            yaml.SequenceStartEvent: lambda event: self._open(event, []),
            yaml.MappingEndEvent: self._close,
            yaml.SequenceEndEvent: self._close,
            yaml.AliasEvent: self._alias,
            yaml.StreamStartEvent: lambda _event: None,
            yaml.DocumentStartEvent: self._document_start,
            yaml.DocumentEndEvent: lambda _event: None,
        }

    def run(self) -> None:
        """Read to the end, or to where it cannot go on."""
        document = self.document
        try:
            self._events()
        except _Stop:
            return
        except yaml.YAMLError as error:
            mark, message = document.format.explain(error)
            line, column = (mark.line + 1, mark.column + 1) if mark else control_character(document.data) or (1, 1)
            document.note((), line, column, message)
            return
        except (ValueError, OverflowError):  # the Python parser's own slips, on escapes that are no characters
            document.note((), 1, 1, "escape")
            return
        if self.root:
            document.value = self.root[0]
        else:
            document.note((), 1, 1, "empty")
        document.readable = bool(self.root) or not document.problems

    def _events(self) -> None:
        get = self.document.format.parser(self.document.data).get_event
        handlers = self.handlers
        end = yaml.StreamEndEvent
        while (kind := type(event := get())) is not end:
            handlers[kind](event)

    def _refuse(self, event: Any, kind: str, *, bare: bool = False) -> None:
        mark = event.start_mark
        self.document.note(self.place(), mark.line + 1, mark.column + 1, kind, bare=bare)

    def place(self) -> Place:
        """Return the place of the value that comes next, or of the mapping where a key comes next."""
        steps = [len(box) - 1 if type(box) is list else key for box, key in self.stack]
        steps.append(len(self.box) if type(self.box) is list else self.key)
        return tuple(step for step in steps[1:] if isinstance(step, (str, int)))

    # The handlers, most frequent first.

    def _scalar(self, event: Any) -> None:
        value = event.value
        if value[:1] in FIRST_SIGNS and event.implicit[0] and not (self.text_keys and self.at_key()):
            value = self.scalars[value]
            if event.value in self.scalars.ambiguous:
                self.document.ambiguous[self.place()] = self.scalars.ambiguous[event.value]
        if event.tag is not None or event.anchor is not None:
            self._decorated(event)
        box = self.box
        if type(box) is list:
            box.append(value)
        elif (key := self.key) is not None:
            box[key] = value
            self.key = None
        elif type(value) is str and value not in box:
            self.key = value
        else:
            self._bad_key(event, value)

    def at_key(self) -> bool:
        """Say whether a key comes next, rather than a value."""
        return self.key is None and type(self.box) is dict

    def _bad_key(self, event: Any, value: Any) -> None:
        if isinstance(value, Merge):
            self.document.merged.add(self.place())
            self._refuse(event, "merge")
        elif isinstance(value, str):
            self.key = value
            self._refuse(event, "twice", bare=self.box[value] is None)
        else:
            self._refuse(event, "key")
        self.key = DROPPED

    def _open(self, event: Any, new: Any) -> None:
        if event.tag is not None or event.anchor is not None:
            self._decorated(event)
        if len(self.stack) > DEEPEST:
            self._refuse(event, "depth")
            raise _Stop
        box, key = self.box, self.key
        if type(box) is list:
            box.append(new)
        elif key is not None:
            box[key] = new
        else:
            self._refuse(event, "template" if new == {} == box and event.flow_style else "nested key")
        self.stack.append((box, key))
        self.box, self.key = new, None

    def _close(self, _event: Any) -> None:
        if type(self.box) is dict:
            self.box.pop(DROPPED, None)
        self.box, key = self.stack.pop()
        # Where no key was waiting, what ended was itself the key.
        self.key = DROPPED if key is None and type(self.box) is dict else None

    def _alias(self, event: Any) -> None:
        self._refuse(event, "alias")
        self._doubt()
        if type(self.box) is list:
            self.box.append(None)
        elif self.key is None:
            self.key = DROPPED
        else:
            self.box[self.key] = None
            self.key = None

    def _decorated(self, event: Any) -> None:
        if event.anchor is not None:
            self._refuse(event, "anchor")
        if event.tag is not None:
            self._refuse(event, "tag")
            self._doubt()

    def _doubt(self) -> None:
        """Note that nothing can be said of the value that comes next."""
        if type(self.box) is list or self.key is not None:
            self.document.unknown.add(self.place())

    def _document_start(self, event: Any) -> None:
        if self.root:
            self._refuse(event, "second")
            raise _Stop
