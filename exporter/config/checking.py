"""Values against the shapes of the model: pydantic finds what is wrong, this says it plainly and without the value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from exporter.config.problems import MOST, Place, suggestion
from exporter.fields import carries_credential, format_duration
from exporter.providers.reading import printable

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong at a place of a document; `at_key` where it is the key rather than its value."""

    place: Place
    message: str
    at_key: bool = False
    missing: bool = False


Report = Callable[[Mistake], None]

_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}


_UNQUOTED = ("a whole number", "a number", "true or false")


def kind(value: Any) -> str:
    """Say what a value of YAML is, without saying the value."""
    if value is None:
        return "is empty"
    if isinstance(value, bool):
        return "is true or false"
    if isinstance(value, (int, float)):
        return "is a number"
    if isinstance(value, str):
        return "is text"
    return "is a list" if isinstance(value, list) else "is a mapping"


def wrong_type(value: Any, wanted: str) -> str:
    """Say that a value is of the wrong type, and what to do where that is plain."""
    if wanted == "text" and isinstance(value, (bool, int, float)):
        return f"{kind(value)} to YAML; quote it to make it text"
    if wanted == "a whole number" and isinstance(value, float):
        return "is not a whole number"
    if wanted in _UNQUOTED and isinstance(value, str):
        return f"is text; {wanted} is expected, without quotes"
    return f"{kind(value)}; {wanted} is expected"


def validated(
    shape: type[M], raw: Mapping[str, Any], place: Place, report: Report, keys: Keys | None = None
) -> M | None:
    """Return `raw` as a value of `shape`, or None after reporting everything that is wrong with it."""
    try:
        return shape.model_validate(raw)
    except ValidationError as error:
        told(error, raw, place, report, keys or Keys(tuple(shape.model_fields)))
    return None


def taken(whose: str, name: str) -> str:
    """Say that a name is taken already; a name that holds a credential is not repeated."""
    return (
        f"{whose} has this name already"
        if carries_credential(name)
        else f"{whose} is named '{printable(name, 64)}' already"
    )


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys a mapping may have, and what to say of others.

    Attributes:
        own: The keys that it may have.
        others: Who else has a key that it may not have.
        absent: What to say of a key that is missing.
        retired: What to say of a key that it had in an earlier version.
    """

    own: tuple[str, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    retired: Mapping[str, str] = field(default_factory=dict)

    def unknown(self, key: str) -> str:
        """Say that a key is unknown, and which was likely meant."""
        if key in self.retired:
            return f"unknown key; {self.retired[key]}"
        if key in self.others:
            return f"unknown key; it belongs to {self.others[key]}"
        return f"unknown key{suggestion(key, self.own)}"


def strangers(raw: Mapping[str, Any], place: Place, report: Report, keys: Keys) -> None:
    """Report each key that no shape has."""
    unknown = (key for key in raw if key not in keys.own)
    for key in islice(unknown, MOST):
        report(Mistake((*place, key), keys.unknown(key), at_key=True))


def told(error: ValidationError, raw: Any, place: Place, report: Report, keys: Keys) -> None:
    """Report each of pydantic's findings."""
    # Each costs a search for what was likely meant; more than these are not reported anyway.
    for found in error.errors(include_url=False, include_input=False)[:MOST]:
        steps = found["loc"]
        at_key = found["type"] == "extra_forbidden" or steps[-1:] == ("[key]",)
        inner = steps[:-1] if steps[-1:] == ("[key]",) else steps
        message = _message(found["type"], found.get("ctx", {}), value_at(raw, inner), inner, keys)
        report(Mistake((*place, *inner), message, at_key, missing=found["type"] == "missing"))


def value_at(raw: Any, steps: Iterable[str | int], otherwise: Any = None) -> Any:
    """Return what stands at a place, or something else where there is no such place."""
    for step in steps:
        try:
            raw = raw[step]
        except (KeyError, IndexError, TypeError):
            return otherwise
    return raw


def _message(finding: str, context: Mapping[str, Any], value: Any, steps: Place, keys: Keys) -> str:
    if finding in _WANTED:
        return wrong_type(value, _WANTED[finding])
    if finding == "extra_forbidden":
        return keys.unknown(str(steps[-1]))
    if finding == "missing" and steps[-1] in keys.absent:
        return keys.absent[str(steps[-1])]
    if finding == "literal_error":
        options = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        return f"must be one of {', '.join(options)}{suggestion(value, options)}"
    if finding == "value_error":
        return str(context["error"])
    bound = _bound(finding, context, value)
    return bound or _SIMPLE.get(finding, "is not valid here")


_SIMPLE = {
    "missing": "is missing",
    "string_too_short": "is empty; text is expected",
    "too_short": "is empty; leave the key out, or list something",
    "string_pattern_mismatch": "may hold letters, digits and _ only, and begins with no digit",
    "string_unicode": "holds a lone surrogate, which is no character",
}
_BOUNDS = {
    "greater_than": ("gt", "must be above {}"),
    "greater_than_equal": ("ge", "must be at least {}"),
    "less_than": ("lt", "must be below {}"),
    "less_than_equal": ("le", "must be at most {}"),
    "string_too_long": ("max_length", "is longer than {} characters"),
    "too_long": ("max_length", "has more than {} entries"),
}


def _bound(finding: str, context: Mapping[str, Any], value: Any) -> str | None:
    if finding not in _BOUNDS:
        return None
    name, words = _BOUNDS[finding]
    limit = context[name]
    # A number with a bound that was written as text is a duration.
    timed = isinstance(value, str) and name in ("ge", "le")
    return words.format(format_duration(limit) if timed else f"{limit:,.12g}" if limit >= 10_000 else f"{limit:g}")


def others(own: Iterable[str], fields: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Return for each field that is not among our own the names of those who have it."""
    found: dict[str, list[str]] = {}
    for name, theirs in fields.items():
        for each in theirs:
            if each not in own:
                found.setdefault(each, []).append(name)
    return {each: " and ".join(names) for each, names in found.items()}
