"""AWS's own SDK against the simulator: it signs in its own way, and reads what the fake answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from exporter.fields import Secret
from exporter.model import Credentials, Moment
from exporter.providers.interface import AnyProvider
from exporter.providers.ivs.provider import PROVIDER
from exporter.simulator import Simulator, Tricks, World, serving
from testbed.apis import single

KIND: AnyProvider = PROVIDER
ARN = "arn:aws:ivs:us-west-2:123456789012:channel/"
PLENTY = {"GetStream": 1000.0, "ListStreams": 1000.0}


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A cloud with an account with lasting keys, and one with temporary ones."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    world = World()
    main: dict[str, Any] = {"access_key_id": "AKIDMAIN", "secret_access_key": "key/+main", "region": "us-west-2"}
    sts: dict[str, Any] = {
        "access_key_id": "ASIASTS",
        "secret_access_key": "k",
        "session_token": "STS/+a==",
        "region": "us-west-2",
    }
    world.add_account("main", "ivs", quota=PLENTY, **main)
    world.add_account("sts", "ivs", **sts)
    for name, state in (("live", "active"), ("off", "inactive"), ("gone", "not_found")):
        world.add_stream(name, "main", state=state)
    world.add_stream("visitor", "sts")
    with serving(world) as running:
        yield running


def client(simulator: Simulator, key: str = "AKIDMAIN", secret: str = "key/+main", token: str | None = None) -> Any:
    """Point the vendor's client at the simulator, without its retries."""
    return boto3.client(
        "ivs",
        endpoint_url=simulator.url,
        region_name="us-west-2",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}),
    )


def refused(ask: Any, **parameters: Any) -> tuple[str, int]:
    """Return code and status of the error that the vendor's client raises."""
    with pytest.raises(ClientError) as caught:
        ask(**parameters)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_the_vendors_client_reads_a_live_channel(simulator: Simulator) -> None:
    """The vendor's client signs in its own way and learns state, health and beginning."""
    stream = client(simulator).get_stream(channelArn=f"{ARN}live")["stream"]
    assert (stream["channelArn"], stream["state"], stream["health"]) == (f"{ARN}live", "LIVE", "HEALTHY")
    assert abs(stream["startTime"].timestamp() - simulator.world.clock()) < 60
    assert simulator.world.log[-1].verified


@pytest.mark.parametrize("place", ["header", "url", "body"])
def test_the_vendors_client_tells_the_two_404_apart(simulator: Simulator, place: str) -> None:
    """Not broadcasting and not there are different errors, wherever the type of the error stands."""
    simulator.world.quirks.ivs_error_type = place
    ask = client(simulator).get_stream
    assert refused(ask, channelArn=f"{ARN}off") == ("ChannelNotBroadcasting", 404)
    assert refused(ask, channelArn=f"{ARN}gone") == ("ResourceNotFoundException", 404)
    assert refused(ask, channelArn=f"{ARN}never") == ("ResourceNotFoundException", 404)


def test_the_vendors_paginator_follows_the_tokens(simulator: Simulator) -> None:
    """The list goes on by token until no token comes; only live channels are in it."""
    for number in range(5):
        simulator.world.add_stream(f"more{number}", "main")
    found = client(simulator)
    pages = list(found.get_paginator("list_streams").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["streams"]) for page in pages] == [2, 2, 2]
    listed = [row["channelArn"].removeprefix(ARN) for page in pages for row in page["streams"]]
    assert listed == ["live", *(f"more{number}" for number in range(5))]
    simulator.world.set_tricks("ivs", Tricks(loop=True))
    first = found.list_streams(maxResults=2)
    again = found.list_streams(maxResults=2, nextToken=first["nextToken"])
    assert again["streams"] == first["streams"]
    assert again["nextToken"]


def test_keys_are_verified(simulator: Simulator) -> None:
    """A wrong secret, an unknown key and a missing session token are refused by the vendor's codes."""
    assert refused(client(simulator, secret="wrong").list_streams) == ("InvalidSignatureException", 403)
    assert refused(client(simulator, key="AKIDNOBODY").list_streams) == ("UnrecognizedClientException", 403)
    assert refused(client(simulator, "ASIASTS", "k").list_streams) == ("UnrecognizedClientException", 403)
    assert client(simulator, "ASIASTS", "k", "STS/+a==").list_streams()["streams"]


def test_throttling_and_permissions_are_seen(simulator: Simulator) -> None:
    """The sixth call of a second is throttled, and a call that is not allowed is denied."""
    now = simulator.world.clock()
    simulator.world.clock = lambda: now
    visitor = client(simulator, "ASIASTS", "k", "STS/+a==")
    for _ in range(5):
        visitor.list_streams()
    assert refused(visitor.list_streams) == ("ThrottlingException", 429)
    simulator.world.accounts["main"].denied.add("ListStreams")
    assert refused(client(simulator).list_streams) == ("AccessDeniedException", 403)


@pytest.mark.parametrize("token", [None, "STS/+a=="])
@pytest.mark.parametrize("action", ["GetStream", "ListStreams"])
def test_the_vendors_client_sends_the_same_request(simulator: Simulator, action: str, token: str | None) -> None:
    """For the same call at the same second, the vendor's client and ours send the same body and signature."""
    key, secret = ("ASIASTS", "k") if token else ("AKIDMAIN", "key/+main")
    found = client(simulator, key, secret, token)
    sent: list[Any] = []
    found.meta.events.register("before-send.ivs", lambda request, **_: sent.append(request))
    if action == "GetStream":
        with suppress(ClientError):
            found.get_stream(channelArn=f"{ARN}live")
    else:
        found.list_streams(maxResults=100)
    (theirs,) = sent
    headers = {name.lower(): text(value) for name, value in theirs.headers.items()}
    account = KIND.account(name="main", provider="ivs", region="us-west-2", endpoint=simulator.url)
    stream = KIND.stream(name="live", account="main", channel_arn=f"{ARN}live")
    now = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    calls = {"GetStream": single(PROVIDER).ask(account, stream)}
    calls["ListStreams"] = PROVIDER.listings[0].ask(account, "us-west-2", 1)
    keys = Credentials(key, Secret(secret), Secret(token) if token else None)
    ours = PROVIDER.sign(account, keys, calls[action], Moment(now, "", 0))
    assert (ours.method, ours.url, ours.body) == (theirs.method, theirs.url, theirs.body)
    assert ours.headers["Authorization"] == headers["authorization"]


def text(value: str | bytes) -> str:
    """Return a header's value, which the vendor's client keeps as text or bytes."""
    return value.decode() if isinstance(value, bytes) else value
