"""What concerns a whole account: its keys, its quota, its clock, its reachability, and what is kept across failures."""

from __future__ import annotations

import socket

import pytest

from exporter.model import State
from exporter.providers import all_providers
from tests.providers.kinds import one_of_each_kind

from .cases import EXPIRED, FACTS, PROVIDERS, THROTTLING
from .stage import (
    NEIGHBOUR,
    VICTIM,
    Scraped,
    Stage,
    account,
    aimed,
    company,
    lists_only,
    one_hot,
    small_world,
    states,
    stream,
)

WRONG_SECRET = {
    "zego": ("server_secret", "100000005"),
    "tencent": ("secret_key", "AuthFailure.SignatureFailure"),
    "alibaba": ("access_key_secret", "SignatureDoesNotMatch"),
    "volcengine": ("secret_access_key", "SignatureDoesNotMatch"),
    "livekit": ("api_secret", "unauthenticated"),
    "mediamtx": ("password", "401"),
    "srs": ("password", "401"),
    "nginx_rtmp": ("password", "401"),
}
UNKNOWN_KEY = {
    "tencent": ("secret_id", "AuthFailure.SecretIdNotFound"),
    "alibaba": ("access_key_id", "InvalidAccessKeyId.NotFound"),
    "volcengine": ("access_key_id", "InvalidAccessKey"),
    "livekit": ("api_key", "unauthenticated"),
    "mediamtx": ("username", "401"),
    "srs": ("username", "401"),
    "nginx_rtmp": ("username", "401"),
}
WRONG_TOKEN = {
    "tencent": ("token", "AuthFailure.TokenFailure"),
    "alibaba": ("security_token", "InvalidSecurityToken.MismatchWithAccessKey"),
    "volcengine": ("session_token", "InvalidSecretToken"),
    "mediamtx": ("token", "401"),
    "srs": ("token", "401"),
}
REFUSED = [
    pytest.param(provider, field, code, id=f"{provider}: {what}")
    for what, table in (("wrong secret", WRONG_SECRET), ("unknown key", UNKNOWN_KEY), ("wrong token", WRONG_TOKEN))
    for provider, (field, code) in table.items()
]


def shown(scraped: Scraped, provider: str) -> set[float | None]:
    """Return what the two streams of an account show as `stream_active`."""
    return {scraped.value("stream_active", provider=provider, stream=name) for name in (VICTIM, NEIGHBOUR)}


def check_dead(scraped: Scraped, provider: str, code: str, reason: str) -> None:
    """Check that an account knows nothing for one reason, and that all others know all."""
    labels = {"provider": provider, "account": provider}
    assert shown(scraped, provider) == {None}
    errors = scraped.all("stream_probe_errors_total", **labels)
    assert errors == {frozenset({("code", code), ("reason", reason)}): 1.0 if lists_only(provider) else 2.0}
    assert scraped.value("stream_provider_up", **labels) == 0
    for name in (VICTIM, NEIGHBOUR):
        assert states(scraped, provider, name) == one_hot(State.UNKNOWN)
        assert scraped.value("stream_probe_success", provider=provider, stream=name) == 0
    for other in set(company(provider)) - {provider}:
        assert shown(scraped, other) == {1.0}
        assert scraped.value("stream_provider_up", provider=other, account=other) == 1


@pytest.mark.parametrize(("provider", "field", "code"), REFUSED)
def test_a_refused_key_is_told_by_the_vendors_code(stage: Stage, provider: str, field: str, code: str) -> None:
    """A wrong secret, an unknown key and a wrong token are reason auth, for that account alone."""
    clouds = company(provider)
    world, accounts = small_world(clouds), stage.accounts(provider, clouds, **{field: "wrong-one"})
    check_dead(stage.show(world, accounts), provider, code, "auth")
    assert not any(call.verified for call in world.calls(provider=provider))


@pytest.mark.parametrize("provider", EXPIRED)
@pytest.mark.parametrize("hours", [-1.0, 1.0])
def test_a_clock_that_is_wrong_is_told_and_measured(stage: Stage, provider: str, hours: float) -> None:
    """An hour's skew is reason clock, and the gauge says how far and in which direction the clocks differ."""
    clouds = company(provider)
    world = small_world(clouds)
    world.fault("skew", provider=provider, seconds=3600 * hours)
    scraped = stage.show(world, stage.accounts(clouds=clouds))
    check_dead(scraped, provider, EXPIRED[provider], "clock")
    for name in clouds:
        expected = 3600 * hours if name == provider else 0.0
        assert scraped.value("stream_provider_clock_skew_seconds", provider=name, account=name) == pytest.approx(
            expected, abs=5
        )


@pytest.mark.parametrize("provider", one_of_each_kind())
def test_an_endpoint_that_refuses_is_a_connection_fault(stage: Stage, provider: str) -> None:
    """Nobody listening takes away one account's streams, and the others do not notice."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        clouds = company(provider)
        accounts = [account(name, endpoint if name == provider else stage.endpoint) for name in clouds]
        check_dead(stage.show(small_world(clouds), accounts), provider, "connection", "connection")


# Where one call answers for all streams, the matrix shows it throttled.
@pytest.mark.parametrize("provider", [name for name in THROTTLING if not lists_only(name)])
def test_throttling_by_the_clouds_own_count_takes_only_what_is_above_it(stage: Stage, provider: str) -> None:
    """Where a cloud allows less than we believe, its refusals are counted as throttled and our rate is halved."""
    world = small_world([provider])
    action = all_providers()[provider].main.action
    world.accounts[provider].quota[action] = 1.0
    scraped = stage.show(world, stage.accounts(clouds=[provider]))
    labels = {"provider": provider, "account": provider}
    errors = scraped.all("stream_probe_errors_total", **labels)
    assert errors == {frozenset({("code", THROTTLING[provider]), ("reason", "throttled")}): 1.0}
    assert sorted(shown(scraped, provider), key=str) == [1.0, None]
    assert scraped.value("stream_provider_quota_per_second", **labels, action=action) == 500_000
    assert scraped.value("stream_provider_up", **labels) == 1


@pytest.mark.parametrize("provider", one_of_each_kind())
def test_a_failure_withdraws_the_value_and_keeps_the_last_success(stage: Stage, provider: str) -> None:
    """Live, then no answer, then down: 1, absent, 0; the time of the last answer stays, and one change is counted."""
    world, labels = small_world([provider]), {"provider": provider, "stream": VICTIM}
    seen = [stage.show(world, stage.accounts(clouds=[provider]))]
    broken = world.fault("text", **aimed(provider))
    seen.append(stage.scrape())
    world.clear(broken)
    world.set(f"{provider}/{VICTIM}", State.INACTIVE)
    seen.append(stage.scrape())
    assert [scraped.value("stream_active", **labels) for scraped in seen] == [1.0, None, 0.0]
    assert [scraped.value("stream_probe_success", **labels) for scraped in seen] == [1.0, 0.0, 1.0]
    first, second, third = (scraped.value("stream_last_success_timestamp_seconds", **labels) for scraped in seen)
    assert first is not None
    assert third is not None
    assert first == second
    assert first < third
    assert [scraped.value("stream_state_changes_total", **labels) for scraped in seen] == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if FACTS[name].unlisted])
def test_invented_codes_make_one_series(stage: Stage, provider: str) -> None:
    """However many codes a cloud makes up, `other` is the only new label value, once for each reason."""
    world = small_world([provider])
    scraped = stage.show(world, stage.accounts(clouds=[provider]))
    for number in range(20):
        fault = world.fault("code", **aimed(provider), code=FACTS[provider].invented(number))
        scraped = stage.scrape()
        world.clear(fault)
    errors = scraped.all("stream_probe_errors_total", provider=provider, account=provider)
    assert {dict(labels)["code"] for labels in errors} == {"other"}
    assert sum(errors.values()) == 20
    assert len(errors) == 1


def test_a_stream_that_nobody_asked_yet_is_unknown(stage: Stage) -> None:
    """Without time for a single call every watched stream is there, unknown, and nothing is counted as a failure."""
    scraped = stage.show(small_world(), stage.accounts(), seconds=-1.0)
    for provider in PROVIDERS:
        assert shown(scraped, provider) == {None}
        assert states(scraped, provider, VICTIM) == one_hot(State.UNKNOWN)
        assert scraped.value("stream_probe_success", provider=provider, stream=VICTIM) == 0
        assert scraped.value("stream_provider_up", provider=provider, account=provider) is None
    assert not scraped.all("stream_probe_errors_total")


def test_details_are_shown_where_a_cloud_tells_them(stage: Stage) -> None:
    """Start, ingest type and each medium come with the state, and go with it."""
    world = small_world()
    world.set("volcengine/victim", media=("ScreenVideo",))
    world.set("alibaba/victim", ingest="pull")
    scraped = stage.show(world, stage.accounts())
    began = scraped.value("stream_start_timestamp_seconds", provider="zego", stream=VICTIM)
    assert began == pytest.approx(world.streams["zego/victim"].script.since, abs=1)
    assert scraped.value("stream_ingest_info", provider="alibaba", stream=VICTIM, type="pull") == 1
    media = scraped.all("stream_media_active", provider="volcengine", stream=VICTIM)
    assert {dict(labels)["media"]: value for labels, value in media.items()} == {
        "audio": 0, "video": 0, "screen_audio": 0, "screen_video": 1,
    }  # fmt: skip
    for name in PROVIDERS:
        world.fault("text", **aimed(name))
    scraped = stage.scrape()
    for name in ("stream_start_timestamp_seconds", "stream_ingest_info", "stream_media_active"):
        assert not any(("stream", VICTIM) in labels for labels in scraped.all(name))


def test_only_watched_media_count(stage: Stage) -> None:
    """A user who publishes only what is not watched is not live, though each medium is shown."""
    world = small_world()
    world.set("volcengine/victim", media=("Audio",))
    watched = [stream("volcengine", VICTIM, media=["video"]), stream("volcengine", NEIGHBOUR)]
    scraped = stage.show(world, stage.accounts(), watched)
    assert scraped.value("stream_active", provider="volcengine", stream=VICTIM) == 0
    assert scraped.value("stream_media_active", provider="volcengine", stream=VICTIM, media="audio") == 1
