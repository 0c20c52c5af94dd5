"""`explain`: every code in both languages, our own words, and what is unknown."""

from __future__ import annotations

import pytest

from exporter import providers
from exporter.model import Reason, State
from exporter.providers import codes as catalogue
from tests.commands.running import run

LISTED = [entry for name in catalogue.providers() for entry in catalogue.load(name).entries()]


def test_every_listed_code_is_explained_in_both_languages() -> None:
    """Meaning and advice of every code of every table are told, in English and in Chinese."""
    assert len(LISTED) > 300
    for entry in LISTED:
        english, chinese = run("explain", entry.provider, entry.code), run("explain", "--lang", "zh", entry.code)
        assert (english.code, chinese.code) == (0, 0)
        assert f"meaning: {entry.meaning}\n  what to do: {entry.advice}" in english.out
        assert f"含义: {entry.meaning_zh}\n  处理: {entry.advice_zh}" in chinese.out


@pytest.mark.parametrize(
    ("argv", "title", "kind"),
    [
        (["zego", "41004"], "zego 41004 (media APIs)", "class: state not_found"),
        (["41006"], "zego 41006 (media APIs)", "class: state inactive"),
        (["tencent", "forbid"], "tencent forbid", "class: state forbidden"),
        (["alibaba", "online"], "alibaba online", "class: state active"),
        (["alibaba", "SignatureDoesNotMatch"], "alibaba SignatureDoesNotMatch", "class: failure, reason auth"),
        (["throttled"], "stream-exporter throttled", "class: failure, reason throttled"),
        (["zego", "timeout"], "stream-exporter timeout", "class: failure, reason timeout"),
        (["unknown"], "stream-exporter unknown", "class: state unknown"),
        (["ok"], "stream-exporter ok", "class: an answer that tells nothing"),
    ],
)
def test_title_and_class(argv: list[str], title: str, kind: str) -> None:
    """A code is told with its provider, its family of APIs where there are several, and its class."""
    done = run("explain", *argv)
    assert (done.code, done.err) == (0, "")
    assert title in done.out.splitlines()
    assert kind in done.out


@pytest.mark.parametrize("word", [*State, *Reason])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_our_own_words(word: str, lang: str) -> None:
    """Every state and every reason that stands in a label can be explained."""
    done = run("explain", word, "--lang", lang)
    assert done.code == 0
    assert f"stream-exporter {word}\n" in done.out


def test_a_code_of_several_providers() -> None:
    """Without a provider everyone who knows a code is heard; with one, that one alone."""
    everyone, one = run("explain", "Throttling.User"), run("explain", "alibaba", "Throttling.User")
    assert one.out in everyone.out
    assert len(run("explain", "active").out.split("\n\n")) == 2


def test_a_code_that_only_resembles_one() -> None:
    """An unlisted code is explained by what it begins with, says so, and names listed ones that are alike."""
    done = run("explain", "tencent", "AuthFailure.SignatureExpir")
    assert done.code == 0
    assert "not in the table of codes" in done.out
    assert "reason auth" in done.out
    assert "did you mean AuthFailure.SignatureExpire," in done.err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["zego", "41007"], "unknown code of zego: 41007\ndid you mean 41006"),
        (["signaturedoesnotmatch"], "did you mean SignatureDoesNotMatch"),
        (["zzzzzzzzzz"], "unknown code: zzzzzzzzzz\n"),
        (["zego"], "zego is a provider; give a code of it too: explain zego CODE"),
        (["\x1b[31m"], "unknown code:  [31m\n"),
    ],
)
def test_unknown_codes(argv: list[str], said: str) -> None:
    """An unknown code exits with 1, names the nearest ones, and cannot steer the terminal."""
    done = run("explain", *argv)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(said) or said in done.err
    assert "\x1b" not in done.err


@pytest.mark.parametrize("word", ["tencnt", "qcloud"])
def test_an_unknown_provider(word: str) -> None:
    """A misspelt provider, or another name of one, exits with 2 and a suggestion."""
    done = run("explain", word, "1")
    assert done.code == 2
    known = ", ".join(providers.all_providers())
    assert done.err == f"unknown provider {word}; it is one of {known}; did you mean 'tencent'?\n"
