"""What tests know of Amazon IVS."""

from __future__ import annotations

from typing import Any

from exporter.model import Reason, State
from tests.providers.facts import Case, Facts, Listed, objects, tells_of_error

ARN = "arn:aws:ivs:us-west-2:123456789012:channel/"
STATES = {"LIVE": State.ACTIVE, "OFFLINE": State.INACTIVE}
ERRORS = {"ChannelNotBroadcasting": State.INACTIVE, "ResourceNotFoundException": State.NOT_FOUND}


def judge(found: dict[str, Any]) -> State | None:
    """One of two words in an answer about this very channel."""
    stream = found.get("stream")
    if not isinstance(stream, dict) or tells_of_error(found) or isinstance(found.get("__type"), str):
        return None
    if any(name.lower() == "channelarn" and value not in (None, f"{ARN}abcd") for name, value in stream.items()):
        return None
    word = stream.get("state")
    return STATES.get(word) if isinstance(word, str) else None


def judge_error(status: int, found: dict[str, Any]) -> State | None:
    """One of two errors, each with its own status. The header that names it is not among those that are made up."""
    kind = found.get("__type")
    return ERRORS.get(kind.rpartition("#")[2]) if status == 404 and isinstance(kind, str) else None


def in_list(found: dict[str, Any], stream: Any) -> bool:
    """A row has the channel's ARN and says that it is live."""
    rows = objects(found.get("streams"))
    return any((row.get("channelArn"), row.get("state")) == (stream.channel_arn, "LIVE") for row in rows)


FACTS = Facts(
    keys={"access_key_id": "ivs-id", "secret_access_key": "ivs-secret", "region": "us-west-2"},
    address={"channel_arn": f"{ARN}{{name}}"},
    named_by="",
    judge=judge,
    judge_error=judge_error,
    lists={"ListStreams": Listed(live=in_list)},
    states=(
        Case("active", "ivs", State.ACTIVE, "ok"),
        *(
            Case(
                f"inactive, type in the {place}", "ivs", State.INACTIVE, "ChannelNotBroadcasting",
                state=State.INACTIVE, quirks={"ivs_error_type": place},
            )
            for place in ("header", "url", "body")
        ),
        Case("offline", "ivs", State.INACTIVE, "ok", state=State.INACTIVE, quirks={"ivs_offline": "OFFLINE"}),
        Case("never there", "ivs", State.NOT_FOUND, "ResourceNotFoundException", state=State.NOT_FOUND),
    ),
    codes={
        "InvalidSignatureException": Reason.AUTH, "RequestExpired": Reason.CLOCK, "PendingVerification": Reason.ACCOUNT,
        "ThrottlingException": Reason.THROTTLED, "ValidationException": Reason.BAD_REQUEST,
        "InternalServerException": Reason.PROVIDER_ERROR, "UnrecognizedClientException": Reason.AUTH,
        "ExpiredTokenException": Reason.AUTH,
    },
    unlisted=("ThrottledInventedToday", Reason.THROTTLED),
    throttled="ThrottlingException",
    expired="RequestExpired",
    inner="stream",
    others={"another channel": ("stream.channelArn", f"{ARN}other")},
)  # fmt: skip
