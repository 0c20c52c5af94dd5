"""What tests know of Volcengine Live."""

from __future__ import annotations

import json
from typing import Any

from exporter.model import Account, Reason, State
from exporter.providers.encoding import expiry_signature
from exporter.providers.interface import Callback
from tests.providers.facts import Called, Case, Facts, Listed, is_domain, objects, tells_of_error

STATES = {"online": State.ACTIVE, "offline": State.INACTIVE, "forbidden": State.FORBIDDEN}
ASKED = {"domain": "push.example.com", "app": "live", "stream": "gala"}


def judge(found: dict[str, Any]) -> State | None:
    """One of three words in an answer about this very stream."""
    metadata, result = found.get("ResponseMetadata"), found.get("Result")
    if not isinstance(metadata, dict) or tells_of_error(found) or not isinstance(result, dict):
        return None
    if metadata.get("Action") not in (None, "DescribeLiveStreamState"):
        return None
    if any(value not in (None, ASKED.get(name.lower(), value)) for name, value in result.items()):
        return None
    word = result.get("stream_state")
    return STATES.get(word) if isinstance(word, str) else None


def in_list(found: dict[str, Any], stream: Any) -> bool:
    """A row has the stream's domain, app and name."""
    return any(
        is_domain(row.get("Domain"), stream.domain)
        and (row.get("App"), row.get("Stream")) == (stream.app, stream.stream or stream.name)
        for row in objects(found["Result"].get("StreamInfoList"))
    )


def sign(_account: Account, fields: dict[str, Any], key: str, now: int, form: int) -> Callback:
    """Sign a callback: flat, nested under `data`, or under `data` and `detail`."""
    signed = {"t": now + 600, "sign": expiry_signature(key=key, t=now + 600)}
    sent = ({**fields, **signed}, {**signed, "data": fields}, {**signed, "data": {"detail": fields}})[form]
    return Callback("POST", "host", {}, {}, json.dumps(sent).encode())


FACTS = Facts(
    keys={"access_key_id": "volcengine-live-id", "secret_access_key": "volcengine-live-secret"},
    address={"domain": "push.example", "app": "live"},
    judge=judge,
    lists={"DescribeLiveStreamInfoByPage": Listed(live=in_list)},
    callback=Called(
        sign=sign,
        names=("event_type", "time", "time_ms", "vhost", "domain", "app", "stream", "session_id", "transcoded", "data"),
        plain={"event_type": "push_start", "domain": "d", "app": "live", "stream": "a", "time": 1_800_000_000},
    ),
    states=(
        Case("active", "volcengine_live", State.ACTIVE, "ok"),
        Case("inactive", "volcengine_live", State.INACTIVE, "ok", state=State.INACTIVE),
        Case("forbidden", "volcengine_live", State.FORBIDDEN, "ok", state=State.FORBIDDEN),
        Case("never there", "volcengine_live", State.INACTIVE, "ok", state=State.NOT_FOUND),
        Case(
            "absent, a code", "volcengine_live", ("other", Reason.BAD_REQUEST), "other", state=State.NOT_FOUND,
            quirks={"volcengine_live_absent": "InvalidParameter.Stream"},
        ),
    ),
    codes={
        "SignatureDoesNotMatch": Reason.AUTH, "InvalidTimestamp": Reason.CLOCK,
        "AccountOverdueError": Reason.ACCOUNT, "FlowLimitExceeded": Reason.THROTTLED,
        "MissingParameter": Reason.BAD_REQUEST, "InternalError": Reason.PROVIDER_ERROR,
    },
    unlisted=("InvalidParameter.InventedToday", Reason.BAD_REQUEST),
    throttled="FlowLimitExceeded",
    expired="InvalidTimestamp",
    inner="Result",
    others={
        "another stream": ("Result.Stream", "other"),
        "another domain": ("Result.Domain", "other.example"),
        "another Action": ("ResponseMetadata.Action", "DescribeLiveStreamInfoByPage"),
        "another Version": ("ResponseMetadata.Version", "2020-08-01"),
        "another Service": ("ResponseMetadata.Service", "rtc"),
        "Error beside ResponseMetadata": ("Error", {"Code": "InternalError", "Message": "busy"}),
    },
)  # fmt: skip
