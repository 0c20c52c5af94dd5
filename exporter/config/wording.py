"""The wording of errors: what is wrong with a value, in plain words that never repeat it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from exporter.config.problems import Place
from exporter.fields import carries_credential, format_duration
from exporter.providers.reading import printable
from exporter.spelling import did_you_mean

MOST_NAMED: Final = 8

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


_KINDS = (
    (type(None), "is empty"),
    (bool, "is true or false"),
    ((int, float), "is a number"),
    (str, "is text"),
    (list, "is a list"),
    (object, "is a mapping"),
)


def listed(names: Sequence[str]) -> str:
    """Return names with commas between, the first of many."""
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return ", ".join(printable(name, 64) for name in names[:MOST_NAMED]) + more


def wrong_type(value: Any, wanted: str) -> str:
    """Say that a value is of the wrong type, and what to do where that is plain; the value is not repeated."""
    kind = next(words for types, words in _KINDS if isinstance(value, types))
    if wanted == "text" and isinstance(value, (bool, int, float)):
        return f"{kind} to YAML; quote it to make it text"
    if wanted == "a whole number" and isinstance(value, float):
        return "is not a whole number"
    if wanted in _UNQUOTED and isinstance(value, str):
        return f"is text; {wanted} is expected, without quotes"
    return f"{kind}; {wanted} is expected"


def already_taken(whose: str, name: str) -> str:
    """Say that a name is taken already; a name that holds a credential is not repeated."""
    known = "has this name" if carries_credential(name) else f"is named '{printable(name, 64)}'"
    return f"{whose} {known} already"


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
        return f"unknown key{did_you_mean(key, self.own)}"


def invalid(finding: str, context: Mapping[str, Any], value: Any, steps: Place, keys: Keys) -> str:
    """Word one of pydantic's errors.

    Args:
        finding: Its type.
        context: What it says besides.
        value: The value, which the message does not repeat.
        steps: Where the value stands in what was checked.
        keys: The keys that may stand there.
    """
    if finding in _WANTED:
        return wrong_type(value, _WANTED[finding])
    if finding == "extra_forbidden":
        return keys.unknown(str(steps[-1]))
    if finding == "missing" and steps[-1] in keys.absent:
        return keys.absent[str(steps[-1])]
    if finding == "literal_error":
        options = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        return f"must be one of {', '.join(options)}{did_you_mean(value, options)}"
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


def foreign_fields(name: str, fields: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Map each field that `name` lacks to the names of those that have it."""
    having: dict[str, list[str]] = {}
    for other, theirs in fields.items():
        for each in theirs:
            having.setdefault(each, []).append(other)
    return {each: " and ".join(others) for each, others in having.items() if name not in others}
