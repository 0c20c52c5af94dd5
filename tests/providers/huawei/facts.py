"""What tests know of Huawei Cloud."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from exporter.model import Account, Reason, State
from exporter.providers.interface import Callback
from tests.providers.facts import Called, Case, Facts, Listed, is_domain, objects, told_names

ERRORS = {"error", "code", "message", "error_code", "error_msg"}


def _is_of(row: dict[str, Any], name: str) -> bool:
    return (row.get("app"), row.get("stream")) == ("live", name) and is_domain(
        row.get("publish_domain"), "push.example"
    )


def judge(found: dict[str, Any]) -> State | None:
    """A row with the very name, or a total of nothing; or, where all rows are there, only longer names."""
    total, rows = found.get("total_num"), objects(found.get("streams"))
    if ERRORS & set(told_names(found)) or type(total) is not int:
        return None
    if any(_is_of(row, "s") for row in rows):
        return State.ACTIVE
    longer = all("s" in str(row.get("stream")) for row in rows)
    return State.INACTIVE if total == len(rows) and longer else None


def in_online(found: dict[str, Any], stream: Any) -> bool:
    """A row has the stream's push domain, app and name."""
    return any(_is_of(row, stream.stream or stream.name) for row in objects(found.get("streams")))


def sign(_account: Account, fields: dict[str, Any], key: str, now: int, _form: int) -> Callback:
    """Sign a callback."""
    body = {**fields, "auth_timestamp": now + 300}
    parts = [body.get(name, "") for name in ("event", "domain", "app", "stream", "auth_timestamp")]
    text = "".join(part if isinstance(part, str) else json.dumps(part) for part in parts)
    body["auth_sign"] = hmac.new(key.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
    return Callback("POST", "host", {"content-type": "application/json"}, {}, json.dumps(body).encode())


FACTS = Facts(
    keys={"access_key": "huawei-id", "secret_key": "huawei-secret", "project_id": "project", "region": "cn-north-4"},
    address={"domain": "push.example", "app": "live"},
    judge=judge,
    lists={"ListLiveStreamsOnline": Listed(live=in_online)},
    callback=Called(
        sign=sign,
        names=("event", "domain", "app", "stream", "publish_timestamp", "user_args", "auth_timestamp"),
        plain={"event": "PUBLISH", "domain": "push.example", "app": "live", "stream": "a",
               "publish_timestamp": "1799999990"},
    ),
    states=(
        Case("active", "huawei", State.ACTIVE, "ok"),
        Case("inactive", "huawei", State.INACTIVE, "ok", state=State.INACTIVE),
        Case("forbidden", "huawei", State.INACTIVE, "ok", state=State.FORBIDDEN),
        Case("never there", "huawei", State.INACTIVE, "ok", state=State.NOT_FOUND),
        *(
            Case(f"{state}, names compared as parts", "huawei", state, "ok", state=state, quirks={"huawei_fuzzy": True})
            for state in (State.ACTIVE, State.INACTIVE)
        ),
    ),
    codes={
        "APIGW.0301": Reason.AUTH, "LIVE.100011014": Reason.ACCOUNT,
        "APIGW.0308": Reason.THROTTLED, "LIVE.100011001": Reason.BAD_REQUEST, "APIGW.0601": Reason.PROVIDER_ERROR,
        "LIVE.100011003": Reason.AUTH,
    },
    unlisted=("APIGW.0399", Reason.AUTH),
    throttled="APIGW.0308",
    expired="APIGW.0301.expired",
    inner="streams.0",
    others={
        "another stream": ("streams.0.stream", "other"),
        "another app": ("streams.0.app", "other"),
        "another domain": ("streams.0.publish_domain", "other.example"),
        "an error beside it": ("error_msg", "busy"),
    },
)  # fmt: skip
