"""Likely spellings: one rule for flags, keys, accounts, streams and codes."""

from __future__ import annotations

from exporter.spelling import LONGEST, MOST_OPTIONS, closest, did_you_mean


def test_the_likeliest_come_first_whatever_their_case() -> None:
    """Case is ignored, options are returned as they are, and at most as many as requested."""
    assert closest("DOMIAN", ["domains", "Domain", "app"], most=2) == ["Domain", "domains"]
    assert closest("domian", ["domains", "Domain", "app"]) == ["Domain"]
    assert closest("x", ["domain"]) == []


def test_the_hint_is_a_clause_or_nothing() -> None:
    """The hint follows an error; it is empty without a similar option or for anything but text."""
    assert did_you_mean("domian", ["domain"]) == "; did you mean 'domain'?"
    assert did_you_mean("domian", ["domain"], quote="") == "; did you mean domain?"
    assert did_you_mean("x", ["domain"]) == did_you_mean(5, ["domain"]) == ""


def test_endless_words_and_options_cost_nothing() -> None:
    """Very long words and options beyond the limit are not compared."""
    assert did_you_mean("a" * (LONGEST + 1), ["a" * LONGEST]) == ""
    assert did_you_mean("domian", [*map(str, range(MOST_OPTIONS)), "domain"]) == ""
