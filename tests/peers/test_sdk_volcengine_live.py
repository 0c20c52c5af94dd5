"""Volcengine's own SDK for live streams against the simulator: it signs in its own way, and reads what that says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from volcengine.live.v20230101.live_service import LiveService

from exporter.fields import Secret
from exporter.model import Credentials, Moment
from exporter.providers.interface import AnyProvider
from exporter.providers.volcengine_live.provider import PROVIDER
from exporter.simulator import Simulator, World, serving
from testbed.apis import single

KIND: AnyProvider = PROVIDER
WHERE = {"Domain": "push.example", "App": "live"}
PLENTY = {"DescribeLiveStreamState": 1000.0, "DescribeLiveStreamInfoByPage": 1000.0}


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A cloud with two accounts, one of them with temporary keys, and streams in each state."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("VOLC_ACCESSKEY", "VOLC_SECRETKEY"):
        monkeypatch.delenv(name, raising=False)
    world = World()
    world.add_account("main", "volcengine_live", quota=PLENTY, access_key_id="id", secret_access_key="key/+main")
    world.add_account(
        "sts", "volcengine_live", access_key_id="id-sts", secret_access_key="k", session_token="STS2+/a=="
    )
    for name in ("active", "inactive", "forbidden", "not_found"):
        world.add_stream(name, "main", state=name, domain="push.example", app="live")
    world.add_stream("relay", "main", vhost="space.example", app="live", ingest="pull")
    world.add_stream("visitor", "sts", domain="push.example", app="live")
    with serving(world) as running:
        yield running


def service(simulator: Simulator, key: str = "id", secret: str = "key/+main", token: str = "") -> Any:
    """Point the vendor's client at the simulator."""
    found = LiveService(host=simulator.url.removeprefix("http://"), ak=key, sk=secret)
    found.service_info.scheme = "http"
    # The constructor lets the machine's own profile win over what it was given.
    found.service_info.credentials.set_ak(key)
    found.service_info.credentials.set_sk(secret)
    found.service_info.credentials.set_session_token(token)
    return found


def ask(found: Any, action: str = "describe_live_stream_state", **query: Any) -> Any:
    """Call an action of the vendor's client, and let its connections go."""
    try:
        told = getattr(found, action)(query)
        return told if isinstance(told, dict) else json.loads(told)
    finally:
        found.session.close()


def refused(found: Any, action: str = "describe_live_stream_state", **query: Any) -> str:
    """Return the code of the error in the body that the vendor's client raises."""
    with pytest.raises(Exception, match="ResponseMetadata") as caught:
        ask(found, action, **query)
    said = caught.value.args[0]
    said = said.decode() if isinstance(said, bytes) else str(said)
    code: str = json.loads(said[said.index("{") : said.rindex("}") + 1])["ResponseMetadata"]["Error"]["Code"]
    return code


@pytest.mark.parametrize(
    ("name", "word"),
    [("active", "online"), ("inactive", "offline"), ("forbidden", "forbidden"), ("not_found", "offline")],
)
def test_the_vendors_client_reads_every_state(simulator: Simulator, name: str, word: str) -> None:
    """The vendor's client signs in its own way and learns the state of a stream."""
    answer = ask(service(simulator), **WHERE, Stream=name)
    assert answer["Result"] == {"stream_state": word, "type": "push"}
    assert (answer["ResponseMetadata"]["Service"], simulator.world.log[-1].verified) == ("live", True)


def test_a_stream_is_known_by_its_vhost_too(simulator: Simulator) -> None:
    """Either vhost or domain names a stream; both together, or none, are refused."""
    answer = ask(service(simulator), Vhost="space.example", App="live", Stream="relay")
    assert answer["Result"] == {"stream_state": "online", "type": "pull"}
    assert refused(service(simulator), App="live", Stream="relay") == "InvalidParameter"
    both = {"Vhost": "space.example", **WHERE}
    assert refused(service(simulator), **both, Stream="relay") == "InvalidParameter"


def test_the_list_has_what_is_live(simulator: Simulator) -> None:
    """One page lists the streams of all domains, pulled ones among them."""
    answer = ask(service(simulator), "describe_live_stream_info_by_page", PageNum=1, PageSize=1000)["Result"]
    assert [(row["Stream"], row["SourceType"]) for row in answer["StreamInfoList"]] == [
        ("active", "push"),
        ("relay", "relay"),
    ]
    assert answer["RoughCount"] == 2


def test_keys_are_verified(simulator: Simulator) -> None:
    """A wrong secret, an unknown key and a missing session token are refused by the gateway's codes."""
    assert refused(service(simulator, secret="wrong"), **WHERE, Stream="active") == "SignatureDoesNotMatch"
    assert refused(service(simulator, key="nobody"), **WHERE, Stream="active") == "InvalidAccessKey"
    assert refused(service(simulator, "id-sts", "k"), **WHERE, Stream="visitor") == "InvalidSecretToken"
    answer = ask(service(simulator, "id-sts", "k", "STS2+/a=="), **WHERE, Stream="visitor")
    assert answer["Result"]["stream_state"] == "online"


@pytest.mark.parametrize("token", ["", "STS2+/a=="])
def test_the_vendors_client_sends_the_same_signature(simulator: Simulator, token: str) -> None:
    """For the same call at the same second, the vendor's client and ours send the same query and signature."""
    key, secret = ("id-sts", "k") if token else ("id", "key/+main")
    found = service(simulator, key, secret, token)
    sent: list[Any] = []
    send = found.session.send

    def noted(request: Any, **options: Any) -> Any:
        sent.append(request)
        return send(request, **options)

    found.session.send = noted
    ask(found, **WHERE, Stream="visitor" if token else "active")
    (theirs,) = sent
    account = KIND.account(name="main", provider="volcengine_live", endpoint=simulator.url)
    stream = KIND.stream(name="visitor" if token else "active", account="main", domain="push.example", app="live")
    now = datetime.strptime(theirs.headers["X-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    keys = Credentials(key, Secret(secret), Secret(token) if token else None)
    ours = PROVIDER.sign(account, keys, single(PROVIDER).ask(account, stream), Moment(now, "", 0))
    assert ours.headers["Authorization"] == theirs.headers["Authorization"]
    assert sorted(ours.url.partition("?")[2].split("&")) == sorted(theirs.url.partition("?")[2].split("&"))
