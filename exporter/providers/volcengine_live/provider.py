"""Volcengine Live (2023-01-01): DescribeLiveStreamState, and DescribeLiveStreamInfoByPage for the whole account."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from exporter.fields import Domain, Endpoint, SecretField, Text
from exporter.model import Account, Answer, Call, Credentials, Moment, Reply, Request, State, Stream
from exporter.providers import reading
from exporter.providers import volcengine_openapi as openapi
from exporter.providers.interface import MEBIBYTE, Api, Callbacks, Listing, Page, Provider
from exporter.providers.reading import text_of
from exporter.providers.volcengine_live import callbacks

VERSION = "2023-01-01"
STATE = "DescribeLiveStreamState"
ONLINE = "DescribeLiveStreamInfoByPage"
SERVICE = "live"
PAGE_SIZE = 1000
STATES = {"online": State.ACTIVE, "offline": State.INACTIVE, "forbidden": State.FORBIDDEN}
INGEST = {"push": "push", "pull": "pull", "relay": "pull"}


class VolcengineLiveAccount(Account):
    """A Volcengine or BytePlus account, by an access key of IAM."""

    endpoint: Endpoint = Field("https://live.volcengineapi.com", description="host of the live API")
    access_key_id: SecretField
    secret_access_key: SecretField
    session_token: SecretField
    callback_key: SecretField
    region: Text = Field("cn-north-1", description="region of the signature's scope")


class VolcengineLiveStream(Stream):
    """A stream by its vhost or push domain, app and stream name."""

    vhost: Text | None = Field(None, description="Vhost, the domain space; either this or domain")
    domain: Domain | None = Field(None, description="push or pull domain; either this or vhost")
    app: Text = Field(description="App")
    stream: Text | None = Field(None, description="Stream; default: name")


def _ask(_account: VolcengineLiveAccount, stream: VolcengineLiveStream) -> Call:
    where = {"Vhost": stream.vhost} if stream.vhost is not None else {"Domain": stream.domain or ""}
    return Call(STATE, VERSION, {**where, "App": stream.app, "Stream": stream.stream or stream.name})


def _ingest(row: dict[str, Any], name: str) -> Any:
    """Return how a stream comes in; None if the answer does not say so in a documented word."""
    word = row.get(name)
    return INGEST.get(word) if isinstance(word, str) else None


def _read(_account: VolcengineLiveAccount, _stream: VolcengineLiveStream, call: Call, reply: Reply) -> Answer:
    result, request_id = openapi.result(reply, call, SERVICE)
    state = reading.choice_of(result, "stream_state", STATES)
    return Answer(state, ingest=_ingest(result, "type"), request_id=request_id)


def _keys(_account: VolcengineLiveAccount, stream: VolcengineLiveStream) -> tuple[tuple[str, str, str, str], ...]:
    return callbacks.addresses(stream.vhost or "", stream.domain or "", stream.app, stream.stream or stream.name)


def _ask_online(_account: VolcengineLiveAccount, _scope: str, page: int) -> Call:
    # Without StreamType=origin transcoded streams are listed too.
    return Call(ONLINE, VERSION, {"PageNum": page, "PageSize": PAGE_SIZE, "StreamType": "origin"})


def _read_online(_account: VolcengineLiveAccount, _scope: str, call: Call, reply: Reply) -> Page:
    result, request_id = openapi.result(reply, call, SERVICE, reading.value_limit(PAGE_SIZE))
    listed = reading.rows_of(result, "StreamInfoList")
    rows: dict[Any, Answer | None] = {}
    for row in listed:
        started, ingest = reading.utc_seconds(row.get("SessionStartTime")), _ingest(row, "SourceType")
        answer = Answer(State.ACTIVE, started=started, ingest=ingest, request_id=request_id)
        vhost, domain = text_of(row, "Vhost", ""), text_of(row, "Domain", "")
        for key in callbacks.addresses(vhost, domain, text_of(row, "App"), text_of(row, "Stream")):
            rows.setdefault(key, answer)
    full = len(listed) >= PAGE_SIZE
    # RoughCount counts all streams or, by an older page of the documentation, those of this page.
    total = reading.integer_of(result, "RoughCount", 0)
    pages = max(int(call.params["PageNum"]) + full, -(-total // PAGE_SIZE))
    return Page(rows, pages=pages, last=not full, size=len(listed))


def _sign(account: VolcengineLiveAccount, credentials: Credentials, call: Call, moment: Moment) -> Request:
    return openapi.sign(account, credentials, call, moment, (account.region, SERVICE))


def _problems(_account: VolcengineLiveAccount, stream: VolcengineLiveStream) -> list[tuple[str, str]]:
    if stream.vhost is None and stream.domain is None:
        return [("vhost", "is missing: give vhost or domain")]
    if stream.vhost is not None and stream.domain is not None:
        return [("domain", "stands beside vhost: the API takes one of them")]
    return []


PROVIDER: Provider[VolcengineLiveAccount, VolcengineLiveStream] = Provider(
    name="volcengine_live",
    title="Volcengine Live",
    aliases=("volc_live", "byteplus_live", "byteplus_medialive"),
    account=VolcengineLiveAccount,
    stream=VolcengineLiveStream,
    # Action and limit: https://www.volcengine.com/docs/6469/1126847
    single=Api(action=STATE, limit=lambda _account: 10.0, ask=_ask, read=_read),
    listings=(
        # https://www.volcengine.com/docs/6469/1126841
        Listing(
            action=ONLINE,
            limit=lambda _account: 10.0,
            scope=lambda account, _stream: account.name,
            keys=_keys,
            ask=_ask_online,
            read=_read_online,
            pages=lambda _account, streams: -(-streams // PAGE_SIZE),
            largest=2 * MEBIBYTE,
        ),
    ),
    sign=_sign,
    hides=openapi.HIDES,
    metric_sources={
        "stream_state": STATE,
        "stream_ingest_info": f"Volcengine Live {STATE}",
        "stream_start_timestamp_seconds": f"SessionStartTime of {ONLINE}",
    },
    environment=openapi.ENVIRONMENT,
    credentials=openapi.CREDENTIALS,
    sources=openapi.SOURCES,
    callbacks=Callbacks(
        method="POST", events=tuple(callbacks.LIVE), key_field="callback_key", verify=callbacks.verify, keys=_keys
    ),
    problems=_problems,
)
