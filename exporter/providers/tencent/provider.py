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
    Doubt,
    Event,
    Listing,
    Malformed,
    Page,
    Provider,
    ProviderError,
    Refused,
)
from exporter.providers.reading import decimal, rows_of, text_of, utc_seconds, word
from exporter.providers.tencent import signing as tc3
from exporter.providers.tencent.credentials import SOURCES

VERSION = "2018-08-01"
STATE = "DescribeLiveStreamState"
BACKUP = "DescribeBackupStreamList"
ONLINE = "DescribeLiveStreamOnlineList"
ONLINE_ROWS = 10_000
# The vendor allows 300,000 rows a page and advises one call a minute (https://cloud.tencent.com/document/api/267/20472):
# an answer may be as old as that, and a second call within the minute brings the same one.
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
        """The backup list tells how many there are."""
        return self.inputs


def _international(account: TencentAccount) -> bool:
    return ".intl." in account.endpoint


def _ask(_account: TencentAccount, stream: TencentStream) -> Call:
    name = stream.stream or stream.name
    return Call(STATE, VERSION, {"AppName": stream.app, "DomainName": stream.domain, "StreamName": name})


def _response(reply: Reply, values: int = MOST_VALUES) -> dict[str, Any]:
    """Return the object under Response, or raise the error that stands there; its HTTP status is 200 all the same."""
    found = reading.envelope(reply, values)
    response = reading.hallmark(reply, found, "Response", dict, beside="RequestId")
    if response.get("Error") is not None:
        error = reading.object_of(response, "Error")
        request_id = reading.id_of(response, "RequestId")
        raise ProviderError(text_of(error, "Code"), reading.message_of(error, "Message"), request_id)
    reading.definite(reply, found)
    reading.undisputed(found, response)
    return response


def _read(_account: TencentAccount, stream: TencentStream, call: Call, reply: Reply) -> Answer:
    response = _response(reply)
    reading.fits(response, {"Action": STATE, **call.params}, domain="DomainName")
    state = STATES.get(text_of(response, "StreamState"))
    if state is None:
        raise Malformed("StreamState holds an unknown value")
    # Nothing is pushed, so a stream of which inputs are expected has none.
    inputs = () if stream.inputs and state is not State.ACTIVE else None
    return Answer(state, inputs=inputs, request_id=reading.id_of(response, "RequestId"))


def _keys(_account: TencentAccount, stream: TencentStream) -> tuple[tuple[str, str, str], ...]:
    return ((stream.domain, stream.app, stream.stream or stream.name),)


def _backup_scope(account: TencentAccount, _stream: TencentStream) -> str | None:
    """One call answers for the account; the API wants a region and does not exist on the international site."""
    return account.region if account.region and not _international(account) else None


def _source(text: Any) -> Literal["push", "pull"]:
    """Read SourceFrom: 直推流 is a push, 拉流转推(task) a pull relayed by Tencent."""
    return "pull" if isinstance(text, str) and "拉流" in text else "push"


def _backup_input(row: dict[str, Any]) -> Input:
    master = reading.integer_of(row, "MasterFlag")
    if master not in (0, 1):
        raise Malformed("MasterFlag holds an unknown value")
    return Input(text_of(row, "DomainName"), text_of(row, "AppName"), _source(row.get("SourceFrom")), master == 1)


def _read_backup(_account: TencentAccount, _region: str, _call: Call, reply: Reply) -> Page:
    response = _response(reply, WHOLE_VALUES)
    pushes: dict[tuple[str, str, str], dict[Any, tuple[Input, float | None]]] = {}
    for group in rows_of(response, "StreamInfoList"):
        name = text_of(group, "StreamName")
        host_group = text_of(group, "HostGroupName") if group.get("HostGroupName") is not None else ""
        for row in rows_of(group, "BackupList"):
            found = _backup_input(row)
            sequence = row.get("UpstreamSequence")
            identity = sequence if isinstance(sequence, str) and sequence else found
            same_stream = pushes.setdefault((name, host_group, found.domain.lower()), {})
            same_stream[identity] = (found, utc_seconds(row.get("PublishTime")))
    rows: dict[Any, Answer | None] = {}
    for (name, _, domain), group_pushes in pushes.items():
        for app, answer in _backup_answers(list(group_pushes.values()), reading.id_of(response, "RequestId")).items():
            # If two groups hold the same stream, the one with more inputs counts, never both.
            known = rows.get((domain, app, name))
            if known is None or len(known.inputs or ()) < len(answer.inputs or ()):
                rows[domain, app, name] = answer
    # A missing list does not say that nothing is pushed.
    return Page(rows, complete="StreamInfoList" in response)


def _backup_answers(pushes: list[tuple[Input, float | None]], request_id: str) -> dict[str, Answer]:
    """Return the answer about a stream for each app that is pushed.

    The pushes are those of one stream name in one group and domain: they can stand in for each other, and their apps
    may differ, as in the vendor's own example. Only an app that is pushed itself is live.
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
    response = _response(reply, reading.values_of(size))
    request_id = reading.id_of(response, "RequestId")
    rows: dict[Any, Answer | None] = {}
    listed = rows_of(response, "OnlineInfo")
    for row in listed:
        times = [utc_seconds(push.get("PublishTime")) for push in rows_of(row, "PublishTimeList")]
        started = max((time for time in times if time is not None), default=None)
        key = (text_of(row, "DomainName").lower(), text_of(row, "AppName"), text_of(row, "StreamName"))
        rows[key] = Answer(State.ACTIVE, started=started, request_id=request_id)
    pages = reading.pages_of(response, "TotalPage", "TotalNum", size)
    return Page(rows, pages=pages, last=len(listed) < size)


_compact = json.JSONEncoder(separators=(",", ":")).encode


def _sign(account: TencentAccount, credentials: Credentials, call: Call, moment: Moment) -> Request:
    body = _compact(call.params).encode()  # built once: these bytes are hashed and sent
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


# The backup list's: https://cloud.tencent.com/document/api/267/100422
REGIONS = ("ap-bangkok", "ap-beijing", "ap-guangzhou", "ap-hongkong", "ap-seoul", "ap-shanghai", "ap-tokyo")


def _doubts(account: TencentAccount, streams: Sequence[TencentStream]) -> Iterator[Doubt]:
    """Find a region that the backup list does not know, and expected inputs that no call will report."""
    if account.region and not _international(account) and account.region not in REGIONS:
        yield Doubt("region", f"{BACKUP} is documented for {', '.join(REGIONS)} only", REGIONS)
    expecting = sum(stream.inputs is not None for stream in streams)
    if not expecting:
        return
    told = f"{expecting} {'stream expects' if expecting == 1 else 'streams expect'} inputs, which only {BACKUP} reports"
    if _international(account):
        yield Doubt("endpoint", f"{told}, and the international site lacks it: stream_inputs will be absent")
    elif not account.region:
        yield Doubt("region", f"{told}, and it needs a region, such as ap-guangzhou: stream_inputs will be absent")
    elif account.plan == "single":
        yield Doubt("plan", f"{told}, and with plan: single it is not asked: stream_inputs will be absent")


# errcode of an end, and all other fields: https://www.tencentcloud.com/document/product/267/38081
ENDED = {
    **dict.fromkeys((1, 2, 3, 4, 35), "client"),
    **dict.fromkeys((5, 9, 10, 11, 24), "internal"),
    **dict.fromkeys((6, 7, 23, 33), "content"),
    **dict.fromkeys((8, 20), "timeout"),
    **dict.fromkeys(range(12, 18), "network"),
    **dict.fromkeys((18, 19), "rejected"),
}
EVENTS = {0: "push_end", 1: "push_begin", 321: "push_error"}
LIVE = {"push_begin": True, "push_end": False}
VALID_SECONDS = 600  # the signed `t` is so much later than the event


def _verify(_account: TencentAccount, key: str, callback: Callback, now: float) -> Event:
    """Verify `sign` over key and `t`; nothing else in the body is signed."""
    try:
        body = reading.object_in(callback.body)
    except ValueError:
        raise Refused("forged") from None
    kind = decimal(body.get("event_type"))
    event = EVENTS.get(-1 if kind is None else kind, "unknown")
    expires, sign = decimal(body.get("t")), word(body.get("sign"))
    # Without a key set in the console, neither is sent.
    if expires is None or not same(tc3.callback_signature(key=key, t=expires), sign.lower()):
        raise Refused("forged", event)
    if now > expires:
        raise Refused("expired", event)
    sent = expires - VALID_SECONDS
    address, at = _called(body), reading.happened(body, {"event_time": 1.0, "data_time": 0.001}, sent)
    sequence, code = word(body.get("sequence")), decimal(body.get("errcode"))
    return Event(
        event=event,
        live=LIVE.get(event),
        keys=(address,) if all(address) and event != "unknown" else (),
        sent=float(sent),
        identity=(event, address, sequence, at),
        session=sequence,
        # The end of a push comes after its beginning, within the same second too.
        order=at + 0.5 * (event == "push_end"),
        at=at,
        ended=ENDED.get(-1 if code is None else code, "unknown") if event == "push_end" else None,
    )


def _called(body: dict[str, Any]) -> tuple[str, str, str]:
    """Return domain, app and stream; push errors name the first two otherwise than begin and end do."""
    domain, app = word(body.get("app")) or word(body.get("domain")), word(body.get("appname")) or word(body.get("path"))
    return domain.lower(), app.strip("/"), word(body.get("stream_id"))


PROVIDER: Provider[TencentAccount, TencentStream] = Provider(
    name="tencent",
    title="Tencent Cloud CSS",
    aliases=("qcloud", "tencentcloud", "tencent_css"),
    account=TencentAccount,
    stream=TencentStream,
    # https://www.tencentcloud.com/document/product/267/30796
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
            details=lambda stream: stream.inputs is not None,
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
    tells={
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
    doubts=_doubts,
)
