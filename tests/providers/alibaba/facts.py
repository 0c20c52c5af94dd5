"""What tests know of Alibaba Cloud."""

from __future__ import annotations

import json
from typing import Any

from exporter.model import Account, Reason, State
from exporter.providers.alibaba import signing as acs3
from exporter.providers.interface import Callback
from tests.providers.facts import Called, Case, Facts, Listed, is_domain, is_of, objects, stated, tells_of_error

STATES = {"online": State.ACTIVE, "offline": State.INACTIVE, "forbidden": State.FORBIDDEN}


def judge(found: dict[str, Any]) -> State | None:
    """One of three words, flat or nested."""
    nested = found.get("DescribeLiveStreamStateResponse")
    return None if tells_of_error(found) else stated(found if nested is None else nested, "Code", STATES)


def in_online(found: dict[str, Any], stream: Any) -> bool:
    """A row of the streaming domain has the stream's ingest domain, app and name."""
    found = found.get("DescribeLiveStreamsOnlineListResponse", found)
    return any(
        is_domain(row.get("DomainName"), stream.streaming_domain)
        and is_domain(row.get("PublishDomain"), stream.domain)
        and is_of(row, stream)
        for row in objects(found["OnlineInfo"].get("LiveStreamOnlineInfo"))
    )


def sign(_account: Account, fields: dict[str, Any], key: str, now: int, _form: int) -> Callback:
    """Sign a callback."""
    query = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    query["app"] = "push.example"
    signature = acs3.callback_signature(domain="push.example", timestamp=str(now), key=key)
    headers = {"ali-live-timestamp": str(now), "ali-live-signature": signature}
    return Callback("GET", "host", headers, query, b"")


FACTS = Facts(
    keys={"access_key_id": "alibaba-id", "access_key_secret": "alibaba-secret"},
    address={"domain": "push.example", "app": "live"},
    judge=judge,
    lists={
        "DescribeLiveStreamsOnlineList": Listed(
            live=in_online, fields={"stream": {"streaming_domain": "live.shop.example"}}
        )
    },
    callback=Called(
        sign=sign,
        names=("action", "appname", "id", "time", "ip", "usrargs"),
        plain={"action": "publish", "appname": "live", "id": "a", "time": "1800000000"},
    ),
    states=(
        Case("active", "alibaba", State.ACTIVE, "ok"),
        Case("inactive", "alibaba", State.INACTIVE, "ok", state=State.INACTIVE),
        Case("forbidden", "alibaba", State.FORBIDDEN, "ok", state=State.FORBIDDEN),
        Case("never there", "alibaba", State.INACTIVE, "ok", state=State.NOT_FOUND),
        *(
            Case(f"{state}, nested", "alibaba", state, "ok", state=state, quirks={"alibaba_envelope": "nested"})
            for state in (State.ACTIVE, State.FORBIDDEN)
        ),
    ),
    codes={
        "SignatureDoesNotMatch": Reason.AUTH, "InvalidTimeStamp.Expired": Reason.CLOCK,
        "Forbidden.RiskControl": Reason.ACCOUNT, "Throttling.User": Reason.THROTTLED,
        "InvalidDomain.NotFound": Reason.BAD_REQUEST, "InternalError": Reason.PROVIDER_ERROR,
        "InvalidAccessKeyId": Reason.AUTH, "InvalidSecurityToken": Reason.AUTH, "MissingAccessKeyId": Reason.AUTH,
        "Account.Arrearage": Reason.ACCOUNT, "Forbidden.Unsubscribed": Reason.ACCOUNT,
        "ThrottlingUser": Reason.THROTTLED, "RequestThrottled": Reason.THROTTLED,
    },
    unlisted=("Throttling.InventedToday", Reason.THROTTLED),
    throttled="Throttling.User",
    expired="InvalidTimeStamp.Expired",
)  # fmt: skip
