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
_LINE_END: Final = re.compile("\r\n?|\n")
_QUERY: Final = re.compile(r"\?[^\"]*")
_VALUE: Final = re.compile(r"(?P<name>[A-Z0-9-]*(?:URI|VALUE|KEYID|IV|DATA)=)\"[^\"]*\"?")


@dataclass(slots=True)
class Step:
    """One request of a check.

    Attributes:
        asked: The address as it may be shown.
        seconds: How long it took.
        came: The status and what else came, or why nothing did.
        judged: What that means.
        body: A playlist as it may be shown; see `excerpt`.
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
    """Return a playlist, the beginning and the end of a long one, without queries, or without any address of it."""
    if len(text) <= MOST_SHOWN:
        return _shown(text, addresses)
    # What is newest stands at the end. A line that is not whole there might begin within a query.
    end = _LINE_END.split(text[-MOST_SHOWN // 2 :], maxsplit=1)[1:]
    return "\n".join((_shown(text[: MOST_SHOWN // 2], addresses), "…", *(_shown(line, addresses) for line in end)))


def _shown(text: str, addresses: bool) -> str:
    # Only these end a line for those who read playlists: all others may stand in an address.
    return "\n".join(printable(_hidden(line.strip(), addresses), 256) for line in _LINE_END.split(text))


def _hidden(line: str, addresses: bool) -> str:
    """Return a line of a playlist without what may be secret."""
    if line.startswith("#"):
        return _QUERY.sub(f"?{HIDDEN}", line) if addresses else _VALUE.sub(rf'\g<name>"{HIDDEN}"', line)
    if not addresses:
        return line and HIDDEN
    path, mark, _ = line.partition("?")
    return f"{path}?{HIDDEN}" if mark else line
