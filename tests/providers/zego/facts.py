"""What tests know of ZEGO."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from exporter.model import Account, Reason, State
from exporter.providers.interface import Callback
from exporter.providers.zego import signing
from tests.providers.facts import Called, Case, Facts, tells_of_error

STATES = {0: State.ACTIVE, 41006: State.INACTIVE, 41004: State.NOT_FOUND}


def judge(found: dict[str, Any]) -> State | None:
    """Only the code says the state, and no other member may sound like an error."""
    code = found.get("Code")
    if tells_of_error({name: value for name, value in found.items() if name not in ("Code", "Message")}):
        return None
    return STATES.get(code) if type(code) is int else None


def states() -> Iterator[Case]:
    """An ended stream is known while the history is paid for."""
    yield Case("active", "zego", State.ACTIVE, "0")
    for form in ("empty", "times", "null", "missing"):
        ended, quirks = {"state": State.INACTIVE}, {"zego_data": form}
        yield Case(f"closed, Data {form}", "zego", State.INACTIVE, "41006", quirks=quirks, **ended)  # type: ignore[arg-type]
        history = {"zego_history": False, **quirks}
        yield Case(f"closed, no history, Data {form}", "zego", State.NOT_FOUND, "41004", quirks=history, **ended)  # type: ignore[arg-type]
    yield Case("never there", "zego", State.NOT_FOUND, "41004", state=State.NOT_FOUND)


def sign(account: Account, fields: dict[str, Any], key: str, now: int, form: int) -> Callback:
    """Sign a callback: JSON, JSON that is percent-encoded, or a form."""
    nonce = str(fields.get("nonce", "n"))
    signature = signing.callback_signature(secret=key, timestamp=str(now), nonce=nonce)
    app = {"appid": getattr(account, "app_id", 0)}
    sent = {**app, **fields, "timestamp": str(now), "nonce": nonce, "signature": signature}
    text = json.dumps(sent)
    as_form = urlencode({name: str(value) for name, value in sent.items()}, errors="replace")
    return Callback("POST", "host", {}, {}, (text, quote(text), as_form)[form % 3].encode())


FACTS = Facts(
    keys={"app_id": 77, "server_secret": "zego-secret"},
    named_by="stream_id",
    judge=judge,
    callback=Called(
        sign=sign,
        names=(
            "event", "stream_id", "stream_alias", "room_session_id", "stream_seq", "type", "create_time_ms", "appid",
            "nonce",
        ),
        plain={"event": "stream_create", "stream_id": "a", "stream_seq": "1"},
    ),
    live="0",
    states=tuple(states()),
    codes={
        "100000005": Reason.AUTH, "100000004": Reason.CLOCK, "100000016": Reason.ACCOUNT, "30002": Reason.THROTTLED,
        "30009": Reason.BAD_REQUEST, "3001": Reason.PROVIDER_ERROR,
    },
    invented=lambda number: str(900_000 + number),
    unlisted=("123456789", Reason.PROVIDER_ERROR),
    throttled="30002",
    expired="100000004",
    inner="Data",
    # Its state is its code: a number that no table lists.
    unknown=("other", Reason.PROVIDER_ERROR),
)  # fmt: skip
