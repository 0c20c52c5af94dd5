"""ZEGO has no SDK on the registry: a client written from the documented algorithm alone stands in for it."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from exporter.simulator import Simulator, World, serving
from testbed.web import opened

APP, SECRET = 1234567890, "1234567890abcdef1234567890abcdef"
TEST_APP, TEST_SECRET = 4294967295, "fedcba0987654321fedcba0987654321"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A cloud with a production app and a test app, and one stream in each state."""
    world = World()
    world.add_account("main", "zego", app_id=APP, server_secret=SECRET)
    world.add_account("test", "zego", app_id=TEST_APP, server_secret=TEST_SECRET, is_test=True)
    world.add_account("anchor", "zego", app_id=12345, server_secret="9193cc662a4c0ec135ec71fb57194b38")
    for state in ("active", "inactive", "forbidden", "not_found"):
        world.add_stream(state, "main", state=state)
    world.add_stream("canary", "test")
    with serving(world) as running:
        yield running


def signature(app: int, nonce: str, secret: str, timestamp: int) -> str:
    """Compute the documented digest, without any code of the project."""
    return hashlib.md5((str(app) + nonce + secret + str(timestamp)).encode()).hexdigest()


def ask(simulator: Simulator, action: str = "DescribeRTCStreamState", **parameters: Any) -> Any:
    """Call an action as the documentation's quick start does; parameters override the common ones."""
    app, secret = parameters.pop("app", APP), parameters.pop("secret", SECRET)
    nonce, now = parameters.get("SignatureNonce", secrets.token_hex(8)), parameters.get("Timestamp", int(time.time()))
    query = {
        "Action": action,
        "AppId": app,
        "SignatureNonce": nonce,
        "Timestamp": now,
        "Signature": signature(app, nonce, secret, now),
        "SignatureVersion": "2.0",
        "Sequence": time.time_ns(),
        **parameters,
    }
    with opened(f"{simulator.url}/?{urlencode(query)}", timeout=5) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/json"
        return json.load(answer)


@pytest.mark.parametrize(
    ("stream_id", "code"),
    [("active", 0), ("inactive", 41006), ("forbidden", 41006), ("not_found", 41004), ("nobody", 41004)],
)
def test_every_state_has_its_code(simulator: Simulator, stream_id: str, code: int) -> None:
    """A client by the book gets the documented code, and for a live stream the documented times as texts."""
    answer = ask(simulator, StreamId=stream_id)
    assert answer["Code"] == code
    assert answer["RequestId"].isdigit()
    if code == 0:
        assert answer["Data"]["create_time"].isdigit()
        assert answer["Data"]["close_time"] == ""


def test_the_published_example_is_accepted(simulator: Simulator) -> None:
    """The digest printed in the vendor's documentation passes the verifier, so both mean the same algorithm."""
    simulator.world.clock = lambda: 1615186943.0
    printed = "43e5cfcca828314675f91b001390566a"
    answer = ask(
        simulator,
        app=12345,
        StreamId="nobody",
        SignatureNonce="4fd24687296dd9f3",
        Timestamp=1615186943,
        Signature=printed,
    )
    assert answer["Code"] == 41004
    assert simulator.world.log[-1].verified


def test_without_the_history_permission_ended_streams_do_not_exist(simulator: Simulator) -> None:
    """Accounts that do not pay for history get 41004 where others get 41006."""
    simulator.world.quirks.zego_history = False
    assert ask(simulator, StreamId="inactive")["Code"] == 41004


def test_a_wrong_secret_or_app_is_refused(simulator: Simulator) -> None:
    """A wrong secret, an unknown app and an old timestamp get the gateway's codes."""
    assert ask(simulator, StreamId="active", secret="wrong")["Code"] == 100000005
    assert ask(simulator, StreamId="active", app=1)["Code"] == 100000010
    assert ask(simulator, StreamId="active", Timestamp=int(time.time()) - 601)["Code"] == 100000004


def test_sequence_must_grow(simulator: Simulator) -> None:
    """For one StreamId the Sequence must grow within ten seconds; afterwards it may begin anew."""
    now = [time.time()]
    simulator.world.clock = lambda: now[0]
    assert ask(simulator, StreamId="active", Sequence=10)["Code"] == 0
    assert ask(simulator, StreamId="active", Sequence=10)["Code"] == 2
    assert ask(simulator, StreamId="inactive", Sequence=10)["Code"] == 41006
    now[0] += 10
    assert ask(simulator, StreamId="active", Sequence=1)["Code"] == 0


def test_the_test_environment_wants_its_prefix(simulator: Simulator) -> None:
    """A test project needs IsTest=true and the documented prefix, and has no production environment."""
    common: dict[str, Any] = {"app": TEST_APP, "secret": TEST_SECRET}
    assert ask(simulator, StreamId=f"zegotest-{TEST_APP}-canary", IsTest="true", **common)["Code"] == 0
    assert ask(simulator, StreamId="canary", IsTest="true", **common)["Code"] == 30009
    assert ask(simulator, StreamId="canary", **common)["Code"] == 100000016
    assert ask(simulator, StreamId="active", IsTest="true")["Code"] == 30004


def test_throttling_is_seen(simulator: Simulator) -> None:
    """The 41st call within a second gets the documented code, and the call after that second none."""
    now = [time.time()]
    simulator.world.clock = lambda: now[0]
    codes = [ask(simulator, StreamId="active")["Code"] for _ in range(41)]
    assert codes == [0] * 40 + [30002]
    now[0] += 1.0
    assert ask(simulator, StreamId="active")["Code"] == 0
