"""The project's data types: plain values without behaviour."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, InstanceOf, WithJsonSchema, model_validator

from exporter.addresses import PlaybackAddress
from exporter.fields import REGION, Endpoint, Expected, LabelName, LabelValue, Secret, Shape, Text, duration
from exporter.routes import Http


class State(StrEnum):
    """The state of a stream; all but UNKNOWN are definite."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why an attempt failed; the values of the label `reason`."""

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


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a call is signed with. `key_id` is empty for a provider without key ids; temporary keys have a `token`."""

    key_id: str = field(repr=False)
    key_secret: Secret
    token: Secret | None = None


@dataclass(frozen=True, slots=True)
class Input:
    """One push that feeds a stream."""

    domain: str
    app: str
    source: Literal["push", "pull"]
    primary: bool


class Figures(NamedTuple):
    """What arrives of a live stream, as far as its provider says; None is what it does not say.

    Attributes:
        bits: Bits per second of each kind of media: `video`, `audio`, or `all` together.
        frames: Video frames per second.
        width, height: Size of the picture in pixels.
        stalled: Whether nothing arrives.
        received: Bytes since the push began: if they stand still, nothing arrives.
        patience: Seconds for which they must stand still: media servers count them up to every few seconds.
    """

    bits: tuple[tuple[str, float], ...] = ()
    frames: float | None = None
    width: int | None = None
    height: int | None = None
    stalled: bool | None = None
    received: int | None = None
    patience: float = 7.0


class Answer(NamedTuple):
    """A provider's definite answer about one stream.

    Attributes:
        state: Never UNKNOWN.
        code: The provider's own code of the answer, for `stream_provider_responses_total`; `ok` if it has none.
        started: When the present push began, in Unix seconds. This and all below are set only if the provider says so.
        lasted: Or for how many seconds it has lasted, from which the board makes `started`.
        media: Whether each media type is published.
        inputs: The inputs being pushed; None if unknown.
        ingest: How the stream comes in.
        request_id: The provider's id of the call, for support tickets; never a label.
        figures: What arrives of it while it is live.
        origin: Which of several processes says so, where each knows only its own streams.
    """

    state: State
    code: str = "ok"
    started: float | None = None
    lasted: float | None = None
    media: tuple[tuple[str, bool], ...] = ()
    inputs: tuple[Input, ...] | None = None
    ingest: Literal["push", "pull"] | None = None
    request_id: str = ""
    figures: Figures | None = None
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """A failed attempt. `message` and `request_id` are for logs and pages and never become labels."""

    reason: Reason
    code: str
    message: str = ""
    request_id: str = ""
    retry_after: float | None = None


class Account(Shape):
    """An account with a provider; each provider adds its own fields."""

    name: Text = Field(description="the account's name, and the label `account`; unique over all providers")
    provider: str = Field(description="the cloud it is an account of")
    endpoint: Endpoint
    http: Annotated[InstanceOf[Http], WithJsonSchema({"type": "object"})] = Field(
        default_factory=Http, description="as [at the top](#http), which it replaces as a whole"
    )
    timeout: duration(0.05, 60) = Field(3.0, description="longest wait for one call")  # type: ignore[valid-type]
    concurrency: int = Field(32, ge=1, le=1024, description="most calls in flight at once")
    quota_share: float = Field(0.5, gt=0, le=1, description="part of the documented limit the exporter may use")
    quota: dict[str, Annotated[float, Field(gt=0, le=1_000_000)]] = Field(
        default_factory=dict, description="calls per second by API action, instead of share times documented limit"
    )
    plan: Literal["auto", "single", "list"] = Field("auto", description="how streams are asked: see docs/design.md")
    figures: bool = Field(True, description="whether calls of their own ask for bit rates, frame rates and stalls")

    @model_validator(mode="before")
    @classmethod
    def _endpoint_of_region(cls, given: Any) -> Any:
        """Put the region into the default endpoint, where a cloud has one for each and says `{region}` for it."""
        default, usual = cls.model_fields["endpoint"].default, cls.model_fields.get("region")
        region = given.get("region", usual and usual.default)
        if "endpoint" in given or not isinstance(default, str) or "{region}" not in default:
            return given
        # A region of another kind has its own error.
        return {**given, "endpoint": default.format(region=region)} if REGION.fullmatch(str(region)) else given


class Stream(Shape):
    """A watched stream; each provider adds the fields of its address."""

    name: Text = Field(description="the label `stream`; unique per provider")
    account: Text = Field(description="name of the account that asks for it")
    labels: dict[LabelName, LabelValue] = Field(default_factory=dict, description="shown on stream_info")
    expected: Expected | None = Field(
        None, description="when it should be live: always, never, or names of time_intervals; default: as for all"
    )
    playback: Annotated[tuple[InstanceOf[PlaybackAddress], ...], WithJsonSchema({"type": "array"})] = Field(
        (), description="addresses that viewers use, HLS or HTTP-FLV, which are [checked too](#playback)"
    )

    @property
    def expected_inputs(self) -> int | None:
        """How many inputs the stream should have, if the configuration says so."""
        return None

    @property
    def expected_media(self) -> Sequence[str]:
        """The media types that a live stream should have, if the configuration names any."""
        return ()


class Moment(NamedTuple):
    """All that a request depends on besides configuration and credentials."""

    now: float  # Unix seconds
    nonce: str  # 32 lower-case hexadecimal digits, new for each call
    sequence: int  # strictly growing during the life of the process, at least Unix time in milliseconds


class Call(NamedTuple):
    """An API call before it is signed."""

    action: str
    version: str
    params: Mapping[str, str | int] = {}


class Request(NamedTuple):
    """A signed HTTP request; `url` is percent-encoded and is sent byte for byte."""

    method: Literal["GET", "POST", "PUT"]
    url: str
    headers: Mapping[str, str] = {}
    body: bytes = b""

    def __repr__(self) -> str:
        return f"<request {self.method}>"


class Reply(NamedTuple):
    """A provider's HTTP response, decompressed and within the size limit; look up headers in lower case.

    Call `release` after reading it: until then, no other large response is received.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    release: Callable[[], None] = lambda: None
