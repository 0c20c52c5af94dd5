"""What a check asked, what came and how that was judged, for people. No query is in it, and no secret."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from exporter.addresses import PlaybackAddress
from exporter.playback.urls import repeats, secrets_of, shown_of, shows_paths
from exporter.providers.reading import printable
from exporter.state.playback import WORDS, PlaybackCheck

MOST_SHOWN: Final = 2048
HIDDEN: Final = "<redacted>"
LEFT_OUT: Final = "…"
_LINE_END: Final = re.compile("\r\n?|\n")
_TAG: Final = re.compile("#EXT[A-Z0-9-]{0,40}")
_ATTRIBUTE: Final = re.compile('([A-Z0-9-]{1,32})=(?:"([^"]*)"?|([^,]*))')
_PLAIN: Final = re.compile("[0-9A-Z.:+@x-]{1,40}")

_SHOWN: Final = (
    "#EXTINF", "#EXT-X-TARGETDURATION", "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-DISCONTINUITY-SEQUENCE", "#EXT-X-VERSION",
    "#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-PLAYLIST-TYPE", "#EXT-X-BYTERANGE", "BANDWIDTH", "RESOLUTION", "TYPE", "METHOD",
    "DURATION", "INDEPENDENT", "GAP", "PART-TARGET", "SKIPPED-SEGMENTS",
)  # fmt: skip
"""Tags and attributes whose values are shown if they look as they should; those of all others may be secrets."""


@dataclass(slots=True)
class Step:
    """One request of a check; how it may be shown is found once somebody looks, as hardly anybody does.

    Attributes:
        url: What was asked for, or where redirects led.
        address: The configured address that led there, which says what may be shown.
        all_asked: All that the check asks for: values of their queries are not shown wherever they stand.
        seconds: How long it took.
        came: The status and what else came, or why nothing did.
        judged: What that means.
        playlist: What came, if it is a playlist; see `ends_of`.
    """

    url: str = field(repr=False)
    address: PlaybackAddress = field(repr=False)
    all_asked: Collection[str] = field(default=(), repr=False)
    seconds: float = 0.0
    came: str = ""
    judged: str = ""
    playlist: str = field(default="", repr=False)

    @property
    def asked(self) -> str:
        """The URL as it may be shown."""
        return shown_of(self.url, self.address, self.all_asked)

    @property
    def body(self) -> str:
        """The playlist as it may be shown."""
        secrets = secrets_of((self.address.url.reveal(), *self.all_asked))
        return excerpt(self.playlist, addresses=shows_paths(self.address), secrets=secrets)

    def as_object(self) -> dict[str, Any]:
        """Return it for JSON."""
        told = {"asked": self.asked, "seconds": self.seconds, "came": self.came, "judged": self.judged}
        return {**told, "body": self.body}


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
        steps = [step.as_object() for step in self.steps]
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


def ends_of(body: bytes | bytearray) -> str:
    """Return a playlist, or the lines at the beginning and at the end of a long one."""
    if len(body) <= MOST_SHOWN:
        return body.decode("utf-8", "replace")
    # What is newest stands at the end. A line that is not whole might begin within a query, or end before an @.
    begin, end = (_LINE_END.split(ends_of(part)) for part in (body[: MOST_SHOWN // 2], body[-MOST_SHOWN // 2 :]))
    return "\n".join([*begin[:-1], LEFT_OUT, *end[1:]])


def excerpt(text: str, *, addresses: bool, secrets: Collection[str] = ()) -> str:
    """Return a playlist without queries, or without any address of it.

    What repeats one of the secrets elsewhere is hidden, too.
    """
    shown = [line if line == LEFT_OUT else _shown(line, addresses) for line in _LINE_END.split(text)]
    return "\n".join(HIDDEN if repeats(line, secrets) else line for line in shown)


def _shown(line: str, addresses: bool) -> str:
    """Return a line of a playlist as it may be shown: what may be a secret is hidden."""
    line = line.strip()
    tag, colon, value = line.partition(":")
    if not line.startswith("#"):
        return _address(line, addresses)
    if not _TAG.fullmatch(tag):
        return "#"
    found = [_attribute(name, quoted, bare, addresses) for name, quoted, bare in _ATTRIBUTE.findall(value)]
    return tag + colon + (",".join(found) or _value(tag, value.partition(",")[0]))


def _attribute(name: str, quoted: str, bare: str, addresses: bool) -> str:
    return f'{name}="{_address(quoted, addresses)}"' if name == "URI" else f"{name}={_value(name, quoted or bare)}"


def _value(name: str, value: str) -> str:
    return value if not value or (name in _SHOWN and _PLAIN.fullmatch(value)) else HIDDEN


def _address(uri: str, addresses: bool) -> str:
    """Return an address without what stands behind a question mark, or hide it if it holds more that may be secret."""
    path, mark, _ = uri.partition("?")
    if not uri or (addresses and not set("@=%#") & set(path)):
        return printable(path, 256) + (f"?{HIDDEN}" if mark else "")
    return HIDDEN
