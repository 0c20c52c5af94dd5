"""The simulator under arbitrary input: it refuses, and never breaks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.simulator.exchange import Outgoing, Received

from .asking import alibaba_call, alibaba_rpc_call, answer, small_world, tencent_call, volcengine_call, zego_call

WORLD = small_world()
MAKERS = [
    ("zego", zego_call),
    ("tencent", tencent_call),
    ("alibaba", alibaba_call),
    ("alibaba", alibaba_rpc_call),
    ("volcengine", volcengine_call),
]
ODD = st.one_of(st.text(max_size=40), st.sampled_from(["", "0", "-1", "１", "9" * 30, "2026-01-02", ",=;/ ", "\udcff"]))
HEADERS = ["authorization", "host", "content-type", "x-date", "x-acs-date", "x-tc-timestamp", "x-tc-action"]


@pytest.mark.parametrize(("provider", "make"), MAKERS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_request_gets_an_answer(provider: str, make: object, data: st.DataObject) -> None:
    """Whatever is changed in a good request, the cloud answers in its envelope and raises nothing."""
    received: Received = make()  # type: ignore[operator]
    headers = dict(received.headers)
    for name in data.draw(st.lists(st.sampled_from(sorted({*headers, *HEADERS})), max_size=3)):
        headers[name] = data.draw(ODD)
    query = data.draw(st.one_of(st.just(received.raw_query), st.text(max_size=60), _shortened(received.raw_query)))
    body = data.draw(st.one_of(st.just(received.body), st.binary(max_size=40), st.just(b"[" * 3000)))
    method = data.draw(st.sampled_from([received.method, "GET", "POST", "PUT"]))
    changed = replace(received, headers=headers, raw_query=query, body=body, method=method)
    outgoing = answer(WORLD, provider, changed)
    assert isinstance(outgoing, Outgoing)
    assert outgoing.encode(outgoing.payload)


def _shortened(query: str) -> st.SearchStrategy[str]:
    pieces = query.split("&")
    return st.lists(st.sampled_from(pieces), max_size=len(pieces)).map("&".join) if query else st.just("")
