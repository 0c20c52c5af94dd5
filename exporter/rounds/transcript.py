"""One call as it went, for people: what was asked, what came back, how it was judged. Nothing in it holds a secret."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from exporter.model import Answer, Credentials, Fault, Request
from exporter.providers.interface import Page
from exporter.scrubbing import scrub


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


def redact(request: Request) -> str:
    """Return a request as text without what it was signed with."""
    lines = [f"{request.method} " + _SIGNED.sub(r"\1<redacted>", request.url)]
    for name, value in request.headers.items():
        lines.append(f"{name}: {'<redacted>' if _SECRET_HEADERS.match(name) else value}")
    if request.body:
        lines += ["", request.body.decode("utf-8", "replace")]
    return "\n".join(lines)


def known_secrets(credentials: Credentials | None, request: Request | None) -> list[str]:
    """Return what was sent to a provider and must not be shown: the credentials, and what was computed from them."""
    known: list[str] = []
    if credentials is not None:
        secrets = (credentials.key_secret, credentials.token)
        known += [credentials.key_id, *(secret.reveal() for secret in secrets if secret is not None)]
    return known if request is None else known + signatures(request)


def signatures(request: Request) -> list[str]:
    """Return a request's signatures, wherever they stand, as they were sent and decoded."""
    places = (request.url, *(value for name, value in request.headers.items() if name.lower() == "authorization"))
    found = [each for place in places for each in _SIGNATURE.findall(place)]
    return list(dict.fromkeys([*found, *map(unquote, found)]))


def hide_push_secrets(text: str) -> str:
    """Take push addresses and secrets (txSecret, auth_key) out of what a provider sent."""
    return scrub(text, (), addresses=True)
