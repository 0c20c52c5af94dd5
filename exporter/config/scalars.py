"""What plain scalars of YAML are, and which may not be what was meant: `0123`, `20:30:40`, `1_000`, `1e3`, `~`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml
from yaml.constructor import SafeConstructor

LONGEST_NUMBER = 64
"""Characters; longer scalars are text, for numbers of thousands of digits take minutes to work out."""

FIRST_SIGNS: dict[str, list[tuple[str, re.Pattern[str]]]] = yaml.SafeLoader.yaml_implicit_resolvers
"""What a plain scalar that is more than text may begin with, and the tags that it may then have."""

_TAG = "tag:yaml.org,2002:"
_CONSTRUCT: dict[str, Callable[[Any], Any]] = {
    f"{_TAG}bool": SafeConstructor().construct_yaml_bool,
    f"{_TAG}int": SafeConstructor().construct_yaml_int,
    f"{_TAG}float": SafeConstructor().construct_yaml_float,
    f"{_TAG}null": lambda _node: None,
    f"{_TAG}merge": lambda node: Merge(node.value),
}

_AMBIGUOUS_NUMBERS = tuple(
    (re.compile(pattern, re.ASCII | re.IGNORECASE), f"{advice}, or quote it to make it text")
    for pattern, advice in (
        (r"[-+]?0[0-9_]+(\.[0-9_]*)?(e[-+]?[0-9]+)?", "begins with a zero, which may mean octal; leave the zero out"),
        (r"[-+]?0[xob][0-9a-f_]+", "is not a decimal number; write it in plain digits"),
        (r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?", "has colons, which may mean base 60; write one plain number"),
        (r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?", "has _ between its digits; write it in plain digits"),
        (r"[-+]?([0-9]+e[-+]?|[0-9]*\.[0-9]*e)[0-9]+", "has an exponent; write it in plain digits"),
    )
)


class Merge(str):
    """The plain scalar `<<`, which YAML 1.1 takes for an order to merge."""

    __slots__ = ()


def resolved(text: str) -> Any:
    """Return what SafeLoader makes of a plain scalar, except that times and numbers it cannot read stay text."""
    for tag, pattern in FIRST_SIGNS[text[:1]]:
        if pattern.match(text):
            construct = _CONSTRUCT.get(tag)
            try:
                return construct(yaml.ScalarNode(tag, text)) if construct else text
            except ValueError:  # such as 0x_, which the pattern lets pass
                return text
    return text


def ambiguity(text: str) -> str:
    """Return what to say of `null`, or of a number on which YAML readers disagree; nothing for any other scalar."""
    if text in ("null", "Null", "NULL", "~"):
        return "is null in YAML; give a value, or quote it to make it text"
    if text[:1] in "+-.0123456789" and len(text) > 1:
        return next((advice for pattern, advice in _AMBIGUOUS_NUMBERS if pattern.fullmatch(text)), "")
    return ""


class Scalars(dict[str, Any]):
    """The value of each plain scalar that may be more than text, worked out once.

    Attributes:
        ambiguous: What to say of those that YAML may read differently than they were meant.
    """

    def __init__(self, resolve: Callable[[str], Any] = resolved) -> None:
        self.ambiguous: dict[str, str] = {}
        self._resolve = resolve

    def __missing__(self, text: str) -> Any:
        value: Any = text
        if len(text) <= LONGEST_NUMBER:
            value = self._resolve(text)
            if advice := ambiguity(text):
                self.ambiguous[text] = advice
        self[text] = value
        return value
