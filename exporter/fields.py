"""Field types of the configuration, with their JSON Schemas: secrets, durations, names, domains and endpoints."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema


class Secret:
    """A text that cannot be printed; only `reveal()` returns it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text, only for signing."""
        return self._value

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a secret is not serialised")


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where a secret of the configuration is: in plain text, in a file, or in an environment variable.

    Attributes:
        kind: Which of the three.
        value: The secret itself, a path, or a variable's name.
        shown: The resolved path or the variable, for messages; empty if it may be the secret itself.
    """

    kind: Literal["plain", "file", "env"]
    value: Secret | str
    shown: str = field(default="", compare=False)

    @classmethod
    def plain(cls, text: str) -> SecretSource:
        """Return the source of a secret in the configuration itself."""
        return cls("plain", Secret(text))


SecretField = Annotated[SecretSource | None, Field(default=None), WithJsonSchema({"type": "string", "minLength": 1})]


# --- durations -------------------------------------------------------------------------------------------------------

_HOW = "write it like 500ms, 10s or 2m"
_UNITS = {"y": 31536000.0, "w": 604800.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>\d+){unit})?" for unit in _UNITS), re.ASCII)
_DURATION_SCHEMA = WithJsonSchema(
    {
        "type": "string",
        "pattern": r"^(0|(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?)$",
        "minLength": 1,
        "examples": ["500ms", "10s", "2m"],
    }
)


def parse_duration(text: str) -> float:
    """Parse a duration in Prometheus's notation (`500ms`, `10s`, `1h30m`) to seconds; raises `ValueError`."""
    if text == "0":
        return 0.0
    match = _DURATION.fullmatch(text) if 0 < len(text) <= 64 else None
    if match is None:
        raise ValueError(f"is not a duration; {_HOW}")
    return sum(int(number) * _UNITS[unit] for unit, number in match.groupdict().items() if number)


def format_duration(seconds: float) -> str:
    """Format seconds in Prometheus's notation, in the largest unit that gives a whole number: `90s`, `2m`, `500ms`."""
    milliseconds = round(seconds * 1000)
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"


def spoken(seconds: float) -> str:
    """Format seconds for people: `45ms`, `3.5s`, `2m19s`, `1h05m`."""
    if seconds < 0.9995:
        return f"{math.ceil(seconds * 1000)}ms"
    if seconds < 59.95:
        return f"{math.ceil(seconds * 10) / 10:g}s"
    whole = math.ceil(seconds)
    if whole < 3600:
        return f"{whole // 60}m" + (f"{whole % 60:02}s" if whole % 60 else "")
    minutes = math.ceil(whole / 60)
    return f"{minutes // 60}h" + (f"{minutes % 60:02}m" if minutes % 60 else "")


def number(value: float) -> str:
    """Format a rate or count for people: `150`, `166.67`, `1,500`, `0.05`."""
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.4g}"


def counted(count: float, noun: str, plural: str = "") -> str:
    """Format a count with its noun: `1 stream`, `2,000 streams`; `plural` where that is more than an s."""
    return f"{number(count)} {noun if count == 1 else plural or f'{noun}s'}"


def _duration(value: Any) -> float:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"is not a duration; {_HOW}")
    if value != 0:
        raise ValueError(f"lacks a unit; {_HOW}")
    return 0.0


def duration(low: float, high: float) -> Any:
    """Return the annotation of a duration between two bounds; all are in seconds."""
    return Annotated[float, BeforeValidator(_duration), Field(ge=low, le=high), _DURATION_SCHEMA]


def is_duration(metadata: Iterable[Any]) -> bool:
    """Return whether a field with this metadata was annotated by `duration`."""
    return _DURATION_SCHEMA in metadata


# --- text ------------------------------------------------------------------------------------------------------------

# Parameters that sign a push or play address: txSecret, auth_key, wsSecret, hwSecret, auth_info, volcSecret and generic
# names.
_CREDENTIAL = re.compile(
    r"(?:\w*secret|auth_?(?:key|info|token)|access_?key|(?<![a-z0-9])(?:\w+[_-])?(?:sign|signature|sig|token|auth|key|"
    r"passwd|password|pwd|tx_?time|ws_?time|hw_?time|volc_?time))\s*=",
    re.IGNORECASE | re.ASCII,
)


def carries_credential(text: str) -> bool:
    """Return whether a text holds the signature of an address (`?txSecret=…`, `auth_key=…`), even percent-encoded."""
    if "=" not in text and "%" not in text:
        return False
    once = unquote(text)
    return any(_CREDENTIAL.search(form) for form in (text, once, unquote(once)))


def _clean(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds a NUL character")
    if carries_credential(text):
        raise ValueError(
            "holds the credential of a push address (such as txSecret= or auth_key=); write it without the query, "
            "and replace the credential if others could read this file"
        )
    return text


_SHORT_ID = re.compile(r"[A-Za-z0-9@._-]{1,128}", re.ASCII)


def short_id_problem(text: str) -> str:
    """Return why a text is not an id of at most 128 plain characters, or an empty text if it is one."""
    return "" if _SHORT_ID.fullmatch(text) else "may hold letters, digits and @ . _ - only, at most 128 of them"


def _short_id(text: str) -> str:
    if problem := short_id_problem(text):
        raise ValueError(problem)
    return text


REGION = re.compile("[a-z0-9-]{1,32}", re.ASCII)


def _region(text: str) -> str:
    if not REGION.fullmatch(text):
        raise ValueError("is not the name of a region, like eu-west-1")
    return text


Text = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_clean)]
ShortId = Annotated[
    str,
    Field(min_length=1),
    AfterValidator(_short_id),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9@._-]+$"}),
]
Region = Annotated[
    str,
    AfterValidator(_region),
    WithJsonSchema({"type": "string", "pattern": f"^{REGION.pattern}$"}),
]
LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", max_length=64)]
LabelValue = Annotated[str, Field(max_length=256), AfterValidator(_clean)]


def _expected(value: Any) -> Any:
    if not isinstance(value, (str, list)):
        raise ValueError("is not always, never, or names of time_intervals")
    return [value] if isinstance(value, str) else value


Expected = Annotated[
    list[Text],
    BeforeValidator(_expected),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "uniqueItems": True},
            ]
        }
    ),
]


# --- addresses -------------------------------------------------------------------------------------------------------

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)


def _domain(text: str) -> str:
    """Return a domain in lower case without a trailing dot; raises `ValueError` for anything but a plain domain."""
    if re.search(r"\s|[\u200b-\u200d\u2060\ufeff]", text):
        raise ValueError("holds a blank; write the domain alone")
    for sign, part in (("://", "a scheme"), ("@", "a user"), ("?", "a query"), ("#", "a fragment"), ("/", "a path")):
        if sign in text:
            raise ValueError(f"is an address with {part}; write the domain alone, such as push.example.com")
    if ":" in text:
        raise ValueError("has a port; write the domain alone, such as push.example.com")
    if not text.isascii() or not text.isprintable():
        raise ValueError("has letters beyond ASCII; write the domain in its ASCII form, which begins with xn--")
    domain = text.lower().removesuffix(".")
    if len(domain) > 253 or not _DOMAIN.fullmatch(domain):
        raise ValueError("is not a domain such as push.example.com")
    return domain


def _endpoint(text: str) -> str:
    problem = "is not an address like https://host or http://host:port"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(problem) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError(problem)
    if parts.path not in ("", "/") or parts.query or parts.fragment or re.search(r"[\s\\]", text):
        raise ValueError(f"{problem} (no path, no query)")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, default) else "")


Domain = Annotated[
    str,
    Field(min_length=1),
    AfterValidator(_domain),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 254, "pattern": rf"^{_LABEL}(\.{_LABEL})*\.?$"}),
]
Endpoint = Annotated[
    str,
    AfterValidator(_endpoint),
    WithJsonSchema({"type": "string", "pattern": r"^[hH][tT][tT][pP][sS]?://[^/?#@\s\\]+/?$"}),
]


class Shape(BaseModel):
    """Base of all parts of the configuration: strict types, no unknown keys, immutable."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, arbitrary_types_allowed=True
    )
