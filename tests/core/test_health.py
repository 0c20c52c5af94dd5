"""Whether an account answers, judged round by round."""

from __future__ import annotations

from collections.abc import Hashable

import pytest

from exporter.model import Fault, Reason
from exporter.rounds.health import UNPROBED, Health, Result
from exporter.rounds.pace import Breaker

TIMEOUT = Fault(Reason.TIMEOUT, "timeout")
AUTH = Fault(Reason.AUTH, "auth")


def result(
    fault: Fault | None = None, *, definite: bool = False, good: bool = False, alone: Hashable | None = None
) -> Result:
    """Return a round that tried."""
    return Result(True, good, definite, alone, fault, 0.5, {})


def test_what_is_wrong_is_news_once() -> None:
    """A reason is news when it comes, changes or goes; what one of many calls met is none beside a definite answer."""
    health, again = Health(), Fault(Reason.TIMEOUT, "timeout", "another one")
    story = [
        (result(definite=True, good=True), False, True, None),
        (result(TIMEOUT), True, False, TIMEOUT),
        (result(again), False, False, TIMEOUT),
        (result(AUTH), True, False, AUTH),
        (result(TIMEOUT, definite=True, good=True), True, True, None),
        (result(TIMEOUT, definite=True, good=True), False, True, None),
        (result(AUTH), True, False, AUTH),
        (result(good=True), True, False, None),
    ]
    for number, (one, news, up, fault) in enumerate(story):
        assert (health.learn(one), health.up, health.fault) == (news, up, fault), number


def test_a_round_that_did_not_try_tells_nothing_of_the_account() -> None:
    """Its duration and the streams that it left out are known; what was known of the account stays."""
    health = Health()
    assert (health.up, dict(health.unprobed)) == (None, dict.fromkeys(UNPROBED, 0))
    health.learn(result(AUTH))
    left_out = {"quota": 2, "deadline": 0, "breaker": 1}
    assert health.learn(Result(False, False, False, None, None, 0.25, left_out)) is False
    assert (health.up, health.fault, health.round_seconds, health.unprobed) == (False, AUTH, 0.25, left_out)


ROUNDS = {"a": result(TIMEOUT, alone="a"), "b": result(TIMEOUT, alone="b"), "*": result(TIMEOUT)}


@pytest.mark.parametrize(
    ("rounds", "opens"),
    [("**", ".o"), ("*a", ".o"), ("a*", ".o"), ("ab", ".o"), ("aaaa", "...."), ("a+ab", "...o"), ("+*", "..")],
)
def test_one_stream_that_fails_again_and_again_counts_once(rounds: str, opens: str) -> None:
    """Bad rounds in a row about one stream count once, all others each; after an answer, counting begins anew."""
    health, seen = Health(Breaker(2)), ""
    for one in rounds:
        if one == "+":
            assert health.met(None)
        health.learn(ROUNDS.get(one, result(definite=True, good=True, alone="a")))
        seen += "o" if health.breaker.open else "."
    assert seen == opens


@pytest.mark.parametrize("reason", Reason)
def test_what_only_one_stream_meets_shows_that_the_account_works(reason: Reason) -> None:
    """A bad request, and a bug of ours, speak of one stream: they close the breaker as an answer does."""
    health, alone = Health(Breaker(1)), reason in (Reason.BAD_REQUEST, Reason.BUG)
    health.learn(result(TIMEOUT))
    assert health.met(Fault(reason, "code")) is alone
    assert health.breaker.open is not alone
