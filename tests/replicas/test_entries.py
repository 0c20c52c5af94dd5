"""What replicas tell each other: it comes out as it went in, is small, and nothing else is believed."""

from __future__ import annotations

import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import Answer, Fault, Figures, Input, Reason, State
from exporter.replicas import entries
from exporter.replicas.entries import Entry, News, Unreadable
from tests.virtual import streams

KEY = b"k" * 32
WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1, max_size=20).map(str.strip)
NUMBERS = st.floats(0, 1e9)
FIGURES = st.builds(
    Figures,
    st.lists(st.tuples(st.sampled_from(["all", "audio", "video"]), NUMBERS), max_size=2).map(tuple),
    st.none() | NUMBERS,
    st.none() | st.integers(1, 10_000),
    st.none() | st.integers(1, 10_000),
    st.none() | st.booleans(),
    st.none() | st.integers(0, 1 << 50),
    st.floats(0, 60),
)
INPUTS = st.builds(Input, WORDS, WORDS, st.sampled_from(["push", "pull"]), st.booleans())
ANSWERS = st.builds(
    Answer,
    st.sampled_from([state for state in State if state is not State.UNKNOWN]),
    st.sampled_from(["ok", "0", "41004"]),
    started=st.none() | NUMBERS,
    media=st.lists(st.tuples(st.sampled_from(["audio", "video"]), st.booleans()), max_size=2).map(tuple),
    inputs=st.none() | st.lists(INPUTS, max_size=2).map(tuple),
    ingest=st.sampled_from([None, "push", "pull"]),
    lasted=st.none(),  # the board makes `started` of it
    request_id=st.just(""),
    figures=st.none() | FIGURES,
)


def entry(news: list[News], **fields: object) -> Entry:
    """Return an entry about streams."""
    given = {"member": "m", "number": 1, "unix": 1.8e9, "time": 5000.0, **fields}
    return Entry.model_validate({**given, **entries.columns(news, 5000.0)})


@given(st.lists(st.tuples(WORDS, ANSWERS, st.floats(0, 120)), max_size=5))
def test_answers_come_out_as_they_went_in(told: list[tuple[str, Answer, float]]) -> None:
    """Every detail of an answer but the id of its call reaches the other replicas, and its time to a millisecond."""
    news = [News(name, b"abc", 5000.0 - age, *entries.told_answer(answer, "Action")) for name, answer, age in told]
    read = entries.news_of(entries.unpack(entries.pack(entry(news), KEY), [KEY]))
    assert [(one.name, one.mark, one.outcome.action) for one in read] == [(name, b"abc", "Action") for name, *_ in told]
    assert [entries.answer_of(one.outcome, one.details) for one in read] == [answer for _, answer, _ in told]
    assert [one.at for one in read] == pytest.approx([5000.0 - age for *_, age in told], abs=0.00051)


@pytest.mark.parametrize("reason", Reason)
def test_failures_come_out_as_they_went_in(reason: Reason) -> None:
    """A failure keeps its reason, its code and its message."""
    fault = Fault(reason, "Code.1", "something is wrong")
    for withheld in (False, True):
        news = [News("s", b"abc", 4990.0, entries.told_fault(fault, withheld=withheld))]
        (read,) = entries.news_of(entries.unpack(entries.pack(entry(news), KEY), [KEY]))
        assert entries.fault_of(read.outcome) == fault
        assert (read.outcome.kind == "withheld") is withheld


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda data: zlib.compress(data)))
def test_nothing_else_is_read(data: bytes) -> None:
    """Bytes that no replica wrote are refused, signed or not."""
    for made in (data, entries._signature(data, KEY) + data):
        with pytest.raises(Unreadable):
            entries.unpack(made, [KEY])


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_is_noticed(place: int, change: int) -> None:
    """An entry in which one byte is another is refused."""
    whole = bytearray(entries.pack(entry([]), KEY))
    whole[place % len(whole)] ^= change
    with pytest.raises(Unreadable):
        entries.unpack(bytes(whole), [KEY])


def test_only_the_keys_of_the_account_are_believed() -> None:
    """An entry is read with the key it was signed with, also among others, and with no other."""
    data = entries.pack(entry([]), KEY)
    assert entries.unpack(data, [b"new", KEY]).member == "m"
    for keys in ([], [b"new"], [b"new", b"old"]):
        with pytest.raises(Unreadable):
            entries.unpack(data, keys)
    one = entries.key_of({"secret": "a"}, "zego", "main")
    others = [({"secret": "b"}, "zego", "main"), ({"secret": "a"}, "zego", "b"), ({"secret": "a"}, "toy", "main")]
    assert one not in [entries.key_of(*other) for other in others]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("names", ["s", "t"]), ("marks", "YWI="), ("marks", "?"), ("ages", []), ("ages", [1.5]), ("ages", [-2000]),
        ("which", [1]), ("which", [-1]), ("number", "1"), ("unix", None), ("time", True), ("extra", 1),
        ("outcomes", [{"kind": "guess"}]), ("details", {"0": {"started": "yes"}}), ("ended", [{"tried": True}]),
    ],
)  # fmt: skip
def test_an_entry_that_breaks_its_rules_is_refused(field: str, value: object) -> None:
    """Columns of other lengths, other types, other fields and places that do not exist are refused, though signed."""
    news = [News("s", b"abc", 4990.0, *entries.told_answer(Answer(State.ACTIVE), "A"))]
    raw = json.loads(zlib.decompress(entries.pack(entry(news), KEY)[entries.SIGNATURE :]))
    packed = zlib.compress(json.dumps({**raw, field: value}).encode())
    with pytest.raises(Unreadable):
        entries.news_of(entries.unpack(entries._signature(packed, KEY) + packed, [KEY]))


@pytest.mark.parametrize("state", ["unknown", "live", ""])
def test_only_a_definite_state_is_an_answer(state: str) -> None:
    """An answer with a state that is not definite, or is none, is refused."""
    outcome, _ = entries.told_answer(Answer(State.ACTIVE), "A")
    with pytest.raises(Unreadable):
        entries.answer_of(outcome.model_copy(update={"state": state}), None)


def test_a_large_entry_is_not_unpacked() -> None:
    """A few bytes that unpack to many are refused before they fill the memory."""
    packed = zlib.compress(b" " * (entries.LARGEST + 1))
    with pytest.raises(Unreadable, match="too large"):
        entries.unpack(entries._signature(packed, KEY) + packed, [KEY])


def test_twenty_thousand_answers_are_small() -> None:
    """Twenty thousand answers, each of another millisecond, take no more than 200 KB."""
    watched = streams(20_000)
    states = (State.ACTIVE, State.INACTIVE)
    size = 0
    for start in range(0, len(watched), entries.MOST_NEWS):
        news = [
            News(one.name, entries.mark_of(one), 5000.0 - 0.0005 * place,
                 *entries.told_answer(Answer(states[place % 10 == 0]), "DescribeLiveStreamState"))
            for place, one in enumerate(watched[start : start + entries.MOST_NEWS], start)
        ]  # fmt: skip
        size += len(entries.pack(entry(news), KEY))
    assert size <= 200_000


def test_a_stream_with_another_address_has_another_mark() -> None:
    """Labels and expectations do not change a stream's mark; each field of its address does."""
    (one,) = streams(1)
    marks = [entries.mark_of(one.model_copy(update=update)) for update in ({"labels": {"a": "b"}}, {"expected": None})]
    assert marks == [entries.mark_of(one)] * 2
    for update in ({"domain": "other.example"}, {"app": "other"}, {"stream": "other"}, {"account": "other"}):
        assert entries.mark_of(one.model_copy(update=update)) != marks[0]
