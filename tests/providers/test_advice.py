"""What clouds say of a configuration that they cannot serve as it is: warnings of accounts, problems of streams."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.providers import all_providers
from exporter.providers.interface import ConfigWarning

TENCENT_REGIONS = ("ap-bangkok", "ap-beijing", "ap-guangzhou", "ap-hongkong", "ap-seoul", "ap-shanghai", "ap-tokyo")
ONLY_THESE = ConfigWarning(
    "region", f"DescribeBackupStreamList is documented for {', '.join(TENCENT_REGIONS)} only", TENCENT_REGIONS
)
INTL = "https://live.intl.tencentcloudapi.com"
ONE, TWO = (
    f"{text} inputs, which only DescribeBackupStreamList reports" for text in ("1 stream expects", "2 streams expect")
)
ABSENT = "stream_inputs will be absent"


def warnings(provider: str, account: dict[str, Any], *streams: dict[str, Any]) -> list[ConfigWarning]:
    """Return what is said of an account and its streams."""
    cloud = all_providers()[provider]
    rows = [cloud.stream(**{"name": f"s{number}", "account": "main", **row}) for number, row in enumerate(streams)]
    return list(cloud.warnings(cloud.account(name="main", provider=provider, **account), rows))


@pytest.mark.parametrize(
    ("account", "inputs", "told"),
    [
        ({}, [None], []),
        ({"region": "ap-seoul"}, [None, 2], []),
        ({"region": "ap-mars"}, [None], [ONLY_THESE]),
        ({"region": "ap-mars", "endpoint": INTL}, [None], []),
        ({"region": "ap-mars"}, [1], [ONLY_THESE]),
        ({"region": "ap-mars", "plan": "single"}, [1],
         [ONLY_THESE, ConfigWarning("plan", f"{ONE}, and with plan: single it is not asked: {ABSENT}")]),
        ({"region": "ap-seoul", "plan": "single"}, [None], []),
        ({"region": "ap-seoul", "plan": "list"}, [1], []),
        ({}, [1], [ConfigWarning("region", f"{ONE}, and it needs a region, such as ap-guangzhou: {ABSENT}")]),
        ({}, [1, None, 2],
         [ConfigWarning("region", f"{TWO}, and it needs a region, such as ap-guangzhou: {ABSENT}")]),
        ({"endpoint": INTL, "region": "ap-seoul"}, [3, 4],
         [ConfigWarning("endpoint", f"{TWO}, and the international site lacks it: {ABSENT}")]),
    ],
)  # fmt: skip
def test_tencents_inputs_need_a_list_that_tells_them(
    account: dict[str, Any], inputs: list[int | None], told: list[ConfigWarning]
) -> None:
    """A region without the backup list, and expected inputs that no call will report, are told beforehand."""
    assert warnings("tencent", account, *({"domain": "d", "inputs": one} for one in inputs)) == told


def alike(*domains: str, **fields: Any) -> list[dict[str, Any]]:
    """Return streams of these ingest domains that are equal otherwise."""
    shared = {"app": "a", "stream": "s", "streaming_domain": "play.example", **fields}
    return [{"domain": domain, **shared} for domain in domains]


def confused(names: str) -> ConfigWarning:
    """Return what is said of streams that differ only by their ingest domain."""
    return ConfigWarning(
        "name",
        f"the streams {names} differ only by their ingest domain under one streaming_domain: "
        "DescribeLiveStreamsOnlineList tells them apart by PublishDomain, "
        "and where it names none they are asked singly",
    )


@pytest.mark.parametrize(
    ("streams", "told"),
    [
        ([], []),
        (alike("one"), []),
        (alike("one", "one"), []),
        (alike("one", "two"), [confused("'s0', 's1'")]),
        (alike("one", "two", stream=None), []),
        (alike("one", "two", streaming_domain=None), []),
        ([*alike("one"), *alike("two", app="b")], []),
        ([*alike("one"), *alike("two", streaming_domain="else.example")], []),
        ([*alike("one"), *alike("two", stream="t"), *alike("three")], [confused("'s0', 's2'")]),
        ([*alike("one", "two"), *alike("one", "two", app="b")], [confused("'s0', 's1'"), confused("'s2', 's3'")]),
        (alike("a", "b", "c", "d", "e"), [confused("'s0', 's1', 's2', 's3', 's4'")]),
        (alike("a", "b", "c", "d", "e", "f"), [confused("'s0', 's1', 's2', 's3', 's4' and 1 more")]),
        ([{**row, "name": "x" * 65} for row in alike("one")] + alike("two"), [confused(f"'{'x' * 63}…', 's1'")]),
    ],
)
def test_alibabas_streams_that_the_list_may_confuse_are_named(
    streams: list[dict[str, Any]], told: list[ConfigWarning]
) -> None:
    """Streams that differ by nothing but their ingest domain under one streaming domain are named, five at most."""
    assert warnings("alibaba", {}, *streams) == told


WITHOUT_APP = ("app_id", "is missing: set app_id here or at the account")
VOLCENGINE = {"name": "user", "room_id": "room", "app_id": "app"}


@pytest.mark.parametrize(
    ("account", "stream", "told"),
    [
        ({}, {}, []),
        ({"app_id": "other"}, {"app_id": None}, []),
        ({}, {"app_id": None}, [WITHOUT_APP]),
        ({}, {"name": "no user"}, ["name"]),
        ({}, {"name": "no user", "user_id": "user"}, []),
        ({}, {"app_id": None, "name": "no user"}, [WITHOUT_APP, "name"]),
        ({}, {"media_expected": ["audio", "video"]}, []),
        ({}, {"media": ["audio"], "media_expected": ["audio"]}, []),
        ({}, {"media": ["audio"], "media_expected": ["video", "audio", "screen_video"]},
         [("media_expected", "has video, screen_video, which media does not")]),
        ({}, {"media_expected": ["audio", "audio"]}, [("media_expected", "has a type twice")]),
    ],
)  # fmt: skip
def test_volcengines_streams_fit_their_account(
    account: dict[str, Any], stream: dict[str, Any], told: list[Any]
) -> None:
    """A stream needs an app of its own or its account's, a name that can be a user's, and media that it watches."""
    cloud = all_providers()["volcengine"]
    made = cloud.stream(**{"account": "main", **VOLCENGINE, **stream})
    found = cloud.problems(cloud.account(name="main", provider="volcengine", **account), made)
    assert len(found) == len(told)
    for (field, message), one in zip(found, told, strict=True):
        if isinstance(one, str):
            assert field == one
            assert message.endswith(", where it is the UserId; or give user_id")
        else:
            assert (field, message) == one
