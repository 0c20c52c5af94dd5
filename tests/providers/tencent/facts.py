"""What tests know of Tencent Cloud."""

from __future__ import annotations

import json
from typing import Any

from exporter.model import Account, Reason, State
from exporter.providers.encoding import expiry_signature
from exporter.providers.interface import Callback
from tests.providers.facts import Called, Case, Facts, Listed, is_domain, is_of, objects, stated, tells_of_error

STATES = {"active": State.ACTIVE, "inactive": State.INACTIVE, "forbid": State.FORBIDDEN}


def judge(found: dict[str, Any]) -> State | None:
    """One of three words under Response."""
    return None if tells_of_error(found) else stated(found.get("Response"), "Error", STATES)


def in_online(found: dict[str, Any], stream: Any) -> bool:
    """A row has the stream's domain, app and name."""
    rows = objects(found["Response"].get("OnlineInfo"))
    return any(is_domain(row.get("DomainName"), stream.domain) and is_of(row, stream) for row in rows)


def in_backup(found: dict[str, Any], stream: Any) -> bool:
    """A push has the stream's domain and app, in a group with its name."""
    pushes = [
        {**push, "StreamName": group.get("StreamName")}
        for group in objects(found["Response"].get("StreamInfoList"))
        for push in objects(group.get("BackupList"))
    ]
    return any(is_domain(push.get("DomainName"), stream.domain) and is_of(push, stream) for push in pushes)


def sign(_account: Account, fields: dict[str, Any], key: str, now: int, _form: int) -> Callback:
    """Sign a callback."""
    sent = {**fields, "t": now + 600, "sign": expiry_signature(key=key, t=now + 600)}
    return Callback("POST", "host", {}, {}, json.dumps(sent).encode())


FACTS = Facts(
    keys={"secret_id": "tencent-id", "secret_key": "tencent-secret"},
    address={"domain": "push.example"},
    judge=judge,
    lists={
        "DescribeBackupStreamList": Listed(live=in_backup),
        "DescribeLiveStreamOnlineList": Listed(live=in_online, fields={"account": {"region": None}}),
    },
    callback=Called(
        sign=sign,
        names=("event_type", "event_time", "app", "appname", "stream_id", "sequence", "errcode", "push_duration"),
        plain={"event_type": 1, "app": "d", "appname": "live", "stream_id": "a", "event_time": 1_800_000_000},
    ),
    states=(
        Case("active", "tencent", State.ACTIVE, "ok"),
        Case("inactive", "tencent", State.INACTIVE, "ok", state=State.INACTIVE),
        Case("forbidden", "tencent", State.FORBIDDEN, "ok", state=State.FORBIDDEN),
        Case("never there", "tencent", State.INACTIVE, "ok", state=State.NOT_FOUND),
        Case(
            "absent, a code", "tencent", ("ResourceNotFound.ChannelNotExist", Reason.BAD_REQUEST),
            "ResourceNotFound.ChannelNotExist", state=State.NOT_FOUND,
            quirks={"tencent_absent": "ResourceNotFound.ChannelNotExist"},
        ),
    ),
    codes={
        "AuthFailure.SecretIdNotFound": Reason.AUTH, "AuthFailure.SignatureExpire": Reason.CLOCK,
        "ResourceNotFound.ForbidService": Reason.ACCOUNT, "RequestLimitExceeded": Reason.THROTTLED,
        "InvalidParameter": Reason.BAD_REQUEST, "InternalError": Reason.PROVIDER_ERROR,
        "OperationDenied": Reason.ACCOUNT, "RegionError": Reason.BAD_REQUEST,
    },
    unlisted=("AuthFailure.InventedToday", Reason.AUTH),
    throttled="RequestLimitExceeded",
    expired="AuthFailure.SignatureExpire",
    inner="Response",
)  # fmt: skip
