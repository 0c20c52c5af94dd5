"""What states and faults mean and what to do about them, for people; the catalogue's words wherever it has some."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from exporter.model import Fault, State
from exporter.providers import codes as catalogue
from exporter.status.markup import EMPTY, Html, bdi, fill, joined, prose

WORDS: Final = {
    State.INACTIVE: "Down",
    State.UNKNOWN: "Unknown",
    State.FORBIDDEN: "Forbidden",
    State.NOT_FOUND: "Not found",
    State.ACTIVE: "Live",
}

LEGEND: Final = {
    State.INACTIVE: "The provider says that nobody pushes the stream.",
    State.UNKNOWN: "Nobody knows: the last attempt failed, or the last answer is too old. The stream may well be live.",
    State.FORBIDDEN: "The provider says that pushing the stream is forbidden.",
    State.NOT_FOUND: "The provider says that it knows no such stream.",
    State.ACTIVE: "The provider says that the stream is being pushed.",
}

UNPROBED: Final = {
    "quota": "the quota had no calls left. Raise `quota_share` or `quota`, or the scrape timeout.",
    "deadline": "the deadline came first. Raise the scrape timeout or the account's `concurrency`.",
    "breaker": "the breaker holds calls back until a trial call is answered.",
}


@lru_cache(maxsize=4096)
def _definite(provider: str, state: State, code: str) -> tuple[str, str]:
    entries = [entry for entry in catalogue.load(provider).entries() if entry.state == state]
    entries.sort(key=lambda entry: entry.code != code)
    return (entries[0].meaning, entries[0].advice) if entries else (LEGEND[state], "")


@lru_cache(maxsize=4096)
def _explained(provider: str, code: str, reason: str) -> catalogue.Entry:
    return catalogue.of_fault(provider, code, reason)


def explained(provider: str, fault: Fault) -> catalogue.Entry:
    """Return what the catalogue says of a fault."""
    return _explained(provider, fault.code, str(fault.reason))


def of_state(provider: str, state: State, code: str) -> Html:
    """Say what a definite answer means and what to do."""
    return said(*_definite(provider, state, code))


def of_fault(provider: str, fault: Fault) -> Html:
    """Say what a fault means and what to do."""
    entry = explained(provider, fault)
    return said(entry.meaning, entry.advice)


def said(meaning: str, advice: str) -> Html:
    """Return what something means, and on a line of its own what to do, if there is something."""
    told = fill("<p>{meaning}</p>", meaning=prose(meaning))
    if advice in ("", "Nothing to do."):
        return told
    return joined([told, fill('<p class="do">{advice}</p>', advice=prose(advice))])


def evidence(fault: Fault, when: str = "") -> Html:
    """Return what a support ticket needs: code, reason, the provider's own words, its RequestId."""
    parts = [fill("<code>{code}</code>", code=fault.code)]
    if fault.code != fault.reason:
        parts.append(fill("reason {reason}", reason=fault.reason))
    if when:
        parts.append(fill("{when}", when=when))
    if fault.message:
        parts.append(fill("“{message}”", message=bdi(fault.message)))
    if fault.request_id:
        parts.append(request_id(fault))
    return asides(parts)


def request_id(fault: Fault) -> Html:
    """Return the provider's id of the call."""
    return fill("RequestId <code>{id}</code>", id=fault.request_id) if fault.request_id else EMPTY


def asides(parts: list[Html]) -> Html:
    """Return what is worth saying in small print."""
    return fill('<p class="aside">{parts}</p>', parts=joined(parts, " · ")) if parts else EMPTY
