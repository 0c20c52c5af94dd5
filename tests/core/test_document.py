"""Foreign JSON: strict, and refused before it costs anything."""

from __future__ import annotations

import json
import re
import tracemalloc
from typing import Any

import pytest

from exporter.model import Reply
from exporter.providers import all_providers
from exporter.providers.document import (
    BLOCKING_VALUES,
    CHEAP_BYTES,
    CHEAP_VALUES,
    LISTED_VALUES,
    LONGEST_NUMBER,
    MOST_CONTAINERS,
    MOST_NAMES,
    MOST_VALUES,
    WHOLE_VALUES,
    WIDEST_TEXT,
    count_values,
    document,
    is_cheap,
)
from exporter.providers.interface import MEBIBYTE, AnyProvider, Malformed, NoEnvelope, ProviderError
from exporter.providers.reading import envelope, object_in
from testbed.recorded import document as recorded_of
from testbed.recorded import make

LARGE = BLOCKING_VALUES + 1


def beside(part: str) -> bytes:
    """Return a document with so many values that the decoder is the one that lets others run."""
    return f"[{part}{',0' * LARGE}]".encode()


CROWDED = "{" + ",".join(f'"{number}":0' for number in range(MOST_NAMES)) + "}"


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a":{"b":[1,-2.5,1e3,true,false,null,"x"]}}', {"a": {"b": [1, -2.5, 1000.0, True, False, None, "x"]}}),
        ('"\\u76f4\\ud83d\\ude00 直😀"', "直😀 直😀"),
        ("9" * LONGEST_NUMBER, int("9" * LONGEST_NUMBER)),
        ("0." + "1" * (LONGEST_NUMBER - 2), 0.1111111111111111),
        (CROWDED, dict.fromkeys(map(str, range(MOST_NAMES)), 0)),
        ("[[[[]]]]", [[[[]]]]),
    ],
)
def test_json_is_read(text: str, value: Any, large: bool) -> None:
    """Small and large documents are read alike."""
    if large:
        assert document(beside(text), LISTED_VALUES)[0] == value
    else:
        assert document(b"\xef\xbb\xbf" + text.encode()) == value


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}', '{"b":{"a":1,"a":2}}', "NaN", "Infinity", "-Infinity", "01", "1.", "'a'", '"\n"', "{a:1}", "",
        "9" * (LONGEST_NUMBER + 1), "0." + "1" * LONGEST_NUMBER, "9" * 10_000, "[" * 5000, '{"a":' * 1500,
        "{" + ",".join(f'"{number}":0' for number in range(MOST_NAMES + 1)) + "}",
    ],
)  # fmt: skip
def test_what_is_no_strict_json_or_absurd_is_refused(text: str, large: bool) -> None:
    """Duplicate names, NaN, long numbers, deep nesting and crowded objects are refused."""
    with pytest.raises(ValueError, match=r"^(not a JSON document|a JSON document with more values than 2,000)$"):
        document(beside(text) if large else text.encode(), LISTED_VALUES if large else MOST_VALUES)


@pytest.mark.parametrize("text", ['{"a":{}}', "{},", "[", '[""],', "1,", '"x":1,'])
def test_too_many_values_are_refused_before_any_is_built(text: str) -> None:
    """Refusing a MiB of values takes less than a hundredth of the memory that decoding would."""
    body = text.encode() * (MEBIBYTE // len(text))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more values than 2,000"):
            document(body)
        assert tracemalloc.get_traced_memory()[1] <= 10_000
    finally:
        tracemalloc.stop()


def test_as_many_values_as_are_allowed_are_read() -> None:
    """The limit is exact: one more value is refused."""
    body = b"[" + b"1," * (MOST_VALUES - 2) + b"1]"
    assert count_values(body, MOST_VALUES) == MOST_VALUES - 1
    assert len(document(body)) == MOST_VALUES - 1
    with pytest.raises(ValueError, match="more values"):
        document(body, MOST_VALUES - 2)


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b'{"a":{}},' * (MOST_CONTAINERS // 2 - 1) + b"{}]",
        b"[" + b"{}," * (MOST_CONTAINERS - 2) + b"{}]",
        b"[" + b'["a"],' * (MOST_CONTAINERS - 2) + b"[]]",
        b"[" + b'"a",1.5,' * (WHOLE_VALUES // 2 - 1) + b"0]",
        b'["' + b"\\n" * (4 * MEBIBYTE) + b'"]',
        b'["' + b"x" * (8 * MEBIBYTE) + b'"]',
    ],
    ids=["objects in objects", "objects", "lists", "texts and numbers", "escapes", "text"],
)
@pytest.mark.no_cover
def test_the_largest_documents_allowed_take_bounded_memory(body: bytes) -> None:
    """Any accepted document needs at most 32 MiB besides its bytes."""
    tracemalloc.start()
    try:
        assert document(body, WHOLE_VALUES)
        assert tracemalloc.get_traced_memory()[1] <= 32 * MEBIBYTE
    finally:
        tracemalloc.stop()


def test_more_objects_and_lists_than_a_true_list_has_are_refused() -> None:
    """Objects and lists are the most expensive to free, so they have a limit of their own."""
    with pytest.raises(ValueError, match="more objects and lists"):
        document(b"[" + b"{}," * MOST_CONTAINERS + b"{}]", WHOLE_VALUES)


@pytest.mark.parametrize(("sign", "width"), [("😀", 6), ("直", 2)])
def test_one_wide_sign_does_not_multiply_a_large_text(sign: str, width: int) -> None:
    """One wide character makes all others as wide, so a large document with one is refused; a smaller one is read."""
    size = WIDEST_TEXT // width - 16
    assert len(document(json.dumps([sign + "x" * (size - 16)], ensure_ascii=False).encode())[0]) > size - 20
    with pytest.raises(ValueError, match="too large for the signs"):
        document(json.dumps([sign + "x" * (size + 16)], ensure_ascii=False).encode())


def test_the_error_does_not_hold_the_document() -> None:
    """The error keeps a short text, not megabytes of the document."""
    with pytest.raises(ValueError, match="not a JSON document") as caught:
        document(b'"' + b"x" * MEBIBYTE)
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize("provider", sorted(all_providers()))
def test_true_answers_are_cheap_and_others_are_not(provider: str) -> None:
    """Only documents with few bytes and values are read on the event loop."""
    assert is_cheap(json.dumps({provider: {"StreamState": "active", "RequestId": "x" * 36}}).encode())
    assert not is_cheap(b" " * (CHEAP_BYTES + 1))
    assert not is_cheap(b"," * (CHEAP_VALUES + 1))


def test_an_expensive_answer_is_malformed_and_an_error_page_is_not_the_apis() -> None:
    """A page in HTML or with an error status has reason http, however many commas it has."""
    many = b"{}," * 1500
    with pytest.raises(Malformed, match="the body is a JSON document with more values than 2,000"):
        envelope(Reply(200, {}, many))
    for reply in (Reply(502, {}, many), Reply(200, {"content-type": "text/html"}, many), Reply(200, {}, b"<" + many)):
        with pytest.raises(NoEnvelope):
            envelope(reply)


def test_callbacks_and_keys_are_bounded_too() -> None:
    """Every document from outside has the limit of a single answer unless a list has its own."""
    with pytest.raises(ValueError, match="more values"):
        object_in(b'{"a":[' + b"{}," * 1500 + b"{}]}")


@pytest.mark.parametrize("provider", all_providers().values(), ids=lambda provider: provider.name)
def test_no_list_reads_more_values_than_its_page_explains(provider: AnyProvider) -> None:
    """Each cloud's lists refuse more values than a page may hold, and take more than a single answer has."""
    recorded = recorded_of(provider.name)
    account, _ = make(provider, recorded)
    is_xml = any("xml" in one["answer"] for one in recorded["exchanges"])

    def holding(count: int) -> Reply:
        body = f"<rtmp>{'<a/>' * count}</rtmp>" if is_xml else json.dumps({"a": [{}] * count})
        return Reply(200, {}, body.encode())

    for listing in (*provider.listings, *provider.figures):
        call = listing.ask(account, "app\nroom", 1)
        for count, many in ((5 * LISTED_VALUES if is_xml else LISTED_VALUES // 2 + 1, True), (MOST_VALUES + 1, False)):
            with pytest.raises((Malformed, ProviderError)) as caught:
                listing.read(account, "app\nroom", call, holding(count))
            assert bool(re.search("with more (values|objects)", str(caught.value))) is many
