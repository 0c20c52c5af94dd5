"""Huawei Cloud Live, v1: ListLiveStreamsOnline, with a stream's name for one stream, without for a push domain."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field

from exporter.fields import Domain, Endpoint, Region, SecretField, Text
from exporter.model import Account, Answer, Call, Credentials, Moment, Reply, Request, State, Stream
from exporter.providers import leases, reading
from exporter.providers.encoding import canonical_query, host, percent, timestamp
from exporter.providers.figures import PICTURE, STALLED, Columns, read_all
from exporter.providers.huawei import signing
from exporter.providers.huawei.callbacks import EVENTS, verify
from exporter.providers.interface import Api, Callbacks, Listing, Malformed, Page, Provider, ProviderError

ONLINE = "ListLiveStreamsOnline"
ROWS = 100
# Of a user; 2,000 a minute of all users: https://support.huaweicloud.com/productdesc-live/live_03_0009.html
LIMIT = 1000 / 60
PROFILE = "HUAWEICLOUD_SDK_CREDENTIALS_FILE", "~/.huaweicloud/credentials"
_GATEWAY = re.compile(r"API[A-Z]{1,2}\.")
# In which unit bit rates come is not documented; zero is zero in every unit.
BITS = {"video": "video_bitrate", "audio": "audio_bitrate"}
RATES = Columns(bits=BITS, told=False, frames="video_frame_rate", others=("audio_frame_rate",))
SIZE = Columns(size="resolution", now=False)


class HuaweiAccount(Account):
    """A Huawei Cloud project, by an access key of IAM."""

    endpoint: Endpoint = Field("https://live.{region}.myhuaweicloud.com", description="host of the live API")
    access_key: SecretField
    secret_key: SecretField
    security_token: SecretField
    project_id: Text = Field(description="project of the region, under My Credentials")
    region: Region = Field("cn-north-4", description="region of the live service")
    callback_key: SecretField


class HuaweiStream(Stream):
    """A stream by its push domain, app and stream name."""

    domain: Domain = Field(description="push domain")
    app: Text = Field(description="app name")
    stream: Text | None = Field(None, description="stream name; default: name")


def _address(stream: HuaweiStream) -> tuple[str, str, str]:
    return stream.domain, stream.app, stream.stream or stream.name


def _ask(_account: HuaweiAccount, stream: HuaweiStream) -> Call:
    domain, app, name = _address(stream)
    return Call(ONLINE, "v1", {"publish_domain": domain, "app": app, "stream": name, "offset": 0, "limit": ROWS})


def _ask_domain(_account: HuaweiAccount, domain: str, page: int) -> Call:
    return Call(ONLINE, "v1", {"publish_domain": domain, "offset": (page - 1) * ROWS, "limit": ROWS})


def _rows(call: Call, reply: Reply) -> tuple[dict[Any, Answer], int, int, str]:
    """Return an answer by address for each row, the number of rows here and on all pages, and the request's id."""
    found = reading.envelope(reply, reading.value_limit(ROWS))
    request_id = reading.id_of(found, "request_id") or reading.id_of(reply.headers, "x-request-id")
    if found.get("error_code") is not None:
        code = reading.envelope_field(reply, found, "error_code", str, beside="request_id")
        message = reading.message_of(found, "error_msg")
        # https://support.huaweicloud.com/intl/en-us/sis_faq/sis_04_0087.html
        late = ".expired" if "signature expired" in message else ""
        raise ProviderError(_GATEWAY.sub("APIGW.", code, count=1) + late, message, request_id)
    reading.check_success(reply, found)
    reading.check_echo(found, call.params)
    total, rows = reading.integer_of(found, "total_num"), reading.rows_of(found, "streams")
    answers: dict[Any, Answer] = {}
    for row in rows:
        domain = reading.text_of(row, "publish_domain").lower().removesuffix(".")
        started = reading.utc_seconds(row.get("start_time"))
        answer = Answer(State.ACTIVE, started=started, request_id=request_id, figures=read_all(row, RATES, SIZE))
        answers.setdefault((domain, reading.text_of(row, "app"), reading.text_of(row, "stream")), answer)
    return answers, len(rows), total, request_id


def _read(_account: HuaweiAccount, stream: HuaweiStream, call: Call, reply: Reply) -> Answer:
    """Look for the very stream. It is not documented whether the name is compared as a whole or as a part."""
    answers, count, total, request_id = _rows(call, reply)
    asked = _address(stream)
    if not all(address[:2] == asked[:2] and asked[2] in address[2] for address in answers):
        raise Malformed("a row names something other than what was asked for")
    if total and (answer := answers.get(asked)) is not None:
        return answer
    if count != total:
        raise Malformed("total_num does not agree with the rows")
    return Answer(State.INACTIVE, request_id=request_id)


def _read_domain(_account: HuaweiAccount, _domain: str, call: Call, reply: Reply) -> Page:
    answers, count, total, _ = _rows(call, reply)
    return Page(answers, pages=max(1, -(-total // ROWS)), last=count < ROWS, size=count)


def _keys(_account: HuaweiAccount, stream: HuaweiStream) -> tuple[tuple[str, str, str], ...]:
    return (_address(stream),)


def _sign(account: HuaweiAccount, credentials: Credentials, call: Call, moment: Moment) -> Request:
    path = f"/{call.version}/{percent(account.project_id)}/realtime/streams"
    query = [(name, str(value)) for name, value in call.params.items()]
    date = timestamp(moment.now, "%Y%m%dT%H%M%SZ")
    headers = {"Host": host(account.endpoint), "X-Project-Id": percent(account.project_id), "X-Sdk-Date": date}
    if credentials.token:
        headers["X-Security-Token"] = credentials.token.reveal()
    signed = signing.canonical_request(path, query, headers)
    secret = credentials.key_secret.reveal()
    headers["Authorization"] = signing.SCHEME.authorization(credentials.key_id, secret, signed, date)
    headers["Accept"] = "application/json"
    return Request("GET", f"{account.endpoint}{path}?{canonical_query(query)}", headers)


PROVIDER: Provider[HuaweiAccount, HuaweiStream] = Provider(
    name="huawei",
    title="Huawei Cloud Live",
    aliases=("huaweicloud", "huawei_live", "hwcloud"),
    account=HuaweiAccount,
    stream=HuaweiStream,
    # https://support.huaweicloud.com/api-live/ListLiveStreamsOnline.html
    single=Api(action=ONLINE, limit=lambda _account: LIMIT, ask=_ask, read=_read),
    listings=(
        Listing(
            action=ONLINE,
            limit=lambda _account: LIMIT,
            scope=lambda _account, stream: stream.domain,
            keys=_keys,
            ask=_ask_domain,
            read=_read_domain,
            pages=lambda _account, streams: -(-streams // ROWS),
        ),
    ),
    sign=_sign,
    hides=("Authorization", "Signature", "X-Security-Token"),
    metric_sources={
        "stream_state": ONLINE,
        "stream_start_timestamp_seconds": "Huawei start_time",
        **dict.fromkeys(("stream_ingest_frames_per_second", *PICTURE, STALLED), f"Huawei {ONLINE}"),
    },
    environment={
        "access_key": ("HUAWEICLOUD_SDK_AK",),
        "secret_key": ("HUAWEICLOUD_SDK_SK",),
        "security_token": ("HUAWEICLOUD_SDK_SECURITY_TOKEN",),
    },
    credentials=("access_key", "secret_key", "security_token"),
    # https://github.com/huaweicloud/huaweicloud-sdk-python-v3
    sources=(leases.profile_source("Huawei Cloud", *PROFILE, section="basic", names=("ak", "sk", "security_token")),),
    callbacks=Callbacks(
        method="POST", events=tuple(EVENTS), key_field="callback_key", verify=verify, keys=_keys, authentic=True
    ),
)
