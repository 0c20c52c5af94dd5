"""One call as it went, for people: what was asked, what came back, how it was judged. Nothing in it holds a secret."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from exporter.model import Answer, Credentials, Fault, Request
from exporter.providers.interface import Page


@dataclass(frozen=True, slots=True)
class Transcript:
    """One call.

    Attributes:
        action: The API's action.
        streams: The names of the streams that it asked the state of.
        scope: What it listed, if it listed anything.
        asked: The request as text, redacted.
        status: HTTP status, or None where there was no answer.
        body: The answer's beginning as text, redacted.
        seconds: How long it took.
        outcome: How it was judged.
    """

    action: str
    streams: tuple[str, ...]
    scope: str
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


# Hidden whatever a provider says: HTTP's own places for credentials.
_ALWAYS = ("authorization", "proxy-authorization", "cookie")
_PARAMETER = re.compile(r"([A-Za-z][\w-]*)=([^\s,;=\"][^\s,;\"]*|\"[^\"]*\")")


@lru_cache(maxsize=64)
def _hidden(hides: tuple[str, ...]) -> tuple[frozenset[str], re.Pattern[str]]:
    """Return the names of what nobody may see, in lower case, and a pattern of such parameters in a URL."""
    names = frozenset(map(str.lower, (*_ALWAYS, *hides)))
    return names, re.compile(rf"([?&](?:{'|'.join(map(re.escape, names))})=)([^&#\s]*)", re.IGNORECASE)


@lru_cache(maxsize=64)
def _hidden_fields(hides: tuple[str, ...]) -> re.Pattern[str]:
    """Return a pattern of such fields in JSON, and their texts."""
    return re.compile(rf'("(?:{"|".join(map(re.escape, hides))})"\s*:\s*)"(?:[^"\\]|\\.)*(?:"|\\?\Z)', re.IGNORECASE)


def _secret_parts(value: str, names: frozenset[str]) -> list[str]:
    """Return what is secret in a hidden header: its hidden parameters, else all of them, else its last word."""
    parameters = [(name.lower(), part.strip('"')) for name, part in _PARAMETER.findall(value)]
    hidden = [part for name, part in parameters if name in names]
    return hidden or [part for _, part in parameters] or [value.rpartition(" ")[2]]


def redact(request: Request, hides: tuple[str, ...]) -> str:
    """Return a request as text without what its provider hides."""
    names, in_url = _hidden(hides)
    lines = [f"{request.method} " + in_url.sub(r"\1<redacted>", request.url)]
    for name, value in request.headers.items():
        lines.append(f"{name}: {'<redacted>' if name.lower() in names else value}")
    if request.body:
        lines += ["", request.body.decode("utf-8", "replace")]
    return "\n".join(lines)


def withhold(body: str, hides: tuple[str, ...]) -> str:
    """Return an answer as text without the texts that its provider hides, also the last one of an answer cut short."""
    return _hidden_fields(hides).sub(r'\1"<redacted>"', body)


def known_secrets(credentials: Credentials | None, request: Request | None, hides: tuple[str, ...]) -> list[str]:
    """Return what was sent to a provider and must not be shown: the credentials, and what was computed from them.

    Values of the request come as they were sent and decoded.
    """
    known: list[str] = []
    if credentials is not None:
        secrets = (credentials.key_secret, credentials.token)
        known += [credentials.key_id, *(secret.reveal() for secret in secrets if secret is not None)]
    if request is not None:
        names, in_url = _hidden(hides)
        sent = [value for _, value in in_url.findall(request.url)]
        for name, value in request.headers.items():
            sent += _secret_parts(value, names) if name.lower() in names else []
        known += [*sent, *map(unquote, sent)]
    return list(dict.fromkeys(known))
