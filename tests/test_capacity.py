"""The capacity plan: figures by hand, what the pace really lets through, and advice that helps."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.capacity import Load, Plan, Round, Timing, plan
from exporter.fields import number, spoken
from exporter.model import Account, Stream
from exporter.providers import all_providers
from exporter.rounds.pace import Pace
from tests.virtual import Network, account_prober, always, prober, run, tencent_state

PLACES: dict[str, dict[str, Any]] = {
    "zego": {},
    "tencent": {"domain": "push.example"},
    "alibaba": {"domain": "push.example", "app": "live"},
    "volcengine": {"room_id": "room", "app_id": "app"},
}


def account(provider: str, **fields: Any) -> Account:
    """Return an account of a provider."""
    needed = {"app_id": 1} if provider == "zego" else {}
    made: Account = all_providers()[provider].account(name="a", provider=provider, **needed, **fields)
    return made


def streams(provider: str, count: int, **fields: Any) -> list[Stream]:
    """Return streams of the account, at one domain or in one room."""
    kind = all_providers()[provider].stream
    return [kind(name=f"s{i}", account="a", **{**PLACES[provider], **fields}) for i in range(count)]


def planned(
    provider: str, count: int, timing: Timing | None = None, address: dict[str, Any] | None = None, **fields: Any
) -> Plan:
    """Return the plan of an account with so many streams."""
    watched = streams(provider, count, **(address or {}))
    return plan(all_providers()[provider], account(provider, **fields), watched, timing or Timing())


def calls(round_: Round) -> dict[str, int]:
    """Return the calls by action."""
    return {load.action: load.calls for load in round_.loads}


def helps(made: Plan) -> str:
    """Return all that would help."""
    return "\n".join(text for warning in made.warnings for text in warning.helps)


# --- figures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "most"), [("alibaba", 144), ("zego", 192), ("volcengine", 288), ("tencent", 1442)]
)
def test_what_fits_a_budget_of_ten_seconds(provider: str, most: int) -> None:
    """Half the documented limit, in windows of 1.04 s, fits so many single calls into 10 s; one more has to wait."""
    exactly, over = (planned(provider, count, plan="single").live for count in (most, most + 1))
    assert (exactly.rounds(Timing()), over.rounds(Timing())) == (1, 2)
    assert 9.9 < exactly.seconds <= 10.0 < over.seconds


def test_a_long_rotation_by_hand() -> None:
    """3,000 single calls at 15 in 1.04 s take 208 s; 144 fit a scrape, so a stream's turn comes at every 21st."""
    live = planned("alibaba", 3000).live
    assert live.seconds == pytest.approx(3000 / 15 * 1.04)
    assert (live.calls, live.rounds(Timing()), live.refresh(Timing())) == (3000, 21, 315.0)
    assert live.loads[0].used(Timing()) == pytest.approx(3000 / 315 / 30)


def test_a_listing_answers_for_many() -> None:
    """The plan counts a listing's pages where all streams are live, and single calls where none is."""
    made = planned("tencent", 2500)
    assert calls(made.live) == {"DescribeLiveStreamOnlineList": 1}
    assert calls(made.dark) == {"DescribeLiveStreamState": 2500}
    assert made.live.seconds == pytest.approx(1 / 40 * 1.04)
    assert calls(planned("tencent", 20_001).live) == {"DescribeLiveStreamOnlineList": 3}
    abroad = planned("tencent", 2500, endpoint="https://live.intl.tencentcloudapi.com")
    assert calls(abroad.live) == {"DescribeLiveStreamOnlineList": 25}


def test_a_list_that_is_asked_once_a_minute_refreshes_once_a_minute() -> None:
    """Tencent's online list says nothing new within a minute, so no stream is promised sooner by it."""
    live = planned("tencent", 2500).live
    assert (live.fits(Timing()), live.refresh(Timing()), live.loads[0].used(Timing())) == (
        True,
        60.0,
        1 / 60 / 80,
    )
    assert live.refresh(Timing(interval=45.0)) == 90.0
    assert planned("tencent", 2500, region="ap-guangzhou").live.refresh(Timing()) == 15.0


def test_a_list_that_comes_too_seldom_is_told_of() -> None:
    """Where answers outdate before the next list, and single calls cannot fill the gap, somebody has to know."""
    (warning, *_) = planned("tencent", 20_000, Timing(max_age=30.0)).warnings
    assert "DescribeLiveStreamOnlineList is asked every 1m at most" in warning.text
    assert warning.helps == ("scrape.max_age: 1m or more",)
    assert not any("at most" in one.text for one in planned("tencent", 20_000).warnings)


def test_a_forced_listing_is_paid_on_top() -> None:
    """With `plan: list` streams that are not live cost the listing and a single call each."""
    made = planned("tencent", 10, plan="list", region="ap-guangzhou")
    assert calls(made.dark) == {"DescribeBackupStreamList": 1, "DescribeLiveStreamState": 10}
    assert made.dark.seconds == pytest.approx(1 / 10 * 1.04 + 10 / 150 * 1.04)


def test_a_listing_and_what_follows_it_add_up() -> None:
    """Where the listing and the single calls fit a scrape each, but not both together, a second scrape is needed."""
    loads = tuple(Load(action, action == "list", 57, 10.0, 20.0) for action in ("list", "single"))
    assert [Round((load,)).rounds(Timing()) for load in loads] == [1, 1]
    both = Round(loads)
    assert both.seconds == pytest.approx(2 * 57 / 10 * 1.04)  # above the budget of 10 s, below the interval of 15 s
    assert both.rounds(Timing()) == 2


def test_an_account_without_streams_costs_nothing() -> None:
    """An idle account has a plan all the same, with no calls and no warning."""
    made = planned("zego", 0)
    assert (made.live.calls, made.live.rounds(Timing()), made.warnings) == (0, 1, ())


@pytest.mark.parametrize(("reuse", "every"), [(0.0, 15.0), (5.0, 15.0), (15.0, 30.0), (20.0, 30.0), (31.0, 45.0)])
def test_reuse_skips_scrapes(reuse: float, every: float) -> None:
    """A scrape that finds answers younger than `reuse` makes no round, so rounds come at the next scrape after it."""
    assert Timing(reuse=reuse).every == every


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0ms"), (0.0451, "46ms"), (1.0, "1s"), (10.42, "10.5s"), (59.99, "1m"), (138.9, "2m19s"), (3900.0, "1h05m")],
)
def test_seconds_are_rounded_up(seconds: float, text: str) -> None:
    """No duration is told shorter than it is."""
    assert spoken(seconds) == text


def test_numbers_for_people() -> None:
    """Rates keep the digits that matter and large counts have separators."""
    assert [number(value) for value in (0.05, 0.5, 15.0, 166.6667, 1500.0)] == ["0.05", "0.5", "15", "166.7", "1,500"]


# --- against the pace itself -----------------------------------------------------------------------------------------

SCHEDULES = st.builds(
    Timing,
    budget=st.floats(0.05, 120),
    max_age=st.floats(1, 3600),
    reuse=st.floats(0, 100),
    interval=st.floats(1, 120),
)
LOADS = st.builds(
    Load,
    action=st.just("DescribeLiveStreamState"),
    listing=st.just(False),
    calls=st.integers(1, 400),
    allowed=st.floats(0.02, 1000),
    documented=st.just(300.0),
)


@given(LOADS, SCHEDULES)
def test_never_faster_than_the_quota(load: Load, timing: Timing) -> None:
    """Neither a round nor a rotation is ever claimed to be faster than N / rate."""
    round_ = Round((load,))
    assert round_.seconds >= load.calls / load.allowed
    assert round_.refresh(timing) >= load.calls / load.allowed * (1 - 1e-9)
    assert load.used(timing) * load.documented <= load.allowed * (1 + 1e-9)


@given(LOADS, SCHEDULES)
def test_the_pace_keeps_what_is_claimed(load: Load, timing: Timing) -> None:
    """Driven round by round, the real pace lets all calls through within the number of rounds that is claimed."""
    pace, made = Pace(load.allowed), 0
    for turn in range(Round((load,)).rounds(timing)):
        now = turn * timing.every
        end = now + timing.usable
        while made < load.calls and now + pace.wait(now) <= end:
            now += pace.wait(now)
            pace.take(now)
            made += 1
    assert made == load.calls


@given(
    st.sampled_from(sorted(PLACES)),
    st.integers(1, 3000),
    st.sampled_from(["auto", "single", "list"]),
    st.floats(0.01, 1),
    SCHEDULES,
)
def test_every_plan_is_consistent(provider: str, count: int, mode: str, share: float, timing: Timing) -> None:
    """Whatever the account, a plan has calls, keeps its quota, and knows help wherever a round is too long."""
    made = planned(provider, count, timing, plan=mode, quota_share=share)
    for round_ in (made.live, made.dark):
        assert 1 <= round_.calls <= count + math.ceil(count / 100)
        assert all(load.seconds >= load.calls / load.allowed for load in round_.loads)
        assert round_.seconds >= max(load.seconds for load in round_.loads)
    slow = [warning for warning in made.warnings if "a round takes" in warning.text]
    assert made.live.fits(timing) or slow
    assert all(warning.helps for warning in slow)


def test_rates_are_those_of_the_prober() -> None:
    """The plan reckons with the rates that rounds keep to: a share of the limit, or the quota written down."""
    made = account("tencent", quota_share=0.2, quota={"DescribeBackupStreamList": 3.0}, plan="single")

    async def rates() -> dict[str, float]:
        network = Network(lambda _provider, _request: always(tencent_state("active")))
        return account_prober(prober(network, [made], []), "a").allowed_rates()

    assert all_providers()["tencent"].allowed_rates(made) == run(rates())


# --- warnings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "fields", "help_"),
    [
        ("alibaba", {}, "streaming_domain on its streams, by which DescribeLiveStreamsOnlineList"),
        ("tencent", {"plan": "single"}, "region on the account, by which DescribeBackupStreamList"),
        ("tencent", {"plan": "single"}, "plan: auto, by which a round costs 1 instead of 5,000 calls"),
        ("volcengine", {}, "18 accounts at the provider"),
    ],
)
def test_what_would_help_is_named(provider: str, fields: dict[str, Any], help_: str) -> None:
    """A round that is too long comes with the settings of that very provider that would shorten it."""
    assert help_ in helps(planned(provider, 5000, **fields))


def test_a_larger_share_is_proposed_with_its_effect() -> None:
    """The share that would suffice is worked out, and how long a round would take then."""
    made = planned("zego", 300)
    assert "quota_share: 0.8 (now 0.5), by which a round takes 9.8s" in helps(made)
    again = planned("zego", 300, quota_share=0.8)
    assert again.warnings == ()


def test_the_newer_limit_is_proposed_where_it_helps() -> None:
    """Alibaba documents 100/s by now: a round that is too long at half of the older limit is told of it."""
    assert "quota: {DescribeLiveStreamState: 50}; newer documentation allows 100/s" in helps(planned("alibaba", 500))
    assert "newer documentation" not in helps(planned("zego", 500))
    (warning,) = planned("alibaba", 10, quota={"DescribeLiveStreamState": 50.0}).warnings
    assert "above the documented limit of 30/s (newer documentation: 100/s)" in warning.text


def test_a_larger_quota_is_proposed_where_one_is_written() -> None:
    """An account with its own figure is told another figure, not a share that it does not use."""
    made = planned("zego", 300, quota={"DescribeRTCStreamState": 10.0})
    assert "quota: {DescribeRTCStreamState: 32} (now 10)" in helps(made)
    assert "quota_share" not in helps(made)


def test_longer_than_the_budget() -> None:
    """A round that is over the budget alone says so, and which budget would do."""
    (warning,) = planned("zego", 200).warnings
    assert "longer than the budget of a scrape, 10s" in warning.text
    assert "scrape.timeout: 11s" in "\n".join(warning.helps)


def test_longer_than_the_interval() -> None:
    """A round that is over the interval says how often a stream's turn comes."""
    (warning,) = planned("zego", 500).warnings
    assert "longer than the scrape interval of 15s: a stream's turn comes every 45s" in warning.text


def test_longer_than_max_age() -> None:
    """The worst consequence goes first: answers that grow too old before the next turn."""
    (warning,) = planned("alibaba", 3000).warnings
    assert "every 5m15s, but an answer counts for 2m (scrape.max_age): streams will be unknown" in warning.text
    assert "scrape.max_age: 315s" in "\n".join(warning.helps)


def test_a_list_plan_that_fails_when_all_are_down() -> None:
    """A fleet that a listing covers is warned of the hour in which none is live and each must be asked singly."""
    (warning,) = planned("tencent", 20_000).warnings
    assert warning.text.startswith("if none of its streams is live, a round takes 2m19s")


def test_a_quota_above_the_limit() -> None:
    """A written quota above what the provider documents is told, for it may be a slip."""
    made = planned("alibaba", 10, quota={"DescribeLiveStreamState": 50.0})
    assert "50/s, is above the documented limit of 30/s" in made.warnings[0].text


def test_too_few_calls_in_flight() -> None:
    """A rate that the calls in flight cannot carry is told, with the number that can."""
    made = planned("tencent", 1000, plan="single", concurrency=4)
    assert made.warnings[0].helps == ("concurrency: 15",)


def test_a_comfortable_account_has_no_warnings() -> None:
    """An account within all its limits is not nagged."""
    assert planned("volcengine", 100).warnings == ()


def test_figures_are_paid_for_after_the_round() -> None:
    """A call a minute for each domain and app, or ingest domain, and for each page; no round takes longer by it."""
    far = {"endpoint": "https://live.intl.tencentcloudapi.com"}
    cases: list[tuple[str, int, dict[str, Any], int, float]] = [
        ("tencent", 4001, {}, 2, 60.0),
        ("tencent", 5001, far, 6, 15.0),
        ("alibaba", 5001, {}, 1, 60.0),
    ]
    for provider, count, fields, wanted, every in cases:
        made = planned(provider, count, **fields)
        (load,) = made.figures
        assert (load.calls, load.refresh(Timing()), load.listing) == (wanted, every, True), provider
        without = planned(provider, count, figures=False, **fields)
        assert (without.figures, without.live, without.dark) == ((), made.live, made.dark)
    assert planned("zego", 10).figures == planned("volcengine", 10).figures == planned("tencent", 0).figures == ()


def test_a_quota_of_figures_above_the_limit_is_told_of() -> None:
    """It is a calculated risk like any other."""
    made = planned("tencent", 1, quota={"DescribeLiveStreamPushInfoList": 31})
    assert [warning.text.split(",")[0] for warning in made.warnings] == ["the quota of DescribeLiveStreamPushInfoList"]
