"""The nouns: secrets that keep still, and what fields of a configuration take, make of it, or refuse in which words."""

from __future__ import annotations

import pickle
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from exporter.fields import (
    Domain,
    Endpoint,
    Secret,
    SecretSource,
    ShortId,
    Text,
    carries_credential,
    duration,
    format_duration,
    is_duration,
    parse_duration,
    short_id_problem,
)
from exporter.model import Credentials, Reply, Request


def read(kind: Any, value: Any) -> Any:
    """Return what a field makes of a value, or the words in which it refuses it."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        return error.errors()[0]["msg"].removeprefix("Value error, ")


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_only_reveal_returns_a_secret() -> None:
    """A secret cannot be printed or pickled, and equals only a secret with the same text."""
    secret = Secret("canary")
    assert secret.reveal() == "canary"
    assert (repr(secret), str(secret), f"{secret}") == ("<secret>", "<secret>", "<secret>")
    assert secret == Secret("canary")
    assert secret != Secret("other")
    assert secret != "canary"
    assert len({secret, Secret("canary"), Secret("other")}) == 2
    assert hash(secret) != hash("canary")
    with pytest.raises(TypeError, match=r"^a secret is not serialised$"):
        pickle.dumps(secret)


def test_what_holds_secrets_does_not_show_them() -> None:
    """Sources, credentials and signed requests do not print their secrets."""
    source = SecretSource.plain("canary")
    assert (source.kind, source.value) == ("plain", Secret("canary"))
    held = (source, Credentials("canary", Secret("canary"), Secret("canary")))
    signed = Request("GET", "https://cloud.example/?sign=canary", {"Authorization": "canary"}, b"canary")
    assert "canary" not in repr((*held, signed, Reply(200, {}, b"canary").status))
    assert SecretSource("plain", Secret("a")) != SecretSource.plain("b")


# --- durations --------------------------------------------------------------------------------------------------------

NO_DURATION = "is not a duration; write it like 500ms, 10s or 2m"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0), ("0s", 0.0), ("500ms", 0.5), ("10s", 10.0), ("2m", 120.0), ("1h", 3600.0), ("1d", 86400.0),
        ("1w", 604800.0), ("1y", 31536000.0), ("1h30m", 5400.0), ("1m1s1ms", 61.001), ("0" * 63 + "s", 0.0),
    ],
)  # fmt: skip
def test_durations_are_read_in_prometheuss_notation(text: str, seconds: float) -> None:
    """Every unit is supported, and units add up."""
    assert parse_duration(text) == pytest.approx(seconds)
    assert read(duration(0, 1e9), text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "10", "s", "1s1m", "1.5s", "-1s", " 1s", "1 s", "١s", "0" * 64 + "s", "1S"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """A duration without a unit, out of order or too long is refused with an example."""
    assert read(duration(0, 1e9), text) == NO_DURATION


def test_a_number_is_a_duration_only_where_it_is_nothing() -> None:
    """Zero needs no unit; every other number does, and nothing else is a duration."""
    kind = duration(0, 60)
    assert (read(kind, 0), read(kind, 0.0)) == (0.0, 0.0)
    assert {read(kind, number) for number in (1, 1.0, -1)} == {"lacks a unit; write it like 500ms, 10s or 2m"}
    assert {read(kind, value) for value in (True, False, None, ())} == {NO_DURATION}
    assert "less than or equal to 60" in read(kind, "61s")
    assert "greater than or equal to 1" in read(duration(1, 60), "0")
    assert is_duration(get_args(kind))
    assert not is_duration(get_args(Domain))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s"), (0.0004, "0s"), (0.001, "1ms"), (0.5, "500ms"), (1.0, "1s"), (1.5, "1500ms"), (59.0, "59s"),
        (60.0, "1m"), (90.0, "90s"), (3600.0, "1h"), (5400.0, "90m"), (86400.0, "24h"),
    ],
)  # fmt: skip
def test_durations_are_written_in_the_largest_unit_that_fits(seconds: float, text: str) -> None:
    """A formatted duration parses to the same value."""
    assert format_duration(seconds) == text
    assert parse_duration(text) == pytest.approx(seconds, abs=0.0005)


# --- texts ------------------------------------------------------------------------------------------------------------

CREDENTIAL = (
    "holds the credential of a push address (such as txSecret= or auth_key=); write it without the query, "
    "and replace the credential if others could read this file"
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("arena 1 / 直播 = on", "arena 1 / 直播 = on"),
        ("a" * 256, "a" * 256),
        ("a\x00", "holds a NUL character"),
        ("arena?txSecret=abc", CREDENTIAL),
    ],
)
def test_texts_are_taken_as_they_are(text: str, told: str) -> None:
    """Only non-text and forbidden content are refused."""
    assert read(Text, text) == told


def test_texts_are_neither_empty_nor_long() -> None:
    """Between 1 and 256 characters."""
    assert "at least 1 character" in read(Text, "")
    assert "at most 256 characters" in read(Text, "a" * 257)


@pytest.mark.parametrize(
    ("text", "carries"),
    [
        ("a?auth_key=1", True), ("a?txSecret=1", True), ("a?TXTIME = 1", True), ("a%3Fauth_key%3D1", True),
        ("a%253Fauth_key%253D1", True), ("a%25253Fauth_key%25253D1", False), ("monkey=1", False), ("key=1", True),
        ("100%", False), ("auth_key", False), ("a=1", False), ("", False),
    ],
)  # fmt: skip
def test_a_credential_in_an_address_is_found(text: str, carries: bool) -> None:
    """A credential is found in plain text and percent-encoded once or twice."""
    assert carries_credential(text) is carries


# --- domains, ids, endpoints ------------------------------------------------------------------------------------------

ALONE = "; write the domain alone, such as push.example.com"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Push.Example.COM.", "push.example.com"),
        ("localhost", "localhost"),
        ("5000_a.livepush-b.example", "5000_a.livepush-b.example"),
        ("a" * 63 + ".b", "a" * 63 + ".b"),
        (".".join(["a" * 62] * 4)[:253] + ".", ".".join(["a" * 62] * 4)[:253]),
        ("push.example ", "holds a blank; write the domain alone"),
        ("push.example\u200b", "holds a blank; write the domain alone"),
        ("rtmp://push.example/live", f"is an address with a scheme{ALONE}"),
        ("me@push.example", f"is an address with a user{ALONE}"),
        ("push.example?a", f"is an address with a query{ALONE}"),
        ("push.example#a", f"is an address with a fragment{ALONE}"),
        ("push.example/live", f"is an address with a path{ALONE}"),
        ("push.example:1935", f"has a port{ALONE}"),
        ("直播.example", "has letters beyond ASCII; write the domain in its ASCII form, which begins with xn--"),
        ("push\x7f.example", "has letters beyond ASCII; write the domain in its ASCII form, which begins with xn--"),
        ("push..example", "is not a domain such as push.example.com"),
        ("push.example..", "is not a domain such as push.example.com"),
        ("-push.example", "is not a domain such as push.example.com"),
        ("a" * 64, "is not a domain such as push.example.com"),
        (".".join(["a" * 62] * 4) + ".bcd", "is not a domain such as push.example.com"),
    ],
)
def test_a_domain_stands_alone(text: str, told: str) -> None:
    """A domain is lower-cased, and the error names whatever else is there."""
    assert read(Domain, text) == told


@pytest.mark.parametrize("text", ["a", "Z9@._-", "a" * 128])
def test_short_ids_are_plain(text: str) -> None:
    """Letters, digits and a few signs, at most 128 of them."""
    assert short_id_problem(text) == ""
    assert read(ShortId, text) == text


@pytest.mark.parametrize("text", ["a b", "a/b", "直", "a" * 129, "a\n"])
def test_other_ids_are_refused(text: str) -> None:
    """The error says what an id may hold."""
    told = "may hold letters, digits and @ . _ - only, at most 128 of them"
    assert short_id_problem(text) == told
    assert read(ShortId, text) == told


ADDRESS = "is not an address like https://host or http://host:port"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("https://Live.Example", "https://live.example"),
        ("https://live.example/", "https://live.example"),
        ("https://live.example:443", "https://live.example"),
        ("http://live.example:80", "http://live.example"),
        ("http://live.example:443", "http://live.example:443"),
        ("https://live.example:8443/", "https://live.example:8443"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://[::1]", "http://[::1]"),
        ("live.example", ADDRESS),
        ("ftp://live.example", ADDRESS),
        ("https://", ADDRESS),
        ("https://user@live.example", ADDRESS),
        ("https://live.example:99999", ADDRESS),
        ("https://[::1", ADDRESS),
        ("https://live.example/api", f"{ADDRESS} (no path, no query)"),
        ("https://live.example?a=1", f"{ADDRESS} (no path, no query)"),
        ("https://live.example#a", f"{ADDRESS} (no path, no query)"),
        ("https://live .example", f"{ADDRESS} (no path, no query)"),
        ("https://live\\.example", f"{ADDRESS} (no path, no query)"),
    ],
)
def test_an_endpoint_is_scheme_host_and_port(text: str, told: str) -> None:
    """A default port and a trailing slash are dropped, and anything else is refused."""
    assert read(Endpoint, text) == told
