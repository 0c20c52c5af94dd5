"""Every answer of the matrix gives the contracted samples, and costs nobody else anything."""

from __future__ import annotations

import pytest

from exporter.model import State
from exporter.providers import all_providers
from tests.providers.facts import Case

from .cases import CASES, LIVE
from .stage import NEIGHBOUR, VICTIM, Scraped, Stage, aimed, company, lists_only, one_hot, small_world, states


def check_stream(scraped: Scraped, provider: str, name: str, state: State) -> None:
    """Check the samples that each stream has, one scrape after it was live."""
    labels = {"provider": provider, "stream": name}
    known = state is not State.UNKNOWN
    assert scraped.value("stream_active", **labels) == (float(state is State.ACTIVE) if known else None)
    assert states(scraped, provider, name) == one_hot(state)
    assert scraped.value("stream_probe_success", **labels) == float(known)
    assert scraped.value("stream_state_changes_total", **labels) == float(known and state is not State.ACTIVE)
    assert scraped.value("stream_info", **labels, account=provider) == 1


def check_account(scraped: Scraped, case: Case) -> None:
    """Check the samples of the account whose stream is the case's."""
    labels = {"provider": case.provider, "account": case.provider}
    errors = (
        {}
        if isinstance(case.expected, State)
        else {frozenset({("code", case.expected[0]), ("reason", case.expected[1])}): 1.0}
    )
    assert scraped.all("stream_probe_errors_total", **labels) == errors
    action = all_providers()[case.provider].main.action
    together = lists_only(case.provider)
    counted = [LIVE[case.provider]] * (1 if together else 3) + [case.response] * case.calls * (
        case.response is not None
    )
    responses = {frozenset({("code", code)}): float(counted.count(code)) for code in counted if code}
    assert scraped.all("stream_provider_responses_total", **labels, action=action) == responses
    assert scraped.value("stream_provider_up", **labels) == float(not (together and errors))
    assert scraped.value("stream_streams", **labels) == 2
    assert scraped.value("stream_provider_breaker_open", **labels) == 0


def last_success(scraped: Scraped, provider: str, name: str = VICTIM) -> float:
    """Return when a stream's last definite answer came."""
    value = scraped.value("stream_last_success_timestamp_seconds", provider=provider, stream=name)
    assert value is not None
    return value


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_answer_gives_the_contracted_samples(stage: Stage, case: Case) -> None:
    """A stream was live; now it gets the answer: its samples are as contracted, and no neighbour is affected."""
    clouds = company(case.provider)
    world, victim = small_world(clouds), f"{case.provider}/{VICTIM}"
    aim = aimed(case.provider)
    before = stage.show(world, stage.accounts(clouds=clouds))
    assert set(before.all("stream_active").values()) == {1.0}
    world.log.clear()
    if case.state is not State.ACTIVE:
        world.set(victim, case.state)
    for name, value in case.quirks.items():
        setattr(world.quirks, name, value)
    fault = world.fault(**case.fault, **aim) if case.fault else None
    stage.change(stage.accounts(case.provider, clouds, timeout=case.timeout))
    scraped = stage.scrape()

    assert fault is None or fault.hits == case.calls
    assert len(world.calls(**aim)) == case.calls
    told = case.expected if isinstance(case.expected, State) else State.UNKNOWN
    check_stream(scraped, case.provider, VICTIM, told)
    kept = last_success(scraped, case.provider) == last_success(before, case.provider)
    assert kept is (told is State.UNKNOWN)
    shared = lists_only(case.provider) and told is State.UNKNOWN
    check_stream(scraped, case.provider, NEIGHBOUR, told if shared else State.ACTIVE)
    check_account(scraped, case)
    for other in set(clouds) - {case.provider}:
        for name in (VICTIM, NEIGHBOUR):
            check_stream(scraped, other, name, State.ACTIVE)
            assert last_success(scraped, other, name) > last_success(before, other, name)
        assert not scraped.all("stream_probe_errors_total", provider=other)
        assert scraped.value("stream_provider_up", provider=other, account=other) == 1


def test_the_matrix_is_large_enough_and_every_case_has_a_name() -> None:
    """At least sixty answers, each reason that an answer can have among them, none of them twice."""
    assert len(CASES) >= 60
    assert len({str(case) for case in CASES}) == len(CASES)
    reasons = {case.expected[1] for case in CASES if not isinstance(case.expected, State)}
    assert {str(reason) for reason in reasons} == {
        "auth", "account", "throttled", "bad_request", "provider_error", "timeout", "connection", "http", "malformed",
        "clock",
    }  # fmt: skip
    assert {case.expected for case in CASES if isinstance(case.expected, State)} == set(State) - {State.UNKNOWN}
