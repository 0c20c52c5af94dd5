"""The nouns of the project: plain values, nothing that does anything."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema


class State(StrEnum):
    """What is known of a stream; all but UNKNOWN are definite."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why an attempt failed: the closed set that becomes the label `reason`."""

    AUTH = "auth"
    ACCOUNT = "account"
    THROTTLED = "throttled"
    BAD_REQUEST = "bad_request"
    PROVIDER_ERROR = "provider_error"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    DNS = "dns"
    TLS = "tls"
    HTTP = "http"
    MALFORMED = "malformed"
    CLOCK = "clock"
    BUG = "bug"


class Secret:
    """A text that cannot print itself; `reveal()` is the only way to it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text itself, for signing and nothing else."""
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
    """Where a secret of the configuration stands: plain, in a file, or in an environment variable."""

    kind: Literal["plain", "file", "env"]
    value: Secret | str  # the secret itself, a path, or a variable's name

    @classmethod
    def plain(cls, text: str) -> SecretSource:
        """Hold a secret that was written into the configuration itself."""
        return cls("plain", Secret(text))


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one call is signed with. ZEGO uses `key_secret` alone; `token` is set for temporary credentials."""

    key_id: str = field(repr=False)
    key_secret: Secret
    token: Secret | None = None


@dataclass(frozen=True, slots=True)
class Input:
    """One push that feeds a stream (Tencent: an entry of BackupList)."""

    domain: str
    app: str
    source: Literal["push", "pull"]
    primary: bool


class Answer(NamedTuple):
    """A provider's definite answer about one stream.

    Attributes:
        state: Never UNKNOWN.
        code: The provider's own word for it in `stream_provider_responses_total`: ZEGO's number, else `ok`.
        started: Unix seconds at which the present push began, where the provider says.
        media: Publishing state per media type (Volcengine).
        inputs: The inputs being pushed (Tencent's backup list); None where not told.
        ingest: `push` or `pull` (Alibaba).
        request_id: The provider's id of the call, for support tickets; never a label.
    """

    state: State
    code: str = "ok"
    started: float | None = None
    media: tuple[tuple[str, bool], ...] = ()
    inputs: tuple[Input, ...] | None = None
    ingest: Literal["push", "pull"] | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """A failed attempt. `message` and `request_id` are for people and never become labels."""

    reason: Reason
    code: str
    message: str = ""
    request_id: str = ""
    retry_after: float | None = None


def _duration(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("is not a duration; write it like 500ms, 10s or 2m")
    if isinstance(value, (int, float)):
        if value == 0:
            return 0.0
        raise ValueError("lacks a unit; write it like 500ms, 10s or 2m")
    return parse_duration(value)


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
_DURATION = re.compile(
    r"(?:(?P<y>\d+)y)?(?:(?P<w>\d+)w)?(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+)s)?(?:(?P<ms>\d+)ms)?",
    re.ASCII,
)


def parse_duration(text: str) -> float:
    """Read a duration in Prometheus's notation (`500ms`, `10s`, `1h30m`) as seconds.

    Raises:
        ValueError: It is written otherwise.
    """
    if text == "0":
        return 0.0
    match = _DURATION.fullmatch(text) if len(text) <= 64 else None
    if not text or match is None:
        raise ValueError("is not a duration; write it like 500ms, 10s or 2m")
    return sum(int(number) * _UNITS[unit] for unit, number in match.groupdict().items() if number)


def format_duration(seconds: float) -> str:
    """Write seconds in Prometheus's notation, in the largest unit that leaves a whole number: `90s`, `2m`, `500ms`."""
    thousandths = round(seconds * 1000)
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if thousandths and thousandths % size == 0:
            return f"{thousandths // size}{unit}"
    return f"{thousandths}ms" if thousandths else "0s"


def _clean(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("holds a lone surrogate, which is no character") from None
    if "\x00" in text:
        raise ValueError("holds a NUL character")
    if carries_credential(text):
        raise ValueError(
            "holds the credential of a push address (such as txSecret= or auth_key=); write it without the query, "
            "and replace the credential if others could read this file"
        )
    return text


# What clouds call the signature in the query of a push or play address: Tencent txSecret, Alibaba auth_key, Wangsu
# wsSecret, Huawei hwSecret and auth_info, Volcengine volcSecret, and the plain words.
_CREDENTIAL = re.compile(
    r"(?:\w*secret|auth_?(?:key|info|token)|access_?key|(?<![a-z0-9])(?:\w+[_-])?(?:sign|signature|sig|token|auth|key|"
    r"passwd|password|pwd|tx_?time|ws_?time|hw_?time|volc_?time))\s*=",
    re.IGNORECASE | re.ASCII,
)


def carries_credential(text: str) -> bool:
    """Say whether a text holds the signature of an address (`?txSecret=…`, `auth_key=…`), percent-encoded or not."""
    if "=" not in text and "%" not in text:
        return False
    once = unquote(text)
    return any(_CREDENTIAL.search(form) for form in (text, once, unquote(once)))


_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)


def _domain(text: str) -> str:
    """Return a domain in lower case and without a trailing dot; refuse everything else that is not a plain domain."""
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


_SHORT_ID = re.compile(r"[A-Za-z0-9@._-]{1,128}", re.ASCII)


def short_id_problem(text: str) -> str:
    """Say why a text is not an id of at most 128 plain characters; return an empty text if it is one."""
    return "" if _SHORT_ID.fullmatch(text) else "may hold letters, digits and @ . _ - only, at most 128 of them"


def _short_id(text: str) -> str:
    if problem := short_id_problem(text):
        raise ValueError(problem)
    return text


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


_DURATION_SCHEMA = WithJsonSchema(
    {
        "type": "string",
        "pattern": r"^(0|(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?)$",
        "minLength": 1,
        "examples": ["500ms", "10s", "2m"],
    }
)


def duration(low: float, high: float) -> Any:
    """Return the annotation of a duration between two bounds in seconds, kept as float seconds."""
    return Annotated[float, BeforeValidator(_duration), Field(ge=low, le=high), _DURATION_SCHEMA]


def is_duration(metadata: Iterable[Any]) -> bool:
    """Say whether a field with this metadata was annotated by `duration`."""
    return _DURATION_SCHEMA in metadata


Text = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_clean)]
Domain = Annotated[
    str,
    Field(min_length=1),
    AfterValidator(_domain),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 254, "pattern": rf"^{_LABEL}(\.{_LABEL})*\.?$"}),
]
ShortId = Annotated[
    str,
    Field(min_length=1),
    AfterValidator(_short_id),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9@._-]+$"}),
]
_ENDPOINT_SCHEMA = WithJsonSchema({"type": "string", "pattern": r"^[hH][tT][tT][pP][sS]?://[^/?#@\s\\]+/?$"})
Endpoint = Annotated[str, AfterValidator(_endpoint), _ENDPOINT_SCHEMA]
LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", max_length=64)]
LabelValue = Annotated[str, Field(max_length=256), AfterValidator(_clean)]
SecretField = Annotated[SecretSource | None, Field(default=None), WithJsonSchema({"type": "string", "minLength": 1})]


class Shape(BaseModel):
    """What all parts of the configuration share: strict types, no unknown keys, never changed after loading."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, arbitrary_types_allowed=True
    )


class Account(Shape):
    """Credentials and endpoint at one provider; each provider adds its own fields."""

    name: Text = Field(description="the account's name, and the label `account`; unique over all providers")
    provider: str = Field(description="the cloud it is an account of")
    endpoint: Endpoint
    timeout: duration(0.05, 60) = Field(3.0, description="longest wait for one call")  # type: ignore[valid-type]
    concurrency: int = Field(32, ge=1, le=1024, description="most calls in flight at once")
    quota_share: float = Field(0.5, gt=0, le=1, description="part of the documented limit the exporter may use")
    quota: dict[str, Annotated[float, Field(gt=0, le=1_000_000)]] = Field(
        default_factory=dict, description="calls per second by API action, instead of share times documented limit"
    )
    plan: Literal["auto", "single", "list"] = Field("auto", description="how streams are asked: see docs/design.md")


class Stream(Shape):
    """One watched stream: its label `name`, its account, and the provider's address fields."""

    name: Text = Field(description="the label `stream`; unique per provider")
    account: Text = Field(description="name of the account that asks for it")
    labels: dict[LabelName, LabelValue] = Field(default_factory=dict, description="shown on stream_info")


class Moment(NamedTuple):
    """All that a request may depend on besides configuration: handed in, never drawn by a provider.

    Attributes:
        now: Unix seconds.
        nonce: 32 lower-case hexadecimal digits, new for each call.
        sequence: Strictly growing over the life of the process, in milliseconds of Unix time or above.
    """

    now: float
    nonce: str
    sequence: int


class Call(NamedTuple):
    """One API call before it is signed: the action and its business parameters."""

    action: str
    version: str
    params: Mapping[str, str | int] = {}


class Request(NamedTuple):
    """One signed HTTP request; `url` is percent-encoded already and goes out byte for byte."""

    method: Literal["GET", "POST", "PUT"]
    url: str
    headers: Mapping[str, str] = {}
    body: bytes = b""

    def __repr__(self) -> str:
        return f"<request {self.method}>"


def _nothing() -> None:
    """Do nothing."""


class Reply(NamedTuple):
    """A provider's HTTP answer, decompressed and within the size allowed; headers are looked up in lower case.

    Call `let_go` once the answer has been read: until then no other large answer is received.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    let_go: Callable[[], None] = _nothing
