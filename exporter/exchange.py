"""One call as it went, for people: what was asked, what came back, how it was judged. Nothing in it holds a secret."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from exporter.model import Answer, Fault, Request
from exporter.provider import Page


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call.

    Attributes:
        action: The API's action.
        streams: The names of the streams that it was about.
        asked: The request as text, redacted.
        status: HTTP status, or None where there was no answer.
        body: The answer's beginning as text, redacted.
        seconds: How long it took.
        outcome: How it was judged.
    """

    action: str
    streams: tuple[str, ...]
    asked: str
    status: int | None
    body: str
    seconds: float
    outcome: Answer | Page | Fault

    def judgement(self) -> str:
        """Say in words how the answer was judged."""
        match self.outcome:
            case Answer() as answer:
                return f"{answer.state} (code {answer.code})"
            case Fault() as fault:
                return f"failed, reason {fault.reason}, code {fault.code}: {fault.message}"
            case Page() as page:
                return f"a page with {len(page.rows)} rows, of {page.pages}"


_SIGNED = re.compile(r"(?i)((?:[?&]|^)(?:[\w-]*signature|[\w-]*token|accesskeyid)=)[^&\s]*")
_SIGNATURE = re.compile(r"(?i)\bsignature=([^&,\s]+)")
_SECRET_HEADERS = re.compile(r"(?i)^(authorization|x-tc-token|x-acs-security-token|x-security-token)$")
# The scheme is bounded: without that, a long word without a colon would take the square of its length.
_ADDRESS = re.compile(r"(?i)[a-z0-9+.-]{0,16}:(?:\\?/){2}[^\s\"'<>]*")
_PUSH_SECRETS = re.compile(r"(?i)((?:tx_?secret|auth_key|tx_?time|token|sign(?:ature)?)=)[^&\"'\s\\]+")


MOST_CLEANED = 32 << 10
LONGEST_SECRET = 16 << 10


def beginning(text: str, clean: Callable[[str], str]) -> str:
    """Return a text, or the beginning of a long one, without its secrets; `clean` takes them out."""
    if len(text) <= MOST_CLEANED:
        return clean(text)
    # What stands at the cut may be half a secret, which is not known for one.
    return clean(text[:MOST_CLEANED])[:-LONGEST_SECRET]


def redact(request: Request) -> str:
    """Return a request as text without what it was signed with."""
    lines = [f"{request.method} " + _SIGNED.sub(r"\1<redacted>", request.url)]
    for name, value in request.headers.items():
        lines.append(f"{name}: {'<redacted>' if _SECRET_HEADERS.match(name) else value}")
    if request.body:
        lines += ["", request.body.decode("utf-8", "replace")]
    return "\n".join(lines)


def signatures(request: Request) -> list[str]:
    """Return what a request was signed with, wherever it stands: a provider's error may repeat it."""
    places = (request.url, *(value for name, value in request.headers.items() if name.lower() == "authorization"))
    return [found for place in places for found in _SIGNATURE.findall(place)]


def hide_push_secrets(text: str) -> str:
    """Take push addresses and secrets (txSecret, auth_key) out of what a provider sent."""
    return _PUSH_SECRETS.sub(r"\1<redacted>", _ADDRESS.sub("<address>", text))
