"""Tencent Cloud CSS (live 2018-08-01): DescribeLiveStreamState, and the two lists of streams being pushed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import Field

from exporter.fields import Domain, Endpoint, SecretField, Text
from exporter.model import Account, Answer, Call, Credentials, Input, Moment, Reply, Request, State, Stream
from exporter.providers import reading
from exporter.providers.document import MOST_VALUES, WHOLE_VALUES
from exporter.providers.encoding import host, same
from exporter.providers.interface import (
    MEBIBYTE,
    Api,
    Callback,
    Callbacks,
    ConfigWarning,
    Event,
    Listing,
    Page,
    Provider,
    Refused,
)
from exporter.providers.reading import as_integer, as_text, rows_of, text_of, utc_seconds
from exporter.providers.tencent import signing as tc3
from exporter.providers.tencent.credentials import SOURCES

VERSION = "2018-08-01"
STATE = "DescribeLiveStreamState"
BACKUP = "DescribeBackupStreamList"
ONLINE = "DescribeLiveStreamOnlineList"
ONLINE_ROWS = 10_000
# The vendor advises one call a minute: https://cloud.tencent.com/document/api/267/20472.
# So we assume that an answer may be that old, and that a second call within the minute returns the same.
ONLINE_SECONDS = 60.0
STATES = {"active": State.ACTIVE, "inactive": State.INACTIVE, "forbid": State.FORBIDDEN}


class TencentAccount(Account):
    """A Tencent Cloud account, by an API key of CAM."""

    endpoint: Endpoint = Field(
        "https://live.tencentcloudapi.com", description="mainland, international or regional host"
    )
    secret_id: SecretField
    secret_key: SecretField
    token: SecretField
    region: Text | None = Field(None, description="X-TC-Region; DescribeBackupStreamList needs it, e.g. ap-guangzhou")
    callback_key: SecretField


class TencentStream(Stream):
    """A stream by its push domain, app and stream name."""

    domain: Domain = Field(description="push domain")
    app: Text = Field("live", description="AppName, the push path")
    stream: Text | None = Field(None, description="StreamName; default: name")
    inputs: int | None = Field(None, ge=1, le=64, description="expected number of inputs (primary and backup)")

    @property
    def expected_inputs(self) -> int | None:
        """How many inputs DescribeBackupStreamList should report."""
        return self.inputs


def _international(account: TencentAccount) -> bool:
    return ".intl." in account.endpoint


def _ask(_account: TencentAccount, stream: TencentStream) -> Call:
    name = stream.stream or stream.name
    return Call(STATE, VERSION, {"AppName": stream.app, "DomainName": stream.domain, "StreamName": name})


def _response(reply: Reply, values: int = MOST_VALUES) -> dict[str, Any]:
    """Return the object under Response, or raise its error, which comes with HTTP status 200 too."""
    document = reading.envelope(reply, values)
    response = reading.envelope_field(reply, document, "Response", dict, beside="RequestId")
    reading.check_no_error(response)
    reading.check_success(reply, document)
    reading.check_consistent(document, response)
    return response


def _read(_account: TencentAccount, stream: TencentStream, call: Call, reply: Reply) -> Answer:
    response = _response(reply)
    reading.check_echo(response, {"Action": STATE, **call.params}, domain="DomainName")
    state = reading.choice_of(response, "StreamState", STATES)
    # A stream that is not pushed has no inputs.
    inputs = () if stream.inputs and state is not State.ACTIVE else None
    return Answer(state, inputs=inputs, request_id=reading.id_of(response, "RequestId"))


def _keys(_account: TencentAccount, stream: TencentStream) -> tuple[tuple[str, str, str], ...]:
    return ((stream.domain, stream.app, stream.stream or stream.name),)


def _backup_scope(account: TencentAccount, _stream: TencentStream) -> str | None:
    """One call answers for the account. The API needs a region and does not exist on the international site."""
    return account.region if account.region and not _international(account) else None


def _source(text: Any) -> Literal["push", "pull"]:
    """Read SourceFrom: 直推流 is a push, 拉流转推(task) a pull relayed by Tencent."""
    return "pull" if isinstance(text, str) and "拉流" in text else "push"


def _backup_input(row: dict[str, Any]) -> Input:
    primary = reading.choice_of(row, "MasterFlag", {0: False, 1: True})
    return Input(text_of(row, "DomainName"), text_of(row, "AppName"), _source(row.get("SourceFrom")), primary)


def _read_backup(_account: TencentAccount, _region: str, _call: Call, reply: Reply) -> Page:
    response = _response(reply, WHOLE_VALUES)
    pushes: dict[tuple[str, str, str], dict[Any, tuple[Input, float | None]]] = {}
    for group in rows_of(response, "StreamInfoList"):
        name = text_of(group, "StreamName")
        host_group = text_of(group, "HostGroupName", "")
        for row in rows_of(group, "BackupList"):
            push = _backup_input(row)
            sequence = row.get("UpstreamSequence")
            identity = sequence if isinstance(sequence, str) and sequence else push
            same_stream = pushes.setdefault((name, host_group, push.domain.lower()), {})
            same_stream[identity] = (push, utc_seconds(row.get("PublishTime")))
    rows: dict[Any, Answer | None] = {}
    for (name, _, domain), group_pushes in pushes.items():
        for app, answer in _backup_answers(list(group_pushes.values()), reading.id_of(response, "RequestId")).items():
            # If two groups have the same stream, the one with more inputs counts.
            known = rows.get((domain, app, name))
            if known is None or len(known.inputs or ()) < len(answer.inputs or ()):
                rows[domain, app, name] = answer
    # A missing list does not mean that nothing is pushed.
    return Page(rows, complete="StreamInfoList" in response)


def _backup_answers(pushes: list[tuple[Input, float | None]], request_id: str) -> dict[str, Answer]:
    """Return an answer for each app that the pushes of one stream name, group and domain go to.

    They are inputs of one stream, though their apps may differ, as in the vendor's own example. Only an app with a push
    of its own is live.
    """
    inputs = tuple(push for push, _ in pushes)
    answers: dict[str, Answer] = {}
    for push, started in pushes:
        answers.setdefault(push.app, Answer(State.ACTIVE, started=started, inputs=inputs, request_id=request_id))
    return answers


def _online_page_size(account: TencentAccount) -> int:
    return 100 if _international(account) else ONLINE_ROWS


def _ask_online(account: TencentAccount, domain: str, page: int) -> Call:
    return Call(ONLINE, VERSION, {"DomainName": domain, "PageNum": page, "PageSize": _online_page_size(account)})


def _read_online(account: TencentAccount, _domain: str, _call: Call, reply: Reply) -> Page:
    size = _online_page_size(account)
    response = _response(reply, reading.value_limit(size))
    request_id = reading.id_of(response, "RequestId")
    rows: dict[Any, Answer | None] = {}
    listed = rows_of(response, "OnlineInfo")
    for row in listed:
        times = [utc_seconds(push.get("PublishTime")) for push in rows_of(row, "PublishTimeList")]
        started = max((time for time in times if time is not None), default=None)
        key = (text_of(row, "DomainName").lower(), text_of(row, "AppName"), text_of(row, "StreamName"))
        rows[key] = Answer(State.ACTIVE, started=started, request_id=request_id)
    pages = reading.page_count(response, "TotalPage", "TotalNum", size)
    return Page(rows, pages=pages, last=len(listed) < size)


_compact = json.JSONEncoder(separators=(",", ":")).encode


def _sign(account: TencentAccount, credentials: Credentials, call: Call, moment: Moment) -> Request:
    body = _compact(call.params).encode()  # these very bytes are hashed and sent
    headers = {"Content-Type": "application/json", "Host": host(account.endpoint)}
    now = int(moment.now)
    authorization = tc3.authorization(
        secret_id=credentials.key_id,
        secret_key=credentials.key_secret.reveal(),
        service="live",
        timestamp=now,
        headers=headers,
        body=body,
    )
    headers |= {
        "Authorization": authorization,
        "X-TC-Action": call.action,
        "X-TC-Version": call.version,
        "X-TC-Timestamp": str(now),
    }
    if account.region:
        headers["X-TC-Region"] = account.region
    if credentials.token:
        headers["X-TC-Token"] = credentials.token.reveal()
    return Request("POST", f"{account.endpoint}/", headers, body)


# Regions of the backup list: https://cloud.tencent.com/document/api/267/100422
REGIONS = ("ap-bangkok", "ap-beijing", "ap-guangzhou", "ap-hongkong", "ap-seoul", "ap-shanghai", "ap-tokyo")


def _warnings(account: TencentAccount, streams: Sequence[TencentStream]) -> Iterator[ConfigWarning]:
    """Find a region that the backup list does not serve, and expected inputs that no call will report."""
    if account.region and not _international(account) and account.region not in REGIONS:
        yield ConfigWarning("region", f"{BACKUP} is documented for {', '.join(REGIONS)} only", REGIONS)
    expecting = sum(stream.inputs is not None for stream in streams)
    if not expecting:
        return
    only = f"{expecting} {'stream expects' if expecting == 1 else 'streams expect'} inputs, which only {BACKUP} reports"
    if _international(account):
        yield ConfigWarning("endpoint", f"{only}, and the international site lacks it: stream_inputs will be absent")
    elif not account.region:
        yield ConfigWarning(
            "region", f"{only}, and it needs a region, such as ap-guangzhou: stream_inputs will be absent"
        )
    elif account.plan == "single":
        yield ConfigWarning("plan", f"{only}, and with plan: single it is not asked: stream_inputs will be absent")


# push_begin and push_end: https://www.tencentcloud.com/document/product/267/38081
# push_error: https://www.tencentcloud.com/document/product/267/53310
END_REASONS = {
    **dict.fromkeys((1, 2, 3, 4, 35), "client"),
    **dict.fromkeys((5, 9, 10, 11, 24), "internal"),
    **dict.fromkeys((6, 7, 23, 33), "content"),
    **dict.fromkeys((8, 20), "timeout"),
    **dict.fromkeys(range(12, 18), "network"),
    **dict.fromkeys((18, 19), "rejected"),
}
EVENTS = {0: "push_end", 1: "push_begin", 321: "push_error"}
LIVE = {"push_begin": True, "push_end": False}
VALID_SECONDS = 600  # the signed `t` is this much later than the callback


def _verify(_account: TencentAccount, key: str, callback: Callback, now: float) -> Event:
    """Verify `sign`, which covers only the key and `t`."""
    try:
        body = reading.object_in(callback.body)
    except ValueError:
        raise Refused("forged") from None
    kind = as_integer(body.get("event_type"))
    event = EVENTS.get(-1 if kind is None else kind, "unknown")
    expires, sign = as_integer(body.get("t")), as_text(body.get("sign"))
    # Unless a key is set in the console, neither is sent.
    if expires is None or not same(tc3.callback_signature(key=key, t=expires), sign.lower()):
        raise Refused("forged", event)
    if now > expires:
        raise Refused("expired", event)
    sent = expires - VALID_SECONDS
    address, at = _callback_address(body), reading.event_time(body, {"event_time": 1.0, "data_time": 0.001}, sent)
    sequence, code = as_text(body.get("sequence")), as_integer(body.get("errcode"))
    return Event(
        event=event,
        live=LIVE.get(event),
        keys=(address,) if all(address) and event != "unknown" else (),
        sent=float(sent),
        identity=(event, address, sequence, at),
        session=sequence,
        # A push ends after it begins, even within the same second.
        order=at + 0.5 * (event == "push_end"),
        at=at,
        end_reason=END_REASONS.get(-1 if code is None else code, "unknown") if event == "push_end" else None,
    )


def _callback_address(body: dict[str, Any]) -> tuple[str, str, str]:
    """Return domain, app and stream. Push errors use other fields for the first two than begin and end do."""
    domain = as_text(body.get("app")) or as_text(body.get("domain"))
    app = as_text(body.get("appname")) or as_text(body.get("path"))
    return domain.lower(), app.strip("/"), as_text(body.get("stream_id"))


PROVIDER: Provider[TencentAccount, TencentStream] = Provider(
    name="tencent",
    title="Tencent Cloud CSS",
    aliases=("qcloud", "tencentcloud", "tencent_css"),
    account=TencentAccount,
    stream=TencentStream,
    # Action and limit: https://www.tencentcloud.com/document/product/267/30796
    single=Api(action=STATE, limit=lambda _account: 300.0, ask=_ask, read=_read),
    listings=(
        # https://cloud.tencent.com/document/api/267/100422
        Listing(
            action=BACKUP,
            limit=lambda _account: 20.0,
            scope=_backup_scope,
            keys=_keys,
            ask=lambda _account, _region, _page: Call(BACKUP, VERSION),
            read=_read_backup,
            needed_by=lambda stream: stream.inputs is not None,
            inputs=True,
            largest=8 * MEBIBYTE,
        ),
        # https://cloud.tencent.com/document/api/267/20472
        Listing(
            action=ONLINE,
            limit=lambda account: 100.0 if _international(account) else 80.0,
            scope=lambda _account, stream: stream.domain,
            keys=_keys,
            ask=_ask_online,
            read=_read_online,
            pages=lambda account, streams: -(-streams // _online_page_size(account)),
            every=lambda account: 0.0 if _international(account) else ONLINE_SECONDS,
            largest=10 * MEBIBYTE,
        ),
    ),
    sign=_sign,
    hides=("Authorization", "Signature", "X-TC-Token"),
    metric_sources={
        "stream_state": STATE,
        "stream_inputs": f"Tencent {BACKUP}",
        "stream_primary_input_info": f"Tencent {BACKUP}",
        "stream_start_timestamp_seconds": "PublishTime of a list of streams online",
    },
    environment={
        "secret_id": ("TENCENTCLOUD_SECRET_ID",),
        "secret_key": ("TENCENTCLOUD_SECRET_KEY",),
        "token": ("TENCENTCLOUD_TOKEN", "TENCENTCLOUD_SESSION_TOKEN"),
    },
    credentials=("secret_id", "secret_key", "token"),
    sources=SOURCES,
    callbacks=Callbacks(
        method="POST",
        events=tuple(EVENTS.values()),
        key_field="callback_key",
        verify=_verify,
        keys=_keys,
        answer='{"code":0}',
    ),
    warnings=_warnings,
)
