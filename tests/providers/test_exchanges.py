"""What each provider is asked and answers, exchange by exchange."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from exporter.model import Moment
from exporter.providers import all_providers
from exporter.providers.interface import Page
from testbed.recorded import document

from .exchanges import MOMENT, Exchange, load

EXCHANGES = [
    pytest.param(exchange, id=f"{name}: {exchange.name}")
    for name, provider in all_providers().items()
    for exchange in load(provider)
]
OTHERWISE = {
    "now": MOMENT._replace(now=MOMENT.now + 1),
    "nonce": MOMENT._replace(nonce="f" * 32),
    "sequence": MOMENT._replace(sequence=MOMENT.sequence + 1),
}


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_an_answer_means_what_is_expected(exchange: Exchange) -> None:
    """A recorded answer is read as its state, its rows or its fault, details and code label included."""
    defaults: dict[str, Any] = {}
    if "rows" in exchange.expected:
        defaults = {"pages": 1, "complete": True, "code": "ok"}
    elif exchange.expected.get("fault") in ("http", "malformed"):
        assert set(exchange.expected) == {"fault"}
    assert exchange.judged() == defaults | exchange.expected


@pytest.mark.parametrize("exchange", [one for one in EXCHANGES if "absent" in one.values[0].given])  # type: ignore[union-attr]
def test_a_list_says_what_absence_proves(exchange: Exchange) -> None:
    """A list that tells it of each key gives the recorded state, or none where it proves nothing."""
    page = exchange.read(exchange.reply)
    assert isinstance(page, Page)
    assert page.absent is not None
    for key, state in exchange.given["absent"]:
        answer = page.absent(tuple(key))
        assert (answer and str(answer.state)) == state, key


@pytest.mark.parametrize("exchange", [one for one in EXCHANGES if "request" in one.values[0].given])  # type: ignore[union-attr]
def test_a_request_holds_what_the_vendor_wants(exchange: Exchange) -> None:
    """Method, decoded query, headers and body are exactly as recorded."""
    request, wanted = exchange.request(), exchange.given["request"]
    query = dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True))
    assert request.method == wanted["method"]
    assert wanted.get("query", {}).items() <= query.items()
    assert wanted.get("headers", {}).items() <= request.headers.items()
    if "body" in wanted:
        assert json.loads(request.body) == wanted["body"]
    absent = {name.lower() for name in wanted.get("absent", [])}
    assert absent.isdisjoint({name.lower() for name in (*query, *request.headers)})


@pytest.mark.parametrize("name", all_providers())
def test_requests_depend_on_what_is_declared_and_on_nothing_else(name: str) -> None:
    """Time, nonce and sequence each change the request only where the vendor's API uses them."""
    exchange = load(all_providers()[name])[0]

    def depends(moment: Moment) -> bool:
        return exchange.request(moment) != exchange.request()

    assert [part for part, moment in OTHERWISE.items() if depends(moment)] == document(name)["depends_on"]


@pytest.mark.parametrize("name", all_providers())
def test_the_exchanges_of_a_provider_have_names_of_their_own(name: str) -> None:
    """The names of a provider's exchanges are unique."""
    names = [exchange.name for exchange in load(all_providers()[name])]
    assert len(set(names)) == len(names)
