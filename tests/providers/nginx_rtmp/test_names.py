"""Names as nginx-rtmp shows them: what `check` refuses, and what is asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from exporter.config import ConfigErrors, load
from exporter.providers import all_providers


def problems(folder: Path, *streams: dict[str, Any]) -> list[str]:
    """Return what `check` refuses in an account's streams."""
    file = folder / "config.yml"
    accounts = [{"name": "studio", "provider": "nginx_rtmp"}, {"name": "other", "provider": "nginx_rtmp"}]
    watched = [{"account": "studio", **stream} for stream in streams]
    file.write_text(json.dumps({"accounts": accounts, "streams": watched}), encoding="utf-8")
    try:
        load(file, all_providers(), {})
    except ConfigErrors as error:
        return [f"{one.path}: {one.message}" for one in error.problems]
    return []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"name": "é"}, {"name": "è"}),
        ({"name": "a", "stream": "x\té"}, {"name": "b", "stream": "x \u00a0"}),
        ({"names": ["cam", "直", "   "]}, {"name": "c"}),
    ],
)
def test_streams_that_the_page_shows_alike_are_refused(
    tmp_path: Path, one: dict[str, Any], other: dict[str, Any]
) -> None:
    """Each byte that is not printable ASCII is shown as a space: nobody could tell which of them is live."""
    (found,) = problems(tmp_path, one, other)
    assert "nginx-rtmp shows this stream and another by the same name" in found


def test_streams_that_differ_for_the_page_are_not_refused(tmp_path: Path) -> None:
    """Other letters, blanks at the end, another application or another server; and one stream may be watched twice."""
    streams: list[dict[str, Any]] = [
        {"name": "cam"},
        {"name": "cam "},
        {"name": "é"},
        {"name": "preview", "stream": "è", "app": "preview"},
    ]
    streams += [{"name": "elsewhere", "stream": "è", "account": "other"}, {"name": "again", "stream": "é"}]
    assert problems(tmp_path, *streams) == []


def test_a_question_mark_ends_a_name(tmp_path: Path) -> None:
    """What stands behind it are arguments of the push, which the server takes off."""
    assert len(problems(tmp_path, {"name": "cam?x=1"}, {"name": "b", "stream": "b?", "app": "live?y"})) == 3
