"""The matrix: what each cloud may answer for one stream, and what a scrape has to say of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from exporter.model import Reason, State

PROVIDERS = ("zego", "tencent", "alibaba", "volcengine")
LIVE = {"zego": "0", "tencent": "ok", "alibaba": "ok", "volcengine": "ok"}
SHORT = "400ms"


@dataclass(frozen=True)
class Case:
    """What happens to one stream, and what is expected.

    Attributes:
        told: The state, or the (code, reason) of the failure.
        response: The code under which the answer is counted, or None where there is no answer to count.
        calls: How many calls the cloud gets for the stream.
        state: The stream's state in the world.
        fault: Arguments of the fault put upon the stream.
        quirks: Switches of the world.
        timeout: Of one call.
    """

    name: str
    provider: str
    told: State | tuple[str, Reason]
    response: str | None
    calls: int = 1
    state: State = State.ACTIVE
    fault: dict[str, Any] = field(default_factory=dict)
    quirks: dict[str, Any] = field(default_factory=dict)
    timeout: str = "10s"

    def __str__(self) -> str:
        return f"{self.provider}: {self.name}"


ZEGO_ENDED = {"zego_data": ("empty", "times", "null", "missing")}
ABSENT = ("zeros", "empty", "null", "missing")


def states() -> Iterator[Case]:
    """Every state that each cloud can tell, in every documented form."""
    for provider, code in LIVE.items():
        yield Case("active", provider, State.ACTIVE, code)
    for form in ZEGO_ENDED["zego_data"]:
        ended, quirks = {"state": State.INACTIVE}, {"zego_data": form}
        yield Case(f"closed, Data {form}", "zego", State.INACTIVE, "41006", quirks=quirks, **ended)  # type: ignore[arg-type]
        history = {"zego_history": False, **quirks}
        yield Case(f"closed, no history, Data {form}", "zego", State.NOT_FOUND, "41004", quirks=history, **ended)  # type: ignore[arg-type]
    yield Case("never there", "zego", State.NOT_FOUND, "41004", state=State.NOT_FOUND)
    for provider in ("tencent", "alibaba"):
        yield Case("inactive", provider, State.INACTIVE, "ok", state=State.INACTIVE)
        yield Case("forbidden", provider, State.FORBIDDEN, "ok", state=State.FORBIDDEN)
        yield Case("never there", provider, State.INACTIVE, "ok", state=State.NOT_FOUND)
    for state, told in ((State.ACTIVE, State.ACTIVE), (State.FORBIDDEN, State.FORBIDDEN)):
        yield Case(f"{state}, nested", "alibaba", told, "ok", state=state, quirks={"alibaba_envelope": "nested"})
    yield Case("all media 0", "volcengine", State.INACTIVE, "ok", state=State.INACTIVE)
    for form in ABSENT:
        quirks = {"volcengine_absent": form}
        yield Case(f"absent, {form}", "volcengine", State.INACTIVE, "ok", state=State.NOT_FOUND, quirks=quirks)
    yield Case(
        "absent, a code", "volcengine", ("RoomNotExist", Reason.BAD_REQUEST), "RoomNotExist",
        state=State.NOT_FOUND, quirks={"volcengine_absent": "error"},
    )  # fmt: skip
    yield Case(
        "absent, a code", "tencent", ("ResourceNotFound.ChannelNotExist", Reason.BAD_REQUEST),
        "ResourceNotFound.ChannelNotExist", state=State.NOT_FOUND,
        quirks={"tencent_absent": "ResourceNotFound.ChannelNotExist"},
    )  # fmt: skip


CODES: dict[str, dict[str, Reason]] = {
    "zego": {
        "100000005": Reason.AUTH, "100000004": Reason.CLOCK, "100000016": Reason.ACCOUNT, "30002": Reason.THROTTLED,
        "30009": Reason.BAD_REQUEST, "3001": Reason.PROVIDER_ERROR,
    },
    "tencent": {
        "AuthFailure.SecretIdNotFound": Reason.AUTH, "AuthFailure.SignatureExpire": Reason.CLOCK,
        "ResourceNotFound.ForbidService": Reason.ACCOUNT, "RequestLimitExceeded": Reason.THROTTLED,
        "InvalidParameter": Reason.BAD_REQUEST, "InternalError": Reason.PROVIDER_ERROR,
        "OperationDenied": Reason.ACCOUNT, "RegionError": Reason.BAD_REQUEST,
    },
    "alibaba": {
        "SignatureDoesNotMatch": Reason.AUTH, "InvalidTimeStamp.Expired": Reason.CLOCK,
        "Forbidden.RiskControl": Reason.ACCOUNT, "Throttling.User": Reason.THROTTLED,
        "InvalidDomain.NotFound": Reason.BAD_REQUEST, "InternalError": Reason.PROVIDER_ERROR,
        "InvalidAccessKeyId": Reason.AUTH, "InvalidSecurityToken": Reason.AUTH, "MissingAccessKeyId": Reason.AUTH,
        "Account.Arrearage": Reason.ACCOUNT, "Forbidden.Unsubscribed": Reason.ACCOUNT,
        "ThrottlingUser": Reason.THROTTLED, "RequestThrottled": Reason.THROTTLED,
    },
    "volcengine": {
        "SignatureDoesNotMatch": Reason.AUTH, "InvalidTimestamp": Reason.CLOCK,
        "InvalidParameter.NotExistAppId": Reason.ACCOUNT, "FlowLimitExceeded": Reason.THROTTLED,
        "MissingParameter": Reason.BAD_REQUEST, "InternalError": Reason.PROVIDER_ERROR,
    },
}  # fmt: skip
UNLISTED = {
    "zego": ("123456789", Reason.PROVIDER_ERROR),
    "tencent": ("AuthFailure.InventedToday", Reason.AUTH),
    "alibaba": ("Throttling.InventedToday", Reason.THROTTLED),
    "volcengine": ("InvalidParameter.InventedToday", Reason.BAD_REQUEST),
}
THROTTLING = {
    "zego": "30002",
    "tencent": "RequestLimitExceeded",
    "alibaba": "Throttling.User",
    "volcengine": "FlowLimitExceeded",
}
EXPIRED = {
    "zego": "100000004",
    "tencent": "AuthFailure.SignatureExpire",
    "alibaba": "InvalidTimeStamp.Expired",
    "volcengine": "InvalidTimestamp",
}


def codes() -> Iterator[Case]:
    """One code of each class at each cloud, one that no table lists, throttling, and a clock that is wrong."""
    for provider, classes in CODES.items():
        for code, reason in classes.items():
            yield Case(f"code {code}", provider, (code, reason), code, fault={"kind": "code", "code": code})
        code, reason = UNLISTED[provider]
        yield Case("unlisted code", provider, ("other", reason), "other", fault={"kind": "code", "code": code})
        code = THROTTLING[provider]
        yield Case("throttled", provider, (code, Reason.THROTTLED), code, fault={"kind": "throttle"})
        code, skew = EXPIRED[provider], {"kind": "skew", "seconds": -3600.0}
        yield Case("clock an hour off", provider, (code, Reason.CLOCK), code, fault=skew)


MALFORMED = ("malformed", Reason.MALFORMED)
HTTP = ("http", Reason.HTTP)
CONNECTION = ("connection", Reason.CONNECTION)
TIMEOUT = ("timeout", Reason.TIMEOUT)
SPOILT: dict[str, dict[str, Any]] = {
    "state is true": {"kind": "value", "value": True},
    "state is text": {"kind": "value", "value": "1"},
    "state is a fraction": {"kind": "value", "value": 0.5},
    "state is null": {"kind": "value", "value": None},
    "state is a list": {"kind": "value", "value": ["active"]},
    "state is an object": {"kind": "value", "value": {"State": 1}},
    "state missing": {"kind": "missing"},
    "state not a number": {"kind": "nan"},
    "state a surrogate": {"kind": "surrogate"},
    "document a list": {"kind": "document", "value": [1]},
    "document empty": {"kind": "document", "value": {}},
    "document null": {"kind": "document", "value": None},
    "nested deeply": {"kind": "deep"},
    "names twice": {"kind": "duplicate_keys"},
    "truncated": {"kind": "truncated"},
    "no body": {"kind": "empty"},
    "not JSON": {"kind": "text"},
    "not UTF-8": {"kind": "utf8"},
}
OVERSIZED: dict[str, dict[str, Any]] = {"huge": {"kind": "huge"}, "bomb": {"kind": "bomb", "size": 8 << 20}}
PAGES: dict[str, dict[str, Any]] = {
    "HTML 502": {"kind": "html"},
    "HTML 200": {"kind": "html", "status": 200},
    "redirect": {"kind": "redirect", "status": 307},
    "right body under 500": {"kind": "status"},
    "right body under 404": {"kind": "status", "status": 404},
}
INTERMEDIARIES: dict[str, Any] = {
    "lower case": {"code": 502, "message": "upstream busy"},
    "a code and a text": {"Code": 503, "Message": "Service Unavailable"},
    "an error in an object": {"error": {"code": "overloaded", "message": "try later"}},
    "an envelope without content": {"Response": "none", "ResponseMetadata": "none", "Code": None},
    "a list": ["busy"],
    "text": "busy",
}
NOT_PLAIN: dict[str, Any] = {
    "error": {"Code": "InternalError"}, "code": 0, "message": "ok", "ERROR": "busy", "errorCode": 500,
}  # fmt: skip
OTHERS: dict[str, tuple[str, Any]] = {
    "another room": ("Result.RoomId", "other"),
    "another user": ("Result.UserId", "other"),
    "another app": ("Result.AppId", "other"),
    "another Action": ("ResponseMetadata.Action", "GetRoomOnlineUsers"),
    "another Version": ("ResponseMetadata.Version", "2023-11-01"),
    "another Service": ("ResponseMetadata.Service", "live"),
    "Error beside ResponseMetadata": ("Error", {"Code": "InternalError", "Message": "busy"}),
    "error within ResponseMetadata": ("ResponseMetadata.error", {"Code": "InternalError"}),
    "Error within Result": ("Result.Error", {"Code": "InternalError"}),
    "a type that is unknown and on": ("Result.StreamStates.0.MediaType", "AudioAux"),
    "a type of another case": ("Result.StreamStates.0.MediaType", "AUDIO"),
}
BROKEN: dict[str, tuple[dict[str, Any], int]] = {
    "reset": ({"kind": "reset"}, 2),
    "closed": ({"kind": "close"}, 2),
    "cut": ({"kind": "cut"}, 1),
}
SLOW: dict[str, dict[str, Any]] = {
    "hangs": {"kind": "hang"},
    "late": {"kind": "delay", "seconds": 5.0},
    "head byte by byte": {"kind": "drip_head", "seconds": 0.05},
    "body byte by byte": {"kind": "drip_body", "seconds": 0.05},
}
HARMLESS: dict[str, dict[str, Any]] = {
    "a field more": {"kind": "extra"},
    "byte order mark": {"kind": "bom"},
    "wrong content type": {"kind": "content_type", "value": "text/html"},
    "a little late": {"kind": "delay", "seconds": 0.05},
    "clock a minute off": {"kind": "skew", "seconds": 60.0},
}


def not_this_answer() -> Iterator[Case]:
    """What looks like an answer and is none to this request: other statuses, caches, intermediaries, other names."""
    for provider in PROVIDERS:
        for status in (201, 202, 203, 206, 226):
            yield Case(f"right body under {status}", provider, HTTP, "http", fault={"kind": "status", "status": status})
        for age in ("1", "86400", "x", ""):
            yield Case(f"Age {age!r}", provider, HTTP, "http", fault={"kind": "cached", "value": age})
        fresh = {"kind": "cached", "value": 0}
        yield Case("Age 0", provider, State.ACTIVE, LIVE[provider], fault=fresh)
        for number, (name, page) in enumerate(INTERMEDIARIES.items()):
            status = (429, 502, 503)[number % 3]
            fault = {"kind": "gateway", "status": status, "value": page}
            yield Case(f"JSON of an intermediary under {status}, {name}", provider, HTTP, "http", fault=fault)
        inner = {"zego": "Data", "tencent": "Response", "volcengine": "Result"}.get(provider)
        for name, value in NOT_PLAIN.items():
            for path in (name, f"{inner}.{name}")[: 2 if inner else 1]:
                fault = {"kind": "value", "field": path, "value": value}
                yield Case(f"{path} beside a state", provider, MALFORMED, "malformed", fault=fault)
    for name, (path, value) in OTHERS.items():
        fault = {"kind": "value", "field": path, "value": value}
        yield Case(name, "volcengine", MALFORMED, "malformed", fault=fault)


def faults() -> Iterator[Case]:
    """Every kind of broken answer at each cloud."""
    for provider in PROVIDERS:
        for name, fault in SPOILT.items():
            yield Case(name, provider, MALFORMED, "malformed", fault=fault)
        for name, fault in OVERSIZED.items():
            yield Case(name, provider, MALFORMED, None, fault=fault)
        for name, fault in PAGES.items():
            yield Case(name, provider, HTTP, "http", fault=fault)
        for name, (fault, calls) in BROKEN.items():
            yield Case(name, provider, CONNECTION, None, calls=calls, fault=fault)
        for name, fault in SLOW.items():
            yield Case(name, provider, TIMEOUT, None, fault=fault, timeout=SHORT)
        for name, fault in HARMLESS.items():
            yield Case(name, provider, State.ACTIVE, LIVE[provider], fault=fault)
        for name, kind in (("unknown state", "unknown"), ("state a number of 401 digits", "huge_int")):
            other = provider == "zego"  # whose state is its code: a number that no table lists
            told = ("other", Reason.PROVIDER_ERROR) if other else MALFORMED
            yield Case(name, provider, told, told[0], fault={"kind": kind})


CASES = (*states(), *codes(), *faults(), *not_this_answer())
