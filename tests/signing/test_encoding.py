"""The encodings under the signatures."""

import hashlib
from random import Random
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.providers.encoding import EMPTY_SHA256, canonical_query, percent, sha256_hex, utf8

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PAIRS = st.lists(st.tuples(TEXT, TEXT), max_size=8)
UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        (UNRESERVED, UNRESERVED),
        (" ", "%20"),
        ("+/*=&%", "%2B%2F%2A%3D%26%25"),
        ("!'()@:;,?#[]", "%21%27%28%29%40%3A%3B%2C%3F%23%5B%5D"),
        ("直播", "%E7%9B%B4%E6%92%AD"),
        ("😀", "%F0%9F%98%80"),
        ("", ""),
    ],
)
def test_percent(text: str, encoded: str) -> None:
    """RFC 3986's unreserved characters stay; all else becomes upper-case escapes of its UTF-8 bytes."""
    assert percent(text) == encoded


@given(TEXT)
def test_percent_is_reversible(text: str) -> None:
    """Encoding leaves only unreserved characters and escapes, and loses nothing."""
    encoded = percent(text)
    assert unquote(encoded) == text
    assert set(encoded) <= set(UNRESERVED + "%")


@given(PAIRS)
def test_canonical_query_survives_the_wire(pairs: list[tuple[str, str]]) -> None:
    """Decoding a canonical query and writing it again changes no byte: signer and verifier agree."""
    query = canonical_query(pairs)
    decoded = parse_qsl(query, keep_blank_values=True)
    assert canonical_query(decoded) == query
    assert sorted(decoded) == sorted(pairs)


@given(PAIRS, st.randoms(use_true_random=False))
def test_order_of_names_does_not_matter(pairs: list[tuple[str, str]], random: Random) -> None:
    """With distinct names the caller's order is of no consequence."""
    distinct = list(dict(pairs).items())
    shuffled = distinct.copy()
    random.shuffle(shuffled)
    assert canonical_query(shuffled) == canonical_query(distinct)


def test_repeated_names_keep_their_order() -> None:
    """Values of one name stay in the caller's order, also when another order would sort lower."""
    assert canonical_query([("b", "2"), ("a", "9"), ("b", "1")]) == "a=9&b=2&b=1"


def test_names_are_sorted_by_their_bytes() -> None:
    """Capitals come before the underscore and small letters, and a tilde before anything beyond ASCII."""
    names = ["z", "é", "~", "_", "a", "Z", "A"]
    assert canonical_query([(name, "") for name in names]) == "A=&Z=&_=&a=&z=&~=&%C3%A9="


def test_empty_value_keeps_its_sign() -> None:
    """An empty value is signed as `name=`, and no pairs at all as nothing."""
    assert canonical_query([("RegionId", "")]) == "RegionId="
    assert canonical_query([]) == ""


def test_empty_hash_is_that_of_no_bytes() -> None:
    """The constant that stands for "no body" is the true hash of nothing."""
    assert sha256_hex(b"") == EMPTY_SHA256
    assert sha256_hex("直播😀".encode()) == hashlib.sha256("直播😀".encode()).hexdigest()


@given(st.text(st.characters(), max_size=20))
@example("\udc80")
def test_no_text_fails_to_encode(text: str) -> None:
    """No text, lone surrogates included, makes the encoder raise an error that would carry it."""
    assert len(utf8(text)) >= len(text)
    assert percent(text).isascii()
