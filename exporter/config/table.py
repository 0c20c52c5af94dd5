"""Stream files in CSV (RFC 4180): a header line with the streams' keys, then one stream a line.

They are read as strictly as YAML, and every problem has its line and column. An empty cell is a key that is not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from exporter.config.document import ELSEWHERE, Document, control_character
from exporter.config.problems import Place, Spot
from exporter.config.streams import taken
from exporter.fields import is_duration
from exporter.model import Stream
from exporter.providers.interface import AnyProvider
from exporter.spelling import did_you_mean

NEEDED = ("name", "account")
LABELS = "labels."

_CELL = re.compile(
    r'[ \t]*"(?P<quoted>[^"]*(?:""[^"]*)*)"[ \t]*(?=[,\r\n]|\Z)|[ \t]*(?P<plain>[^",\r\n]*)(?=[,\r\n]|\Z)'
)
_LINE_END = re.compile(r"\r\n|\r|\n")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,63}", re.ASCII)
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?", re.ASCII)


class Cell(NamedTuple):
    """What stands in a cell, without the quotes, and where; line and column count from 1, column in characters."""

    text: str
    line: int
    column: int


class NotCsv(Exception):  # noqa: N818 - a finding, with its place
    """The text is not CSV from here on."""

    def __init__(self, line: int, column: int, why: str) -> None:
        super().__init__(why)
        self.spot = (line, column)
        self.why = f"is not CSV: {why}"


def rows(text: str) -> Iterator[list[Cell]]:
    """Yield the cells of each line, quoted line breaks being part of a cell; raises NotCsv."""
    at, line, begin = 0, 1, 0
    row: list[Cell] = []
    while at < len(text) or row:
        if not row and (stop := _unquoted(text, at)) >= at:
            yield list(_plain_cells(text[at:stop].removesuffix("\r"), line))
            at = begin = stop + 1
            line += 1
            continue
        found = _CELL.match(text, at)
        if found is None:
            raise _broken(text, at, line, begin)
        quoted = found["quoted"]
        column = found.start("plain" if quoted is None else "quoted") - begin + (quoted is None)
        row.append(Cell(found["plain"].rstrip(" \t") if quoted is None else quoted.replace('""', '"'), line, column))
        for end in _LINE_END.finditer(quoted or ""):
            line, begin = line + 1, found.start("quoted") + end.end()
        at = found.end()
        if text[at : at + 1] == ",":
            at += 1
            continue
        yield row
        row = []
        if end_of_line := _LINE_END.match(text, at):
            at = begin = end_of_line.end()
            line += 1


def _unquoted(text: str, at: int) -> int:
    """Return where the line that begins at a place ends, if it has no quotes, as most have none; else -1."""
    end = text.find("\n", at)
    plain = end >= 0 and text.find('"', at, end) < 0 and text.find("\r", at, end - 1) < 0
    return end if plain else -1


def _plain_cells(text: str, line: int) -> Iterator[Cell]:
    column = 1
    for part in text.split(","):
        cell = part.lstrip(" \t")
        yield Cell(cell.rstrip(" \t"), line, column + len(part) - len(cell))
        column += len(part) + 1


def _broken(text: str, at: int, line: int, begin: int) -> NotCsv:
    quote = text.index('"', at)
    column = quote - begin + 1
    if text[at:quote].strip(" \t"):
        return NotCsv(line, column, "a quote within a cell; put the cell in quotes, and write this quote twice")
    if re.compile(r'"[^"]*(?:""[^"]*)*"').match(text, quote):
        return NotCsv(line, column, "text follows the closing quote; a quote within a cell is written twice")
    return NotCsv(line, column, "a quote is not closed")


# --- columns ---------------------------------------------------------------------------------------------------------

Read = Callable[[str], Any]
"""Turns a cell into a value; raises ValueError with what is wrong."""


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError("is not a whole number in plain digits")
    return int(text)


def _decimal(text: str) -> float:
    if not _DECIMAL.fullmatch(text):
        raise ValueError("is not a number in plain digits")
    return float(text)


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("is not true or false")
    return text == "true"


_READ: tuple[tuple[type, Read], ...] = (
    (str, str),
    (list, str.split),
    (tuple, str.split),
    (bool, _truth),
    (int, _whole),
    (float, _decimal),
)
"""How a cell is read for each type that a field may have; a field that may be text stays text."""


def _types(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _types(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for each in get_args(annotation):
            yield from _types(each)
    elif origin is Literal:
        yield from map(type, get_args(annotation))
    else:
        yield origin or annotation


def _read_as(field: FieldInfo) -> Read | None:
    """Return how a field's cells are read, or None for a field that no cell can hold."""
    if is_duration(field.metadata):
        return str
    types = set(_types(field.annotation))
    return next((read for kind, read in _READ if kind in types), None)


@cache
def _cells_of(stream: type[Stream]) -> Mapping[str, Read]:
    """Return how the cells of each field of a cloud's streams are read, without those that no cell can hold."""
    read = {name: _read_as(field) for name, field in stream.model_fields.items()}
    return MappingProxyType({name: each for name, each in read.items() if each is not None})


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that a table may have.

    Attributes:
        known: How the cells of each are read.
        retired: What to say of those of an earlier version.
    """

    known: Mapping[str, Read]
    retired: Mapping[str, str]

    @classmethod
    def of(cls, providers: Iterable[AnyProvider]) -> Columns:
        """Return every key of the providers' streams as a column, but for `labels`."""
        known: dict[str, Read] = {}
        retired: dict[str, str] = {}
        for provider in providers:
            retired |= provider.retired
            stream: type[Stream] = provider.stream
            for name, read in _cells_of(stream).items():
                if known.get(name) is not str:
                    known[name] = read
        return cls(known, retired)

    def problem(self, name: str, before: Collection[str]) -> str:
        """Say what is wrong with a column's name, or return an empty text."""
        if name in before:
            return "stands twice in the header"
        if name.startswith(LABELS):
            return _label_problem(name.removeprefix(LABELS))
        if name in self.known:
            return ""
        if name in self.retired:
            return f"unknown column; {self.retired[name]}"
        if name == "names":
            return "unknown column; each line is one stream: use name"
        if name == "labels":
            return "unknown column; a label has a column of its own, such as labels.team"
        return f"unknown column{did_you_mean(name, self.known)}" if name else "a column without a name"


def _label_problem(label: str) -> str:
    if not _LABEL.fullmatch(label):
        return "a label's name may hold letters, digits and _ only, and begins with no digit"
    return taken(label)


def _place(column: str) -> tuple[str, ...]:
    """Return the place within a stream that a column fills."""
    return ("labels", column.removeprefix(LABELS)) if column.startswith(LABELS) else (column,)


def _cells(places: list[tuple[str, ...]], row: list[Cell]) -> Iterator[tuple[tuple[str, ...], Cell]]:
    """Yield the cells of a line that count, with their places within the stream."""
    for place, cell in zip(places, row, strict=False):
        if place and (cell.text or place[0] in NEEDED):
            yield place, cell


# --- documents -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Table:
    """Reads tables; `fill` and `locate` are for a `Format`.

    Attributes:
        columns: The columns that they may have.
        elsewhere: Says of an account and a name whether another shard watches that stream; its line is passed over.
    """

    columns: Columns
    elsewhere: Callable[[str, str], bool] = lambda _account, _name: False

    def fill(self, document: Document) -> None:
        """Make a list of streams out of a document's bytes, and note what is wrong with them."""
        if spot := control_character(document.data):
            document.note((), *spot, "is not CSV: a control character")
            return
        text = document.data.decode("utf-8")
        if not text.strip():
            document.note((), 1, 1, "empty")
            return
        try:
            lines = rows(text)
            header = next(lines)
            document.value, document.readable = [], True
            if self._check_header(document, header):
                places = self._places(header)
                account, name = places.index(("account",)), places.index(("name",))
                for row in lines:
                    if len(row) == len(places) and self.elsewhere(row[account].text, row[name].text):
                        document.value.append(ELSEWHERE)
                    else:
                        self._add(document, places, row)
        except NotCsv as error:
            document.readable = False
            document.note((), *error.spot, error.why)

    def _check_header(self, document: Document, header: list[Cell]) -> bool:
        """Note what is wrong with the header; return whether the lines below make sense."""
        if len(header) == 1 and (found := re.search("[;\t]", header[0].text)):
            sign = "semicolons" if found[0] == ";" else "tabs"
            document.note((), 1, 1, f"the columns are separated by {sign}; separate them by commas")
            return False
        for cell, problem in self._problems(header):
            if problem:
                place = _place(cell.text) if cell.text else ()
                document.note(place, cell.line, cell.column, problem)
        names = {cell.text for cell in header}
        lacking = [name for name in NEEDED if name not in names]
        for name in lacking:
            document.note((), 1, 1, f"lacks the column {name}; the first line names the columns")
        return not lacking

    def _places(self, header: list[Cell]) -> list[tuple[str, ...]]:
        """Return the place within a stream that each column fills; an empty one for a column that does not count."""
        return [() if problem else _place(cell.text) for cell, problem in self._problems(header)]

    def _problems(self, header: list[Cell]) -> Iterator[tuple[Cell, str]]:
        """Yield each column with what is wrong with it; an empty text where nothing is."""
        before: set[str] = set()
        for cell in header:
            yield cell, self.columns.problem(cell.text, before)
            before.add(cell.text)

    def _add(self, document: Document, places: list[tuple[str, ...]], row: list[Cell]) -> None:
        """Add a line's stream to the document; an empty line counts for nothing."""
        if not any(cell.text for cell in row):
            return
        index = len(document.value)
        document.value.append({})
        if len(row) != len(places):
            here = row[min(len(row) - 1, len(places))]
            document.unknown.add((index,))
            counts = f"has {len(row):,} cells where the header has {len(places):,}"
            document.note((index,), here.line, here.column, counts)
            return
        for place, cell in _cells(places, row):
            *outer, key = place
            try:
                value: Any = cell.text if outer else self.columns.known[key](cell.text)
            except ValueError as error:
                document.unknown.add((index, *place))
                document.note((index, *place), cell.line, cell.column, str(error))
                continue
            entry = document.value[index]
            (entry.setdefault("labels", {}) if outer else entry)[key] = value

    def locate(self, document: Document, wanted: set[Place]) -> dict[Place, Spot]:
        """Return where the wanted places are, as far as they are there."""
        found: dict[Place, Spot] = {}
        with suppress(NotCsv):  # the file may have changed since
            self._locate(rows(document.data.decode("utf-8", "replace")), wanted, found)
        return {place: spot for place, spot in found.items() if place in wanted}

    def _locate(self, lines: Iterator[list[Cell]], wanted: set[Place], found: dict[Place, Spot]) -> None:
        places = self._places(next(lines, []))
        for index, row in enumerate(row for row in lines if any(cell.text for cell in row)):
            if (index,) not in wanted:
                continue
            for place, cell in (((), row[0]), *_cells(places, row)):
                for length in range(len(place) + 1):
                    spot = (cell.line, cell.column)
                    found.setdefault((index, *place[:length]), Spot(spot, spot))
