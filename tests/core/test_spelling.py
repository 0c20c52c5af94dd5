"""Likely spellings: one rule for flags, keys, accounts, streams and codes."""

from __future__ import annotations

from exporter.spelling import LONGEST, MOST_OPTIONS, closest, did_you_mean


def test_the_likeliest_come_first_whatever_their_case() -> None:
    """Case does not count, the options keep theirs, and no more are returned than asked for."""
    assert closest("DOMIAN", ["domains", "Domain", "app"], most=2) == ["Domain", "domains"]
    assert closest("domian", ["domains", "Domain", "app"]) == ["Domain"]
    assert closest("x", ["domain"]) == []


def test_the_hint_is_a_clause_or_nothing() -> None:
    """It goes on after an error; without a likely spelling, or for what is no text, there is none."""
    assert did_you_mean("domian", ["domain"]) == "; did you mean 'domain'?"
    assert did_you_mean("domian", ["domain"], quote="") == "; did you mean domain?"
    assert did_you_mean("x", ["domain"]) == did_you_mean(5, ["domain"]) == ""


def test_endless_words_and_options_cost_nothing() -> None:
    """A word longer than any name is not compared, nor are more options than anybody looks through."""
    assert did_you_mean("a" * (LONGEST + 1), ["a" * LONGEST]) == ""
    assert did_you_mean("domian", [*map(str, range(MOST_OPTIONS)), "domain"]) == ""
