"""Errors and warnings found while a configuration is read; lines and columns are looked up once, at the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from exporter.config.document import BOM, Document
from exporter.config.positions import locate, misread, value_at
from exporter.config.problems import MOST, Place, Problem
from exporter.config.wording import Keys, invalid, wrong_type

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Finding:
    """An error or a warning at a place, or with `at_key` at its key; `first` is the place that it repeats."""

    document: Document
    place: Place
    message: str
    at_key: bool = False
    first: tuple[Document, Place] | None = None


class Findings:
    """Errors and warnings of all documents; `document` is the one being read, and `read` reads a file again."""

    def __init__(self, main: Document, read: Callable[[str], bytes]) -> None:
        self.documents = [main]
        self._read = read
        self.document = main
        self._errors: list[Finding] = []
        self._warnings: list[Finding] = []

    def enter(self, document: Document) -> None:
        """Go on with another document."""
        self.documents.append(document)
        self.document = document

    def leave(self, document: Document) -> None:
        """Go back to a document; the one that was read is forgotten, unless something is to be said of it.

        Else the files of a million streams would be held until all are read.
        """
        left, self.document = self.document, document
        if not any(each.document is left for each in (*self._errors, *self._warnings)):
            left.forget()

    @property
    def full(self) -> bool:
        """Whether no more errors are taken, so that looking for them is useless."""
        return len(self._errors) >= MOST

    def wrong(
        self,
        place: Place,
        message: str,
        *,
        at_key: bool = False,
        missing: bool = False,
        first: tuple[Document, Place] | None = None,
    ) -> None:
        """Note an error at a place of the present document, unless YAML's own errors there leave nothing to say.

        `missing` says that there is no such key; `at_key` and `first` are as in a Finding.
        """
        document = self.document
        unknown = document.unknown and any(place[:n] in document.unknown for n in range(len(place) + 1))
        excused = missing and place[:-1] in document.merged
        if place in document.ambiguous and not at_key and _is_vague(message, value_at(document.value, place)):
            message = document.ambiguous[place]
        if not unknown and not excused and not self.full:
            self._errors.append(Finding(document, place, message, at_key, first))

    def warn(self, place: Place, message: str, *, at_key: bool = False) -> None:
        """Note what is allowed and likely not meant."""
        if len(self._warnings) < MOST:
            self._warnings.append(Finding(self.document, place, message, at_key))

    def hint(self, document: Document, hints: Mapping[Place, str]) -> None:
        """Note the likely cause of errors at these places; where there is no error, it becomes a warning."""
        told = set()
        for index, each in enumerate(self._errors):
            if each.document is document and each.place in hints:
                self._errors[index] = replace(each, message=f"{each.message}; it {hints[each.place]}")
                told.add(each.place)
        self.document = document
        for place in hints.keys() - told:
            self.warn(place, hints[place])

    def validated(self, shape: type[M], raw: Any, place: Place, keys: Keys | None = None) -> M | None:
        """Return `raw` as a value of `shape`, or None after reporting everything that is wrong with it."""
        try:
            return shape.model_validate(raw)
        except ValidationError as error:
            self.invalid(error, raw, place, keys or Keys(tuple(shape.model_fields)))
        return None

    def invalid(self, error: ValidationError, raw: Any, place: Place, keys: Keys) -> None:
        """Report pydantic's errors."""
        # Finding the likely spelling takes time, and no more than these are reported anyway.
        for found in error.errors(include_url=False, include_input=False)[:MOST]:
            steps, surplus, missing = found["loc"], found["type"] == "extra_forbidden", found["type"] == "missing"
            at_key = surplus or steps[-1:] == ("[key]",)
            steps = steps[:-1] if at_key and not surplus else steps
            message = invalid(found["type"], found.get("ctx", {}), value_at(raw, steps), steps, keys)
            self.wrong((*place, *steps), message, at_key=at_key, missing=missing)

    def unknown(self, raw: Iterable[str], place: Place, keys: Keys) -> None:
        """Report each key that is unknown."""
        for key in islice((key for key in raw if key not in keys.own), MOST):
            self.wrong((*place, key), keys.unknown(key), at_key=True)

    def list_of(self, raw: Any, place: Place) -> list[Any]:
        """Return `raw` if it is a list, else report that it is none and return an empty one."""
        if isinstance(raw, list):
            return raw
        self.wrong(place, wrong_type(raw, "a list"))
        return []

    def errors(self) -> list[Problem]:
        """Return all errors, YAML's own too: by document, then by position."""
        told = {(each.document.file, each.place) for each in self._errors}
        odd = [
            Finding(document, place, advice)
            for document in self.documents
            for place, advice in misread(document).items()
            if (document.file, place) not in told
        ]
        found = [*self._errors, *odd][: max(MOST, len(self._errors))]
        problems = self._placed(found, (problem for document in self.documents for problem in document.problems))
        if len(problems) >= MOST:
            words = f"more errors follow; these are the first {len(problems):,}"
            problems.append(Problem(self.documents[0].file, 1, 1, "document", words))
        return problems

    def warnings(self) -> list[Problem]:
        """Return all warnings in the same order."""
        return self._placed(self._warnings)

    def _placed(self, found: list[Finding], others: Iterable[Problem] = ()) -> list[Problem]:
        """Return findings with their lines and columns, sorted together with others that have them already."""
        wanted = defaultdict(set)
        for each in found:
            for document, place in [(each.document, each.place), *([each.first] if each.first else [])]:
                wanted[document.file].add(place)
        there = (self._remembered(each) for each in self.documents if each.file in wanted)
        spots = {each.file: locate(each, wanted[each.file]) for each in there}
        problems = []
        for each in found:
            document, place, message = each.document, each.place, each.message
            if each.first:
                message += f", first at {each.first[0].file}:{spots[each.first[0].file][each.first[1]].value[0]}"
            # A key without a value may be a value in the wrong place.
            path = document.format.path(place, value_at(document.value, place, "") is None)
            spot = spots[document.file][place]
            problems.append(Problem(document.file, *(spot.key if each.at_key else spot.value), path, message))
        problems += others
        order = {document.file: number for number, document in enumerate(self.documents)}
        return sorted(problems, key=lambda problem: (order[problem.file], problem.line, problem.column))

    def _remembered(self, document: Document) -> Document:
        """Return a document with its bytes, read again if they were forgotten."""
        if not document.forgotten:
            return document
        try:
            return replace(document, data=self._read(document.file).removeprefix(BOM))
        except (OSError, ValueError):
            return document


def _is_vague(message: str, value: Any) -> bool:
    """Say whether an error at an ambiguous value helps less than the advice about the value."""
    if isinstance(value, (int, float)):
        return not message.startswith("is a number to YAML")
    return message.startswith("is text; ") or message == "is empty; text is expected"
