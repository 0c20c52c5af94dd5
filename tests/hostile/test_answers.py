"""Any answer at all, through reading, round, board and exposition: nothing raises, nothing lies, everything parses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model import Reply, State
from exporter.providers import all_providers
from exporter.providers.interface import AnyApi, Listing
from exporter.schedule import Expectations
from tests.providers.exchanges import load
from tests.providers.facts import facts

from . import conftest
from .answers import replies, written, written_xml
from .judges import document, verdict
from .theatre import Theatre

LIVE = Expectations().at(0.0).of(("any", "stream"))
EFFORT = settings.get_profile("nightly" if conftest.NIGHTLY else "short")

Case = tuple[str, AnyApi]
SINGLE: list[Case] = [(name, provider.single) for name, provider in all_providers().items() if provider.single]
FIGURES: list[Case] = [(name, listing) for name, provider in all_providers().items() for listing in provider.figures]
LISTS: list[Case] = [(name, listing) for name, provider in all_providers().items() for listing in provider.listings]


def named(cases: list[Case]) -> list[str]:
    """Return the names of test cases."""
    return [f"{name}-{api.action}" for name, api in cases]


@cache
def true_answers(provider: str, api: AnyApi) -> st.SearchStrategy[Reply]:
    """Return answers that were made of the recorded JSON or XML answers of an API."""
    answers = [one.given["answer"] for one in load(all_providers()[provider]) if one.api is api]
    xml = [answer["xml"] for answer in answers if "xml" in answer]
    return replies(xml or [answer["json"] for answer in answers if "json" in answer], written_xml if xml else written)


@pytest.fixture(scope="module")
def theatre(request: pytest.FixtureRequest) -> Iterator[Theatre]:
    """One stream that is asked as the parameter says: (provider, API)."""
    name, api = request.param
    listed = facts()[name].lists.get(api.action) if isinstance(api, Listing) else None
    opened = Theatre(all_providers()[name], api, "list" if listed else "single", listed.fields if listed else {})
    yield opened
    opened.close()


@pytest.mark.parametrize("theatre", SINGLE, indirect=True, ids=named(SINGLE))
@given(data=st.data())
@EFFORT
def test_no_answer_for_a_stream_breaks_anything_or_is_taken_for_what_it_is_not(
    theatre: Theatre, data: st.DataObject
) -> None:
    """A state is shown only where the vendor's documentation says so; all else is unknown, counted, and harmless."""
    reply = data.draw(true_answers(theatre.provider.name, theatre.api))
    state = theatre.play(reply)
    assert state in (State.UNKNOWN, verdict(theatre.provider.name, reply))


@pytest.mark.parametrize("theatre", LISTS, indirect=True, ids=named(LISTS))
@given(data=st.data())
@EFFORT
def test_no_list_breaks_anything_or_proves_what_it_does_not(theatre: Theatre, data: st.DataObject) -> None:
    """Live only by a row with the stream's own name; gone only where the list can prove it; else unknown."""
    reply = data.draw(true_answers(theatre.provider.name, theatre.api))
    state = theatre.play(reply)
    if state is not State.UNKNOWN:
        told, listed = document(reply), facts()[theatre.provider.name].lists[theatre.api.action]
        assert told is not None
        assert reply.status == 200
        if state is State.ACTIVE:
            assert json.dumps(theatre.stream.name) in json.dumps(told)
            assert listed.live(told, theatre.stream)
        else:
            assert state in (State.INACTIVE, State.NOT_FOUND)
            assert listed.gone is not None
            assert listed.gone(told, theatre.stream)
            # Where only lists answer, a stream may stand there as one that is not live.
            assert theatre.provider.single is None or json.dumps(theatre.stream.name) not in json.dumps(told)


@pytest.mark.parametrize("theatre", FIGURES, indirect=True, ids=named(FIGURES))
@given(data=st.data())
@EFFORT
def test_no_figures_change_a_state_or_are_anything_but_figures(theatre: Theatre, data: st.DataObject) -> None:
    """A live stream stays live whatever its figures are, and those shown are of its very row, finite and sane."""
    reply = data.draw(true_answers(theatre.provider.name, theatre.api))
    assert theatre.play(reply) is State.ACTIVE
    record = theatre.record
    assert record.succeeded
    shown = record.row(theatre.now, 1e9, LIVE).figures
    if shown is None:
        return
    assert json.dumps(theatre.stream.name)[1:-1] in json.dumps(document(reply))
    numbers = [*(rate for _, rate in shown.bits), shown.frames, shown.width, shown.height]
    assert all(number is None or 0 <= number <= 1e12 for number in numbers)


@pytest.mark.parametrize("theatre", FIGURES, indirect=True, ids=named(FIGURES))
def test_figures_are_shown_here_when_they_are_told(theatre: Theatre) -> None:
    """The recorded answers give their figures here too, to the stream whose key they stand under, and only to it."""
    seen = 0
    for one in load(theatre.provider):
        if one.api is not theatre.api or "json" not in one.given["answer"] or "account" in one.given:
            continue
        assert theatre.play(one.reply) is State.ACTIVE
        assert isinstance(one.api, Listing)
        keys = one.api.keys(theatre.account, theatre.stream)
        wanted = [told for told in one.expected.get("figures", ()) if tuple(told["key"]) in keys]
        shown = theatre.record.row(theatre.now, 1e9, LIVE).figures
        assert (shown is not None) is bool(wanted), one.name
        if shown is not None:
            assert (dict(shown.bits), shown.stalled) == (wanted[0]["bits"], wanted[0].get("stalled"))
        seen += shown is not None
    assert seen == 1


@pytest.mark.parametrize("theatre", SINGLE, indirect=True, ids=named(SINGLE))
def test_the_theatre_shows_the_truth_when_it_is_told(theatre: Theatre) -> None:
    """The recorded answers give their states here too: what is proven above is proven of the real thing."""
    seen = set()
    for one in load(theatre.provider):
        if one.api is theatre.api and "json" in one.given["answer"] and "stream" not in one.given:
            state = theatre.play(one.reply)
            assert str(state) == one.expected.get("state", "unknown"), one.name
            seen.add(state)
    assert seen >= {State.ACTIVE, State.INACTIVE, State.UNKNOWN}


@pytest.mark.parametrize("theatre", LISTS, indirect=True, ids=named(LISTS))
def test_a_list_is_believed_here_when_it_is_true(theatre: Theatre) -> None:
    """What a recorded list proves of the stream, by presence or by absence, is shown here by the list alone."""
    seen = set()
    for one in load(theatre.provider):
        if one.api is theatre.api and "rows" in one.expected and "account" not in one.given:
            seen.add(theatre.play(one.reply))
    settles_absence = facts()[theatre.provider.name].lists[theatre.api.action].gone is not None
    if theatre.provider.single is None:
        assert seen >= {State.ACTIVE, State.INACTIVE}
    else:
        assert seen == {State.INACTIVE if settles_absence else State.ACTIVE, State.UNKNOWN}
