"""The matrix: what each cloud may answer for one stream, and what a scrape has to say of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from exporter.model import Reason, State
from exporter.providers import all_providers
from tests.providers.facts import MALFORMED, Case, facts
from tests.providers.kinds import one_of_each_kind

FACTS = facts()
PROVIDERS = tuple(FACTS)
LIVE = {name: known.live for name, known in FACTS.items()}
THROTTLING = {name: known.throttled for name, known in FACTS.items() if known.throttled}
EXPIRED = {name: known.expired for name, known in FACTS.items() if known.expired}
SHORT = "400ms"


def states() -> Iterator[Case]:
    """Every state that each cloud can tell, in every documented form."""
    for known in FACTS.values():
        yield from known.states


def codes() -> Iterator[Case]:
    """One code of each class at each cloud, one that no table lists, throttling, and a clock that is wrong."""
    for provider, known in FACTS.items():
        for code, reason in known.codes.items():
            yield Case(f"code {code}", provider, (code, reason), code, fault={"kind": "code", "code": code})
        if known.unlisted:
            code, reason = known.unlisted
            yield Case("unlisted code", provider, ("other", reason), "other", fault={"kind": "code", "code": code})
        if code := known.throttled:
            yield Case("throttled", provider, (code, Reason.THROTTLED), code, fault={"kind": "throttle"})
        if code := known.expired:
            skew = {"kind": "skew", "seconds": -3600.0}
            yield Case("clock an hour off", provider, (code, Reason.CLOCK), code, fault=skew)


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
OVERSIZED = {"huge": 2, "bomb": 8}  # times what is accepted
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
    """What looks like an answer and is none, since it has members of an error, or names something else."""
    for provider, known in FACTS.items():
        for name, value in NOT_PLAIN.items():
            if name in known.own:
                continue
            for path in (name, f"{known.inner}.{name}")[: 2 if known.inner else 1]:
                fault = {"kind": "value", "field": path, "value": value}
                yield Case(f"{path} beside a state", provider, MALFORMED, "malformed", fault=fault)
        for name, (path, value) in known.others.items():
            fault = {"kind": "value", "field": path, "value": value}
            yield Case(name, provider, MALFORMED, "malformed", fault=fault)


def spoilt() -> Iterator[Case]:
    """Every kind of answer that has no state in it at each cloud."""
    for provider in PROVIDERS:
        for name, fault in SPOILT.items():
            yield Case(name, provider, MALFORMED, "malformed", fault=fault)
        for name, kind in (("unknown state", "unknown"), ("state a number of 401 digits", "huge_int")):
            told = FACTS[provider].unknown
            yield Case(name, provider, told, told[0], fault={"kind": kind})


def passed_on() -> Iterator[Case]:
    """What HTTP, caches, intermediaries and the network make of an answer at one cloud of each kind.

    All clouds' answers are received by the same code. How each cloud's own reads what came, its contract test shows.
    """
    for provider in one_of_each_kind():
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
        for name, fault in PAGES.items():
            yield Case(name, provider, HTTP, "http", fault=fault)
        for name, fault in HARMLESS.items():
            yield Case(name, provider, State.ACTIVE, LIVE[provider], fault=fault)
        yield from broken(provider)


def broken(provider: str) -> Iterator[Case]:
    """What is too large, cut, or too late."""
    largest = all_providers()[provider].main.largest
    for name, times in OVERSIZED.items():
        yield Case(name, provider, MALFORMED, None, fault={"kind": name, "size": times * largest})
    for name, (fault, calls) in BROKEN.items():
        yield Case(name, provider, CONNECTION, None, calls=calls, fault=fault)
    for name, fault in SLOW.items():
        yield Case(name, provider, TIMEOUT, None, fault=fault, timeout=SHORT)


CASES = (*states(), *codes(), *spoilt(), *not_this_answer(), *passed_on())
