"""The forms of answers that clouds may have beside JSON with a code in it: XML, bare statuses, pages by tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from exporter.model import Account, Answer, Call, Reply, State, Stream
from exporter.providers import all_providers
from exporter.providers.document import MOST_VALUES
from exporter.providers.interface import Listing, Malformed, NoEnvelope, Page, ProviderError
from exporter.providers.reading import check_status
from exporter.providers.xml import DEEPEST, child_of, element, envelope, integer_of, is_marked, text_of
from exporter.rounds.plan import Outlook, plan
from tests.virtual import account, streams

STAT = b'<?xml version="1.0"?><rtmp><live><stream id="1"><name>a &amp; b</name></stream><stream/></live></rtmp>'
BOMB = b'<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><rtmp>&b;</rtmp>'
FILE = b'<!DOCTYPE r [<!ENTITY f SYSTEM "file:///etc/hostname">]><rtmp>&f;</rtmp>'


def test_xml_is_read() -> None:
    """Elements, attributes and texts are read, including XML's five predefined entities."""
    root = envelope(Reply(200, {}, STAT), "rtmp")
    assert [one.findtext("name") for one in root.iter("stream")] == ["a & b", None]
    assert [one.get("id") for one in root.iter("stream")] == ["1", None]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"<rtmp>", b"<rtmp/><rtmp/>", b"<rtmp>&x;</rtmp>", b"<rtmp>\xff</rtmp>", BOMB, FILE,
        b"<!DOCTYPE rtmp><rtmp/>", b'<!DOCTYPE rtmp SYSTEM "http://127.0.0.1/x.dtd"><rtmp/>',
        b"<a>" * (DEEPEST + 1) + b"</a>" * (DEEPEST + 1), b'<?xml version="1.0" encoding="made-up"?><rtmp/>',
        b"<rtmp>" + b"<a/>" * MOST_VALUES + b"</rtmp>", b"<rtmp>" + b"<" * 5 * MOST_VALUES,
    ],
)  # fmt: skip
def test_other_xml_is_refused(body: bytes) -> None:
    """Document types, entities, deep or large documents and non-XML are refused, and no error quotes them."""
    with pytest.raises(ValueError, match=r"XML document") as caught:
        element(body)
    assert caught.value.__context__ is None
    with pytest.raises(Malformed):
        envelope(Reply(200, {}, body), "rtmp")


ROW = element(b"<row><name>a</name><time>7</time><on/><full>1</full><twice/><twice/><deep><x/></deep></row>")


def test_children_are_read_strictly() -> None:
    """A child is there once or not; texts, numbers and marks are just that."""
    assert child_of(ROW, "none") is None
    assert (text_of(ROW, "name"), integer_of(ROW, "time"), is_marked(ROW, "on")) == ("a", 7, True)
    assert (text_of(ROW, "on"), is_marked(ROW, "none")) == ("", False)
    for read, tag in (
        (child_of, "twice"), (text_of, "none"), (text_of, "deep"), (integer_of, "name"), (integer_of, "on"),
        (is_marked, "full"), (is_marked, "deep"), (is_marked, "twice"),
    ):  # fmt: skip
        with pytest.raises(Malformed):
            read(ROW, tag)


def test_as_many_elements_as_allowed_are_read() -> None:
    """Attributes count like elements."""
    root = element(b'<r a="1">' + b"<b/>" * 7 + b"</r>", 9)
    assert len(root) == 7
    with pytest.raises(ValueError, match="not an XML"):
        element(b'<r a="1">' + b"<b/>" * 8 + b"</r>", 9)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(200, {}, b"<rtmp><Error>busy</Error></rtmp>"), Malformed),
        (Reply(502, {}, b"<html>busy</html>"), NoEnvelope),
        (Reply(200, {}, b"<!DOCTYPE html><html></html>"), NoEnvelope),
        (Reply(301, {}, STAT), NoEnvelope),
        (Reply(200, {"age": "5"}, STAT), NoEnvelope),
        (Reply(200, {}, b"<other/>"), Malformed),
    ],
)
def test_xml_of_somebody_else_is_no_answer(reply: Reply, error: type[Exception]) -> None:
    """Intermediaries' pages, cached answers, redirects and other documents are distinguished from broken answers."""
    with pytest.raises(error):
        envelope(reply, "rtmp")


FOREIGN = "a body that is not the API's"


@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        (200, b"<rtmp>", Malformed, "the body is not an XML document"),
        (200, b"<rtmp>" + b"<" * 9, Malformed, "the body is an XML document with more values than 2"),
        (200, b"<rtmp" + b"=" * 8 + b"/>", Malformed, "the body is an XML document with more values than 2"),
        (200, b"<rtmp" + b"=" * 7 + b"/>", Malformed, "the body is not an XML document"),
        (200, b"<rtmp><a b='1'/></rtmp>", Malformed, "the body is not an XML document"),
        (200, b"<other/>", Malformed, "the body is not the API's document, or has an error in it"),
        (200, b"<HTML></HTML>", NoEnvelope, f"HTTP 200 with {FOREIGN}"),
        (200, b" \n<html></html>", NoEnvelope, f"HTTP 200 with {FOREIGN}"),
        (200, b"<!Doctype HTML>", NoEnvelope, f"HTTP 200 with {FOREIGN}"),
        (201, b"<rtmp>", NoEnvelope, f"HTTP 201 with {FOREIGN}"),
        (404, b"<other/>", NoEnvelope, f"HTTP 404 with {FOREIGN}"),
    ],
)
def test_the_error_says_what_is_wrong_with_xml(status: int, body: bytes, error: type[Exception], text: str) -> None:
    """A page of HTML, another status, another document, a broken one and one too large are told apart in words."""
    with pytest.raises(error) as caught:
        envelope(Reply(status, {}, body), "rtmp", 2)
    assert str(caught.value) == text


def test_depth_is_how_many_elements_are_open() -> None:
    """The deepest document that is allowed is read, and neighbours are no depth; errors come in envelopes too."""
    assert element(b"<a>" * DEEPEST + b"</a>" * DEEPEST).tag == "a"
    assert len(element(b"<a>" + b"<b/>" * (2 * DEEPEST) + b"</a>")) == 2 * DEEPEST
    assert envelope(Reply(500, {}, b"<rtmp>busy</rtmp>"), "rtmp").text == "busy"
    too_deep = b"<d>" * (DEEPEST - 1) + b"</d>" * (DEEPEST - 1)
    with pytest.raises(ValueError, match="not an XML"):
        element(b"<a><b><c/>" + too_deep + b"</b></a>")


@pytest.mark.parametrize("status", [201, 400, 401, 404, 429, 500])
def test_a_bare_status_is_a_code(status: int) -> None:
    """An API without error codes reports errors by status; a proxy's page or a cached answer does not count."""
    with pytest.raises(ProviderError, match=f"^{status}$"):
        check_status(Reply(status, {}, b"not found"))
    with pytest.raises(NoEnvelope):
        check_status(Reply(status, {"content-type": "text/html"}, b"<html>"))
    with pytest.raises(NoEnvelope):
        check_status(Reply(status, {"Age": "3"}, b""))
    check_status(Reply(200, {"content-type": "application/json"}, b"[]"))


def by_tokens(every: int) -> Listing[Any, Any]:
    """Return a list that has so many streams on a page, and names the next page by a token."""

    def read(_account: Account, _scope: str, _call: Call, _reply: Reply) -> Page:
        raise NotImplementedError

    return Listing(
        action="Parade",
        limit=lambda _account: 100.0,
        scope=lambda _account, _stream: "all",
        keys=lambda _account, stream: (stream.name,),
        ask=lambda _account, scope, page: Call("Parade", "1", {"scope": scope, "page": page, "size": every}),
        ask_next=lambda _account, scope, token: Call("Parade", "1", {"scope": scope, "token": token, "size": every}),
        read=read,
        absent=Answer(State.NOT_FOUND),
    )


def paged(
    watched: list[Stream], pages: list[Page | None], how: str = "list"
) -> tuple[list[dict[str, Any]], dict[str, State], list[str]]:
    """Plan for these streams with these pages; return the list's calls, what was settled, and what is asked singly."""
    tencent, owner = all_providers()["tencent"], account(plan=how)
    provider = replace(tencent, listings=(by_tokens(2),))
    down = {stream.name for stream in watched}  # which a list is not expected to have
    steps = plan(provider, owner, watched, Outlook(0.0, dict.fromkeys(provider.apis(), 10.0), down))
    step, left = next(steps), list(pages)
    settled: dict[str, State] = {}
    calls: list[dict[str, Any]] = []
    singles: list[str] = []
    while True:
        settled |= {stream.name: answer.state for stream, answer in step.settled}
        lists = [query for query in step.ask if query.page]
        singles += [stream.name for query in step.ask if not query.page for stream in query.streams]
        calls += [dict(query.ask(owner).params) for query in lists]
        if not lists:
            return calls, settled, singles
        step = steps.send((lists[0], left.pop(0)))


def rows(*names: str, token: str = "") -> Page:
    """Return a page with these streams."""
    return Page(dict.fromkeys(names, Answer(State.ACTIVE)), token=token)


def test_pages_are_followed_by_their_tokens() -> None:
    """The first page is requested by number, each further one by token; absence counts after the last."""
    watched = streams(5)
    names = [stream.name for stream in watched]
    pages = [rows(names[0], names[1], token="t-2"), rows(names[2], names[3], token="t-3"), rows("else")]
    calls, settled, singles = paged(watched, [*pages])
    assert calls == [
        {"scope": "all", "page": 1, "size": 2},
        {"scope": "all", "token": "t-2", "size": 2},
        {"scope": "all", "token": "t-3", "size": 2},
    ]
    assert settled == {**dict.fromkeys(names[:4], State.ACTIVE), names[4]: State.NOT_FOUND}
    assert singles == []


@pytest.mark.parametrize(("how", "pages"), [("auto", 4), ("list", 10)])
def test_a_list_by_tokens_that_is_too_long_is_given_up(how: str, pages: int) -> None:
    """Nobody says how many pages follow: more are read than streams are left only where the plan is to list."""
    watched = streams(3)
    strangers = [*(rows(f"stranger-{n}", token=f"t-{n}") for n in range(9)), rows("last")]
    calls, settled, singles = paged(watched, [*strangers], how)
    assert len(calls) == pages
    absent = how == "list"
    assert settled == ({stream.name: State.NOT_FOUND for stream in watched} if absent else {})
    assert singles == ([] if absent else [stream.name for stream in watched])


def test_a_list_by_tokens_that_breaks_off_proves_no_absence() -> None:
    """After a page that fails or adds nothing new, the remaining streams get single calls."""
    watched = streams(3)
    names = [stream.name for stream in watched]
    first = rows(names[0], token="t-2")
    for second in (None, rows(names[0], token="t-2")):
        calls, settled, singles = paged(watched, [first, second])
        assert len(calls) == 2
        assert settled == {names[0]: State.ACTIVE}
        assert singles == names[1:]
