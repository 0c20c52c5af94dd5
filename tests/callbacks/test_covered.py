"""LiveKit's webhooks: what is verified of them, and what they say."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from exporter.commands.serve import Loader
from exporter.fields import Secret, SecretSource
from exporter.model import Account
from exporter.providers import all_providers, jwt
from exporter.providers.interface import Callback, Event, Refused

SECRET, NOW = "secret-of-the-key", 1_800_000_000
PERSON = {"sid": "PA_1", "identity": "caster"}
BODY = {"event": "track_published", "room": {"name": "stage"}, "participant": PERSON, "createdAt": str(NOW - 1)}
PROVIDER = all_providers()["livekit"]


def account(key: str | None = "key") -> Account:
    """Return an account whose key is in the configuration itself, or elsewhere."""
    source = SecretSource.plain(key) if key else SecretSource("env", "LIVEKIT_API_KEY")
    made: Account = PROVIDER.account(name="main", provider="livekit", endpoint="http://livekit.example", api_key=source)
    return made


def callback(body: Any, token: str | None = None, **claims: Any) -> Callback:
    """Return a webhook; claims that are None are left out."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    digest = base64.b64encode(sha256(data).digest()).decode()
    whole = {"iss": "key", "nbf": NOW, "exp": NOW + 300, "sha256": digest, **claims}
    made = jwt.encode({name: value for name, value in whole.items() if value is not None}, SECRET)
    return Callback("POST", "host", {"authorization": made if token is None else token}, {}, data)


def hear(one: Callback, now: float = NOW, key: str | None = "key") -> Event:
    """Verify a callback."""
    assert PROVIDER.callbacks is not None
    return PROVIDER.callbacks.verify(account(key), SECRET, one, now)


@pytest.mark.parametrize(
    "one",
    [
        callback(BODY, sha256=None),
        callback(BODY, sha256=None, video={"roomJoin": True, "room": "stage"}),
        callback(BODY, sha256=""),
        callback(BODY, sha256=base64.b64encode(sha256(b"another body").digest()).decode()),
        replace(callback(BODY), body=b"{}"),
        callback(BODY, iss=None),
        callback(BODY, iss="another-key"),
        callback(BODY, nbf=None),
        callback(BODY, exp=None),
        callback(BODY, nbf="soon"),
        callback(BODY, token=f"Bearer {jwt.encode({}, SECRET)}"),
        callback(BODY, token=""),
        callback(b"no JSON"),
        callback([BODY]),
        callback({**BODY, "room": "stage"}),
    ],
)  # fmt: skip
def test_what_is_not_covered_is_forged(one: Callback) -> None:
    """A user's token for a room has the same key; without the body's digest, or with another, it proves nothing."""
    with pytest.raises(Refused, match="forged"):
        hear(one)


@pytest.mark.parametrize(("now", "claims"), [
    (NOW - 61, {}), (NOW + 361, {}), (NOW + 601, {"exp": NOW + 10**6}), (NOW + 30, {"exp": NOW - 31}),
])  # fmt: skip
def test_the_time_of_a_token_counts(now: float, claims: dict[str, Any]) -> None:
    """Too early, too late, or valid for longer than is remembered; a minute's difference of clocks is allowed."""
    with pytest.raises(Refused, match="expired") as refused:
        hear(callback(BODY, **claims), now)
    assert refused.value.event == "track_published"
    assert hear(callback(BODY), NOW - 60).sent == hear(callback(BODY), NOW + 360).sent == NOW


def test_a_key_from_elsewhere_is_not_compared() -> None:
    """Where the configuration names a file or a variable, the signature alone says whose it is."""
    assert hear(callback(BODY, iss="any"), key=None).event == "track_published"


@pytest.mark.parametrize("fields", ["", ", api_secret: from-the-file", ", api_secret_env: LIVEKIT_API_SECRET"])
def test_they_are_received_wherever_the_key_comes_from(fields: str, tmp_path: Path) -> None:
    """The key of calls verifies callbacks, so no other has to be set; one of the vendor's variables does, too."""
    text = f"{{name: main, provider: livekit, endpoint: 'http://livekit.example', api_key: key{fields}}}"
    (tmp_path / "config.yml").write_text(f"accounts: [{text}]", encoding="utf-8")
    load = Loader(tmp_path / "config.yml", all_providers(), {"LIVEKIT_API_SECRET": "from-the-environment"})
    (account,) = load().accounts
    found = "from-the-file" if "file" in fields else "from-the-environment"
    assert load.callback_secret(PROVIDER, account) == Secret(found)


LEAVING: dict[str, Any] = {"room": {"name": "stage"}, "participant": {**PERSON, "isPublisher": True}}


@pytest.mark.parametrize(
    ("body", "live", "keys", "end"),
    [
        ({}, True, (("stage", "caster"),), None),
        ({"event": "track_unpublished"}, False, (("stage", "caster"),), None),
        ({"event": "participant_left"}, False, (("stage", "caster"),), None),
        ({"event": "participant_left", **LEAVING}, False, (("stage", "caster"),), "unknown"),
        ({"event": "participant_joined"}, None, (), None),
        ({"event": "room_finished", "participant": None}, None, (), None),
        ({"event": "egress_started"}, None, (), None),
        ({"event": "ingress_started", "ingressInfo": {"ingressId": "IN_1"}}, True, (("", "IN_1"),), None),
        ({"event": "ingress_ended", "ingressInfo": {"ingressId": "IN_1"}}, False, (("", "IN_1"),), "unknown"),
        ({"event": "ingress_ended"}, False, (), "unknown"),
        ({"participant": {"sid": "PA_1"}}, True, (), None),
    ],
)
def test_what_an_event_says(body: dict[str, Any], live: bool | None, keys: tuple[Any, ...], end: str | None) -> None:
    """Publishing begins and ends by tracks and ingresses; a push ends only with who published leaving."""
    event = hear(callback({**BODY, **body}))
    assert (event.live, event.keys, event.end_reason) == (live, keys, end)
    assert (event.at, event.order) == (NOW - 1, NOW - 1)


@pytest.mark.parametrize(("reason", "end"), [
    ("CLIENT_INITIATED", "client"), ("SIGNAL_CLOSE", "network"), ("CONNECTION_TIMEOUT", "timeout"),
    ("PARTICIPANT_REMOVED", "kicked"), ("JOIN_FAILURE", "rejected"), ("SERVER_SHUTDOWN", "internal"),
    ("UNKNOWN_REASON", "unknown"), (7, "unknown"),
])  # fmt: skip
def test_why_a_push_ended(reason: Any, end: str) -> None:
    """LiveKit's reasons by our words."""
    person = {**LEAVING["participant"], "disconnectReason": reason}
    event = hear(callback({**BODY, "event": "participant_left", **LEAVING, "participant": person}))
    assert event.end_reason == end
