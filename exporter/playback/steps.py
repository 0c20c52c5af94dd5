"""What a check asked, what came and how that was judged, for people. No query is in it, and no secret."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from exporter.providers.reading import printable
from exporter.state.playback import WORDS, PlaybackCheck

MOST_SHOWN: Final = 2048
HIDDEN: Final = "<redacted>"
_QUERY: Final = re.compile(r"\?[^\s\"'<>]*")
_VALUE: Final = re.compile(r"(?P<name>[A-Z0-9-]*(?:URI|VALUE|KEYID|IV|DATA)=)\"[^\"]*\"?|^[^#\s].*", re.MULTILINE)


@dataclass(slots=True)
class Step:
    """One request of a check.

    Attributes:
        asked: The address as it may be shown.
        seconds: How long it took.
        came: The status and what else came, or why nothing did.
        judged: What that means.
        body: The beginning of a playlist, without its queries.
    """

    asked: str
    seconds: float = 0.0
    came: str = ""
    judged: str = ""
    body: str = ""


@dataclass(frozen=True, slots=True)
class PlaybackTranscript:
    """A check of an address as it went.

    Attributes:
        stream: The stream's name.
        name: The label `playback`.
        shown: The address as it may be shown.
        steps: Its requests, in order.
        outcome: What it came to.
    """

    stream: str
    name: str
    shown: str
    steps: Sequence[Step]
    outcome: PlaybackCheck

    def judgement(self) -> str:
        """Say in words how it ended."""
        verdict = WORDS[self.outcome.up]
        reason = f" (reason {self.outcome.reason})" if self.outcome.reason is not None else ""
        return f"{verdict}{reason}: {self.outcome.message}"

    def as_object(self) -> dict[str, Any]:
        """Return it for JSON."""
        steps = [asdict(step) for step in self.steps]
        return {"name": self.name, "address": self.shown, "steps": steps, "judged": self.judgement()}

    def lines(self) -> list[str]:
        """Return it as lines of text."""
        found = [f"{printable(self.name)} of {printable(self.stream)}: {self.shown}"]
        for number, step in enumerate(self.steps, 1):
            found.append(f"  {number}. {step.asked}")
            found.append(f"     came back after {step.seconds * 1000:.0f} ms: {step.came}")
            found += [f"       {line}" for line in step.body.splitlines()]
            found.append(f"     judged {step.judged}")
        return [*found, f"  {self.judgement()}"]


def excerpt(text: str, *, addresses: bool) -> str:
    """Return the beginning of a playlist without queries, or without any address of it."""
    cut = text[:MOST_SHOWN]
    hidden = _QUERY.sub(f"?{HIDDEN}", cut) if addresses else _VALUE.sub(_without, cut)
    shown = "\n".join(printable(line, 256) for line in hidden.splitlines())
    return shown + ("\n…" if len(text) > MOST_SHOWN else "")


def _without(found: re.Match[str]) -> str:
    return f'{found["name"]}"{HIDDEN}"' if found["name"] else HIDDEN
