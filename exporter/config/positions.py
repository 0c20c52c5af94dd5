"""Where the values of a document stand; looked up once something is to be said of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import yaml

from exporter.config.document import DROPPED, Document, Reader
from exporter.config.problems import Place, Problem, Spot

_NO_CHARACTER = re.compile(r"[\x00\ud800-\udfff]")


def value_at(raw: Any, steps: Iterable[str | int], otherwise: Any = None) -> Any:
    """Return what stands at a place, or something else where there is no such place."""
    for step in steps:
        try:
            raw = raw[step]
        except (KeyError, IndexError, TypeError):
            return otherwise
    return raw


def leaves(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Yield each value that holds no others, with its place."""
    if not value or not isinstance(value, (dict, list)):
        yield place, value
        return
    for step, each in value.items() if isinstance(value, dict) else enumerate(value):
        yield from leaves(each, (*place, step))


class _Locator(Reader):
    """Reads a document again and notes where the wanted places are."""

    def __init__(self, document: Document, wanted: set[Place]) -> None:
        super().__init__(Document(document.file, document.data, document.format))
        self.wanted = wanted
        self.found: dict[Place, Spot] = {}
        self.key_spot: tuple[int, int] | None = None
        for kind in (yaml.ScalarEvent, yaml.MappingStartEvent, yaml.SequenceStartEvent, yaml.AliasEvent):
            self.handlers[kind] = partial(self.see, self.handlers[kind])

    def see(self, handle: Callable[[Any], None], event: Any) -> None:
        """Note where a key or a value begins, then read it."""
        here = (event.start_mark.line + 1, event.start_mark.column + 1)
        if self.at_key():
            self.key_spot = here
        elif not any(key is DROPPED for _, key in self.stack) and (place := self.place()) in self.wanted:
            self.found.setdefault(place, Spot((type(self.box) is dict and self.key_spot) or here, here))
        handle(event)


def locate(document: Document, places: Collection[Place]) -> dict[Place, Spot]:
    """Return where places stand; one that is not there stands where the nearest value around it does."""
    wanted = {place[:length] for place in places for length in range(len(place) + 1)}
    found = (document.format.locate or _locate)(document, wanted) if places else {}
    spots = {}
    for place in places:
        around = next((place[:n] for n in range(len(place), 0, -1) if place[:n] in found), ())
        spot = found.get(around, Spot((1, 1), (1, 1)))
        spots[place] = spot if around == place else Spot(spot.value, spot.value)
    return spots


def _locate(document: Document, wanted: set[Place]) -> Mapping[Place, Spot]:
    locator = _Locator(document, wanted)
    locator.run()
    return locator.found


def problems_at(document: Document, found: Iterable[tuple[Place, str]]) -> list[Problem]:
    """Return what is wrong at places of a document, each at the key of what stands there or nearest around it."""
    there = [(place, _there(document.value, place), message) for place, message in found]
    spots = locate(document, {around for _, around, _ in there})
    path = document.format.path
    return [Problem(document.file, *spots[around].key, path(place, False), message) for place, around, message in there]


def _there(value: Any, place: Place) -> Place:
    """Return as much of a place as is there."""
    while place and value_at(value, place, DROPPED) is DROPPED:
        place = place[:-1]
    return place


def misread(document: Document) -> dict[Place, str]:
    """Return the numbers that YAML may not read as they were meant, each with what to say of it."""
    numbers = document.ambiguous.items()
    return {place: text for place, text in numbers if isinstance(value_at(document.value, place), (int, float))}


def unprintable(document: Document) -> dict[Place, str]:
    """Return the keys and values that hold what is no character, each with what to say of it."""
    return {
        place[:length]: "holds a character that is none"
        for place, value in leaves(document.value)
        for length, text in enumerate((*place, value), 1)
        if isinstance(text, str) and _NO_CHARACTER.search(text)
    }
