"""The fake ZEGO: the gateway's codes in the order of its checks, and the doubts that are switches."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.simulator import World
from exporter.simulator.providers import quirks

from .asking import NOW, answer, small_world, zego_call


def code(world: World, **changed: Any) -> str:
    """Return the code of one call."""
    return answer(world, "zego", zego_call(**changed)).code


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "0"),
        ({"Action": ""}, "100000006"),
        ({"Action": "StartMix"}, "100000007"),
        ({"AppId": "x"}, "100000001"),
        ({"AppId": 4294967296}, "100000001"),
        ({"Timestamp": None}, "100000002"),
        ({"Timestamp": "1.5"}, "100000003"),
        ({"SignatureNonce": ""}, "100000008"),
        ({"Signature": None}, "100000009"),
        ({"SignatureVersion": None}, "100000013"),
        ({"SignatureVersion": "1.0"}, "100000014"),
        ({"AppId": 78}, "100000010"),
        ({"Timestamp": int(NOW) - 601}, "100000004"),
        ({"Timestamp": int(NOW) + 601}, "100000004"),
        ({"secret": "wrong"}, "100000005"),
        ({"Signature": "é"}, "100000005"),
        ({"IsTest": "yes"}, "30004"),
        ({"IsTest": "true"}, "30004"),
        ({"IsTest": "false"}, "0"),
        ({"StreamId": None}, "30009"),
        ({"StreamId": "a b"}, "30009"),
        ({"StreamId": "x" * 257}, "30009"),
        ({"Sequence": None}, "2"),
        ({"Sequence": "newest"}, "2"),
    ],
)
def test_each_check_has_its_code(changed: dict[str, Any], expected: str) -> None:
    """A call that is wrong in one way gets the documented code of exactly that."""
    assert code(small_world(), **changed) == expected


def test_earlier_checks_win() -> None:
    """Of several mistakes the first check answers, so that a client without a right key learns nothing more."""
    world = small_world()
    assert code(world, AppId=78, secret="wrong", StreamId="a b") == "100000010"
    assert code(world, secret="wrong", StreamId="a b") == "100000005"
    assert [call.verified for call in world.log] == [False, False]


def test_a_service_that_is_off_is_refused() -> None:
    """An action that the account may not call gets the code of a service that is not enabled."""
    world = small_world()
    world.accounts["z"].denied.add("DescribeRTCStreamState")
    assert code(world) == "100000017"


@pytest.mark.parametrize(
    ("quirk", "present", "value"),
    [
        ("empty", True, {}),
        ("null", True, None),
        ("missing", False, None),
        ("times", True, {"create_time": str(int(NOW)), "close_time": str(int(NOW))}),
    ],
)
def test_data_on_failures_is_a_switch(quirk: Any, present: bool, value: Any) -> None:
    """Whether and how Data comes with a Code other than 0 is not documented, so each way can be chosen."""
    world = small_world()
    world.quirks = quirks()(zego_data=quirk)
    payload = answer(world, "zego", zego_call(StreamId="inactive")).payload
    assert (payload["Code"], "Data" in payload, payload.get("Data")) == (41006, present, value)


def test_names_that_older_sdks_allowed_are_answered() -> None:
    """A stream that exists under a name of other characters is found under it."""
    world = small_world()
    world.add_stream("old", "z", stream_id="直播 1")
    assert code(world, StreamId="直播 1") == "0"
    assert code(world, StreamId="直播 2") == "30009"


def test_the_test_environment_is_slower() -> None:
    """A test project may ask ten times a second, a production project forty."""
    world = small_world()
    world.accounts["z"].fields["is_test"] = True
    asked = {"StreamId": "zegotest-77-active", "IsTest": "true"}
    assert [code(world, **asked) for _ in range(11)] == ["0"] * 10 + ["30002"]
