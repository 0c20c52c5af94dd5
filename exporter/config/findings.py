"""Errors and warnings found while a configuration is read; lines and columns are looked up once, at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from exporter.config.document import Document
from exporter.config.positions import Spot, locate, misread, value_at
from exporter.config.problems import MOST, Mistake, Place, Problem
from exporter.config.validation import wrong_type


@dataclass(frozen=True, slots=True)
class Found:
    """A mistake or a warning in its document; `first` is the place of what it repeats."""

    document: Document
    mistake: Mistake
    first: tuple[Document, Place] | None = None


class Findings:
    """Errors and warnings of all documents; `document` is the one being read."""

    def __init__(self, main: Document) -> None:
        self.documents = [main]
        self.document = main
        self._errors: list[Found] = []
        self._warnings: list[Found] = []
        self._hints: dict[tuple[str, Place], str] = {}

    def enter(self, document: Document) -> None:
        """Go on with another document."""
        self.documents.append(document)
        self.document = document

    @property
    def full(self) -> bool:
        """Whether no more mistakes are taken, so that looking for them is useless."""
        return len(self._errors) >= MOST

    def report(self, mistake: Mistake, first: tuple[Document, Place] | None = None) -> None:
        """Note a mistake, unless YAML's own errors there leave nothing to say."""
        document, place = self.document, mistake.place
        unknown = document.unknown and any(place[:n] in document.unknown for n in range(len(place) + 1))
        excused = mistake.missing and place[:-1] in document.merged
        if place in document.odd and not mistake.at_key:
            mistake = _with_advice(mistake, value_at(document.value, place), document.odd[place])
        if not unknown and not excused and not self.full:
            self._errors.append(Found(document, mistake, first))

    def wrong(self, place: Place, message: str, at_key: bool = False) -> None:
        """Note an error at a place of the present document."""
        self.report(Mistake(place, message, at_key))

    def warn(self, place: Place, message: str, at_key: bool = False) -> None:
        """Note what is allowed and likely not meant."""
        if len(self._warnings) < MOST:
            self._warnings.append(Found(self.document, Mistake(place, message, at_key)))

    def hint(self, document: Document, hints: Mapping[Place, str]) -> None:
        """Note the likely cause of errors at these places; where there is no error, it becomes a warning."""
        wrong = {(each.document.file, each.mistake.place) for each in self._errors}
        for place, message in hints.items():
            if (document.file, place) in wrong:
                self._hints[document.file, place] = message
            elif len(self._warnings) < MOST:
                self._warnings.append(Found(document, Mistake(place, message)))

    def list_of(self, raw: Any, place: Place) -> list[Any]:
        """Return a list that may be there, or an empty one after reporting that something else is."""
        if isinstance(raw, list):
            return raw
        self.wrong(place, wrong_type(raw, "a list"))
        return []

    def errors(self) -> list[Problem]:
        """Return all errors, YAML's own too: by document, then by position."""
        found = [self._hinted(each) for each in (*self._errors, *self._misread())]
        problems = _placed(self.documents, found)
        problems += [problem for document in self.documents for problem in document.problems]
        problems = self._sorted(problems)
        if len(problems) >= MOST:
            words = f"more errors follow; these are the first {len(problems):,}"
            problems.append(Problem(self.documents[0].file, 1, 1, "document", words))
        return problems

    def _misread(self) -> list[Found]:
        """Return the odd numbers that have no other error: YAML does not read them as they were written."""
        told = {(found.document.file, found.mistake.place) for found in self._errors}
        found = [
            Found(document, Mistake(place, advice))
            for document in self.documents
            for place, advice in misread(document)
            if (document.file, place) not in told
        ]
        return found[: max(0, MOST - len(self._errors))]

    def _hinted(self, found: Found) -> Found:
        hint = self._hints.get((found.document.file, found.mistake.place))
        if hint is None:
            return found
        return replace(found, mistake=replace(found.mistake, message=f"{found.mistake.message}; it {hint}"))

    def warnings(self) -> list[Problem]:
        """Return all warnings in the same order."""
        return self._sorted(_placed(self.documents, self._warnings))

    def _sorted(self, problems: list[Problem]) -> list[Problem]:
        order = {document.file: number for number, document in enumerate(self.documents)}
        return sorted(problems, key=lambda problem: (order[problem.file], problem.line, problem.column))


def _with_advice(mistake: Mistake, value: Any, advice: str) -> Mistake:
    """Return a mistake at an odd value in better words: a limit that a misread number breaks helps nobody."""
    number = isinstance(value, (int, float)) and not mistake.message.startswith("is a number to YAML")
    text = mistake.message.startswith("is text; ") or mistake.message == "is empty; text is expected"
    return replace(mistake, message=advice) if number or text else mistake


def _placed(documents: list[Document], found: list[Found]) -> list[Problem]:
    wanted: dict[str, set[Place]] = {}
    for each in found:
        wanted.setdefault(each.document.file, set()).add(each.mistake.place)
        if each.first:
            wanted.setdefault(each.first[0].file, set()).add(each.first[1])
    spots = {each.file: locate(each, wanted[each.file]) for each in documents if each.file in wanted}
    return [_problem(each, spots) for each in found]


def _problem(found: Found, spots: Mapping[str, Mapping[Place, Spot]]) -> Problem:
    mistake, file = found.mistake, found.document.file
    spot = spots[file][mistake.place]
    line, column = spot.key if mistake.at_key else spot.value
    message = mistake.message
    if found.first:
        document, place = found.first
        message += f", first at {document.file}:{spots[document.file][place].value[0]}"
    # A key without a value may be a value in the wrong place.
    bare = value_at(found.document.value, mistake.place, "") is None
    return Problem(file, line, column, found.document.format.path(mistake.place, bare), message)
