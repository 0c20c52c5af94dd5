"""Callbacks whose signature is right and whose content is anything: three of the signatures do not cover it."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.providers import all_providers
from exporter.providers.interface import END_REASONS, AnyProvider, Event, Refused
from testbed.recorded import document, make
from tests.providers.facts import Called, facts

from . import conftest
from .answers import JUNK, TEXT, WORDS

EFFORT = settings.get_profile("nightly" if conftest.NIGHTLY else "short")
KEY, NOW = "key", 1_800_000_000
EVENTS = st.sampled_from(["stream_create", "stream_close", 0, 1, "0", "1", "publish", "publish_done", 321])


CALLING = [pytest.param(one, id=name) for name, one in all_providers().items() if one.callbacks]


def called(provider: AnyProvider) -> Called:
    """Return how a cloud calls back."""
    known = facts()[provider.name].callback
    assert known is not None, f"tests/providers/{provider.name}/facts.py lacks its callback"
    return known


@cache
def contents(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    """Return anything in which some of these fields stand."""
    return st.dictionaries(st.sampled_from(names) | TEXT, EVENTS | JUNK | WORDS, max_size=8)


@pytest.mark.parametrize("provider", CALLING)
@given(data=st.data(), form=st.integers(0, 2))
@EFFORT
def test_a_signed_callback_with_any_content_is_a_hint_or_refused(
    provider: AnyProvider, data: st.DataObject, form: int
) -> None:
    """Nothing raises; what it says is of closed sets, can be remembered, and does not come from the future."""
    hooks = provider.callbacks
    assert hooks is not None
    account, _ = make(provider, document(provider.name))
    known = called(provider)
    fields = data.draw(contents(known.names))
    try:
        event = hooks.verify(account, KEY, known.sign(account, fields, KEY, NOW, form), float(NOW))
    except Refused:
        return
    assert isinstance(event, Event)
    assert event.end_reason is None or (event.end_reason in END_REASONS and event.live is False)
    assert len(event.event) < 40
    assert isinstance(hash((event.identity, event.keys, event.session)), int)
    assert 0 <= event.at <= event.sent <= NOW + 600
    assert event.order == event.order


@pytest.mark.parametrize("provider", CALLING)
def test_a_plain_signed_callback_is_heard(provider: AnyProvider) -> None:
    """The signatures made here are right: what is refused above is refused for its content."""
    hooks = provider.callbacks
    assert hooks is not None
    account, _ = make(provider, document(provider.name))
    known = called(provider)
    event = hooks.verify(account, KEY, known.sign(account, dict(known.plain), KEY, NOW, 0), float(NOW))
    assert event.live is True
    assert event.keys
