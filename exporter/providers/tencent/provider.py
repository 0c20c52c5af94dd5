"""Tencent Cloud CSS (live 2018-08-01): DescribeLiveStreamState, and the two lists of streams being pushed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import Field

from exporter.fields import Domain, Endpoint, SecretField, Text
from exporter.model import Account, Answer, Call, Credentials, Figures, Input, Moment, Reply, Request, State, Stream
from exporter.providers import reading
from exporter.providers.document import LISTED_VALUES, MOST_VALUES, WHOLE_VALUES
from exporter.providers.encoding import host
from exporter.providers.figures import PICTURE, RATES, STALLED, Columns
from exporter.providers.interface import MEBIBYTE, Api, Callbacks, ConfigWarning, Listing, Page, Provider
from exporter.providers.reading import rows_of, text_of, utc_seconds
from exporter.providers.tencent import callbacks
from exporter.providers.tencent import signing as tc3
from exporter.providers.tencent.addresses import SIGNER
from exporter.providers.tencent.credentials import SOURCES

VERSION = "2018-08-01"
STATE = "DescribeLiveStreamState"
BACKUP = "DescribeBackupStreamList"
ONLINE = "DescribeLiveStreamOnlineList"
PUSHES = "DescribeLiveStreamPushInfoList"
ONLINE_ROWS = 10_000
PUSHES_ROWS = 4_000  # 100,000 are allowed, but each row has 17 fields
# The vendor advises one call a minute of either: https://cloud.tencent.com/document/api/267/20472 and /33990.
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
    return account.name if account.region and not _international(account) else None


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


def _every(account: TencentAccount) -> float:
    return 0.0 if _international(account) else ONLINE_SECONDS


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


# Frames are in Hz, rates in bit/s: https://www.rubydoc.info/gems/tencentcloud-sdk-live/TencentCloud/Live/V20180801/PushDataInfo
# Fields that begin with Meta are what the encoder says of itself, and BeginPushTime names no time zone.
COLUMNS = Columns(
    bits={"video": "VideoSpeed", "audio": "AudioSpeed"}, frames="VideoFps", others=("AudioFps",), size="Resolution"
)


def _pushes_rows(account: TencentAccount) -> int:
    return 1000 if _international(account) else PUSHES_ROWS


def _ask_pushes(account: TencentAccount, scope: str, page: int) -> Call:
    domain, _, app = scope.partition("\n")
    # Without AppName it is `live` that is listed.
    size = _pushes_rows(account)
    return Call(PUSHES, VERSION, {"PushDomain": domain, "AppName": app, "PageNum": page, "PageSize": size})


def _read_pushes(account: TencentAccount, _scope: str, _call: Call, reply: Reply) -> Page:
    size = _pushes_rows(account)
    response = _response(reply, LISTED_VALUES)
    figures: dict[Any, Figures] = {}
    keys: dict[Any, None] = {}
    listed = rows_of(response, "DataInfoList")
    for row in listed:
        key = (text_of(row, "PushDomain").lower(), text_of(row, "AppName"), text_of(row, "StreamName"))
        keys[key] = None
        found = COLUMNS.read(row)
        # Of a stream that stands there twice, the push that moves counts.
        if found is not None and (key not in figures or not found.stalled):
            figures[key] = found
    pages = reading.page_count(response, "TotalPage", "TotalNum", size)
    return Page(keys, pages=pages, last=len(listed) < size, figures=figures)


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
            every=_every,
            largest=10 * MEBIBYTE,
        ),
    ),
    figures=(
        # 30/s: https://cloud.tencent.com/document/api/267/33990
        # 500/s at the international site: https://www.tencentcloud.com/document/product/267/37303
        Listing(
            action=PUSHES,
            limit=lambda account: 500.0 if _international(account) else 30.0,
            scope=lambda _account, stream: f"{stream.domain}\n{stream.app}",
            keys=_keys,
            ask=_ask_pushes,
            read=_read_pushes,
            pages=lambda account, streams: -(-streams // _pushes_rows(account)),
            every=_every,
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
        **dict.fromkeys((*RATES, *PICTURE, STALLED), f"Tencent {PUSHES}"),
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
        events=tuple(callbacks.EVENTS.values()),
        key_field="callback_key",
        verify=callbacks.verify,
        keys=_keys,
        answer='{"code":0}',
    ),
    address_signer=SIGNER,
    warnings=_warnings,
)
