"""README.zh-CN.md says what README.md says."""

from __future__ import annotations

import re

from tests.markdown import ROOT, Page, page

ENGLISH, CHINESE = page(ROOT / "README.md"), page(ROOT / "README.zh-CN.md")


def tables(document: Page) -> list[tuple[int, int]]:
    """Return (rows, columns) of each table."""
    found = re.findall(r"(?:^\|.*\|$\n?)+", document.prose, re.MULTILINE)
    return [(len(table.splitlines()), table.splitlines()[0].count("|") - 1) for table in found]


def test_headings_are_in_step() -> None:
    """Whoever reads Chinese finds every section, in the same order."""
    assert [level for level, _ in CHINESE.headings] == [level for level, _ in ENGLISH.headings]


def test_code_is_the_same() -> None:
    """What is to be typed or configured does not depend on the language."""
    assert CHINESE.blocks == ENGLISH.blocks
    assert len(ENGLISH.blocks) > 8


def test_tables_are_in_step() -> None:
    """No row of a table was forgotten; their first columns name the same metrics and commands."""
    assert tables(CHINESE) == tables(ENGLISH)
    rows = [re.findall(r"^\| (`.*?`) \|", document.prose, re.MULTILINE) for document in (CHINESE, ENGLISH)]
    assert rows[0] == rows[1]
    assert len(rows[1]) > 10


def test_links_and_pictures_are_the_same() -> None:
    """Both pages lead to the same places, but for the other language and their own headings."""
    elsewhere = [
        [link for link in document.links if not link.startswith(("#", "README"))] for document in (CHINESE, ENGLISH)
    ]
    assert sorted(elsewhere[0]) == sorted(elsewhere[1])


def test_each_leads_to_the_other() -> None:
    """The other language is one click away."""
    assert "README.zh-CN.md" in ENGLISH.links
    assert "README.md" in CHINESE.links


def test_it_is_chinese() -> None:
    """No heading or paragraph was left in English."""
    left = [title for _, title in CHINESE.headings[1:] if title not in {"Prometheus"} and title.isascii()]
    assert left == []
    paragraphs = [text for text in re.split(r"\n\s*\n", CHINESE.prose) if text.strip() and text[0] not in "#|["]
    assert [text for text in paragraphs if text.isascii()] == []
