"""Markdown as the tests of the documents read it: headings, anchors, links, code blocks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = {".venv", ".git", "node_modules", "build", "dist", "mutants"}
_FENCE = re.compile(r"^(?P<fence>`{3,})(?P<kind>[^\n`]*)\n(?P<text>.*?)^(?P=fence)\s*$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^(#{1,6}) +(.+?) *#*$", re.MULTILINE)
_LINK = re.compile(r"\]\(\s*<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced code block: the word after the fence, and what stands in it."""

    kind: str
    text: str


@dataclass(frozen=True)
class Page:
    """One document."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        """Path from the root of the repository."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def blocks(self) -> list[Block]:
        """Its code blocks, in order."""
        return [Block(found["kind"].strip(), found["text"]) for found in _FENCE.finditer(self.text)]

    @property
    def prose(self) -> str:
        """All but the code blocks."""
        return _FENCE.sub("", self.text)

    @property
    def headings(self) -> list[tuple[int, str]]:
        """Level and text of each heading."""
        return [(len(marks), title) for marks, title in _HEADING.findall(self.prose)]

    @property
    def anchors(self) -> set[str]:
        """What a link to one of its headings may end with; a second heading of one name gets a number."""
        seen: Counter[str] = Counter()
        found = set()
        for _, title in self.headings:
            slug = _slug(title)
            found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
        return found

    @property
    def links(self) -> list[str]:
        """Targets of its links and pictures; what stands in code is none."""
        return _LINK.findall(_SPAN.sub("", self.prose))

    @property
    def spans(self) -> list[str]:
        """Code within lines."""
        return [text for _, text in _SPAN.findall(self.prose)]


def _slug(title: str) -> str:
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "").lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


@cache
def page(path: Path) -> Page:
    """Read a document."""
    return Page(path, path.read_text(encoding="utf-8"))


def pages() -> Iterator[Page]:
    """Yield every document of the repository."""
    for path in sorted(ROOT.rglob("*.md")):
        if not LEFT_OUT.intersection(path.relative_to(ROOT).parts) and not _hidden(path):
            yield page(path)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(ROOT).parts)
