"""Alibaba ApsaraVideo Live (live 2016-11-01): DescribeLiveStreamState, and DescribeLiveStreamsOnlineList per domain."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import Field

from exporter.fields import Domain, Endpoint, SecretField, Text
from exporter.model import Account, Answer, Call, Credentials, Figures, Moment, Reply, Request, State, Stream
from exporter.providers import reading
from exporter.providers.alibaba import signing as acs3
from exporter.providers.alibaba.addresses import SIGNER
from exporter.providers.alibaba.credentials import SOURCES
from exporter.providers.document import MOST_VALUES
from exporter.providers.encoding import EMPTY_SHA256, canonical_query, host, same, timestamp
from exporter.providers.figures import PICTURE, RATES, Columns
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
    ProviderError,
    Refused,
)
from exporter.providers.reading import as_integer, as_text, text_of

VERSION = "2016-11-01"
STATE = "DescribeLiveStreamState"
ONLINE = "DescribeLiveStreamsOnlineList"
RATES_OF_DOMAIN = "DescribeLiveDomainFrameRateAndBitRateData"
STATES = {"online": State.ACTIVE, "offline": State.INACTIVE, "forbidden": State.FORBIDDEN}
PAGE_SIZE = 3000
# The vendor advises to ask for what is five minutes old, and gives no time stamp:
# https://help.aliyun.com/zh/live/developer-reference/api-live-2016-11-01-describelivedomainframerateandbitratedata
RATES_LAG = 300.0
RATES_SECONDS = 60.0
RATES_ROWS = 10_000  # ours: the answer has no pages
_STREAM_URL = re.compile(r"[a-z]+://([^/?#@:]+)(?::[0-9]+)?/([^/?#]+)/([^?#]+)(?:[?#].*)?", re.DOTALL)


class AlibabaAccount(Account):
    """An Alibaba Cloud account, by an AccessKey of RAM."""

    endpoint: Endpoint = Field("https://live.aliyuncs.com", description="host of the live API")
    access_key_id: SecretField
    access_key_secret: SecretField
    security_token: SecretField
    callback_key: SecretField


class AlibabaStream(Stream):
    """A stream by its ingest (or streaming) domain, app and stream name."""

    domain: Domain = Field(description="ingest or streaming domain")
    app: Text = Field(description="AppName")
    stream: Text | None = Field(None, description="StreamName; default: name")
    streaming_domain: Domain | None = Field(
        None, description="main streaming domain, which allows one call for all streams of the domain"
    )


def _ask(_account: AlibabaAccount, stream: AlibabaStream) -> Call:
    name = stream.stream or stream.name
    return Call(STATE, VERSION, {"AppName": stream.app, "DomainName": stream.domain, "StreamName": name})


def _response(reply: Reply, action: str, values: int = MOST_VALUES) -> dict[str, Any]:
    """Return the answer's object, or raise its error.

    The API sends it flat; older pages of the documentation nest it under `<action>Response`.
    """
    document = response = reading.envelope(reply, values)
    nested = f"{action}Response"
    if response.get(nested) is not None:
        response = reading.envelope_field(reply, response, nested, dict, beside="RequestId")
    if response.get("Code") is not None:
        code = reading.envelope_field(reply, response, "Code", str, beside="RequestId")
        raise ProviderError(code, reading.message_of(response, "Message"), reading.id_of(response, "RequestId"))
    reading.check_success(reply, document)
    if response is not document:
        reading.check_consistent(document, response)
    return response


def _read(_account: AlibabaAccount, _stream: AlibabaStream, call: Call, reply: Reply) -> Answer:
    response = _response(reply, STATE)
    reading.check_echo(response, {"Action": STATE, **call.params}, domain="DomainName")
    state = reading.choice_of(response, "StreamState", STATES)
    kind = response.get("Type")
    ingest = kind if kind == "push" or kind == "pull" else None
    return Answer(state, ingest=ingest, request_id=reading.id_of(response, "RequestId"))


def _scope(_account: AlibabaAccount, stream: AlibabaStream) -> str | None:
    return stream.streaming_domain


def _keys(_account: AlibabaAccount, stream: AlibabaStream) -> tuple[tuple[str, str, str], ...]:
    return ((stream.domain, stream.app, stream.stream or stream.name),)


def _ask_online(_account: AlibabaAccount, domain: str, page: int) -> Call:
    # OnlyStream=yes would leave out PublishDomain, the row's ingest domain.
    return Call(ONLINE, VERSION, {"DomainName": domain, "OnlyStream": "no", "PageNum": page, "PageSize": PAGE_SIZE})


# FrameRate, VideoDataRate and AudioDataRate have the names of FLV's onMetaData: what the encoder says of itself,
# whether anything arrives or not. The size of the picture is no worse for that.
PICTURE_COLUMNS = Columns(width="Width", height="Height", now=False)


def _read_online(_account: AlibabaAccount, domain: str, _call: Call, reply: Reply) -> Page:
    response = _response(reply, ONLINE, reading.value_limit(PAGE_SIZE))
    request_id = reading.id_of(response, "RequestId")
    info = reading.object_of(response, "OnlineInfo", {})
    rows: dict[Any, Answer | None] = {}
    listed = reading.rows_of(info, "LiveStreamOnlineInfo")
    for row in listed:
        # PublishUrl may carry an auth_key: never read it.
        started = reading.utc_seconds(row.get("PublishTime"))
        answer = Answer(State.ACTIVE, started=started, request_id=request_id, figures=PICTURE_COLUMNS.read(row))
        live, key = _published(row, domain)
        for address in live:
            rows.setdefault(address, answer)
        if not live:
            rows.setdefault(key, None)
    pages = reading.page_count(response, "TotalPage", "TotalNum", PAGE_SIZE)
    return Page(rows, pages=pages, last=len(listed) < PAGE_SIZE, size=len(listed))


def _published(row: dict[str, Any], requested: str) -> tuple[list[tuple[str, str, str]], tuple[str, ...]]:
    """Return the addresses (domain, app, stream) that a row proves live, and a key for the row itself.

    A row of the requested streaming domain proves that domain live, and the ingest domain if it names one. A row of
    another streaming domain proves nothing.
    """
    app, name = text_of(row, "AppName"), text_of(row, "StreamName")
    streaming, ingest = (_domain_of(row, field) for field in ("DomainName", "PublishDomain"))
    live = [(one, app, name) for one in dict.fromkeys((requested, ingest)) if one] if streaming == requested else []
    return live, ("row", streaming, ingest, app, name)


def _domain_of(row: dict[str, Any], field: str) -> str:
    """Return a row's domain as the configuration writes it, or an empty text."""
    return text_of(row, field, "").lower().removesuffix(".")


# BitRate is in bytes per second: the vendor's page, see above, says Bps. One old translation of it says bit/s.
RATES_COLUMNS = Columns(bits={"all": "BitRate"}, unit=8.0, frames="VideoFrameRate", now=False)


def _rates_scope(_account: AlibabaAccount, stream: AlibabaStream) -> str | None:
    """The API wants an ingest domain."""
    return stream.domain if stream.domain != stream.streaming_domain else None


def _read_rates(_account: AlibabaAccount, _domain: str, _call: Call, reply: Reply) -> Page:
    response = _response(reply, RATES_OF_DOMAIN, reading.value_limit(RATES_ROWS))
    infos = reading.object_of(response, "FrameRateAndBitRateInfos")
    figures: dict[Any, Figures] = {}
    keys: dict[Any, None] = {}
    for row in reading.rows_of(infos, "FrameRateAndBitRateInfo"):
        # The query may carry an auth_key: it is not read.
        if (url := _STREAM_URL.fullmatch(text_of(row, "StreamUrl"))) is None:
            continue
        domain, app, name = url.groups()
        keys[key := (domain.lower(), app, name)] = None
        if (found := RATES_COLUMNS.read(row)) is not None:
            figures[key] = found
    return Page(keys, last=True, figures=figures)


def _sign(account: AlibabaAccount, credentials: Credentials, call: Call, moment: Moment) -> Request:
    """Sign a POST with the parameters in the query and an empty body: https://help.aliyun.com/document_detail/2593177.html."""
    query = [(name, str(value)) for name, value in call.params.items()]
    if call.action == RATES_OF_DOMAIN:
        query.append(("QueryTime", timestamp(moment.now - RATES_LAG, "%Y-%m-%dT%H:%M:%SZ")))
    headers = {
        "host": host(account.endpoint),
        "x-acs-action": call.action,
        "x-acs-content-sha256": EMPTY_SHA256,
        "x-acs-date": timestamp(moment.now, "%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": moment.nonce,
        "x-acs-version": call.version,
    }
    if credentials.token:
        headers["x-acs-security-token"] = credentials.token.reveal()
    headers["Authorization"] = acs3.authorization(
        access_key_id=credentials.key_id,
        access_key_secret=credentials.key_secret.reveal(),
        method="POST",
        query=query,
        headers=headers,
    )
    headers["Accept"] = "application/json"
    return Request("POST", f"{account.endpoint}/?{canonical_query(query)}", headers)


def _waits(reply: Reply) -> list[float]:
    """Read the two headers that the vendor's SDKs read, in milliseconds.

    They are x-acs-retry-after, and x-ratelimit-user-api (Limit:1,Remain:0,TimeLeft:2000), whose TimeLeft counts while
    Remain is 0.
    """
    parts = reply.headers.get("x-ratelimit-user-api", "").split(",")
    fields = dict(part.strip().partition(":")[::2] for part in parts)
    left = fields.get("TimeLeft") if 0.0 in reading.wait_seconds((fields.get("Remain"), 1.0)) else None
    return reading.wait_seconds((reply.headers.get("x-acs-retry-after"), 0.001), (left, 0.001))


# https://help.aliyun.com/zh/live/developer-reference/api-live-2016-11-01-setlivestreamsnotifyurlconfig
EVENTS = {"publish": True, "publish_done": False}
CALLBACK_SECONDS = 300


def _verify(_account: AlibabaAccount, key: str, callback: Callback, now: float) -> Event:
    """Verify ALI-LIVE-SIGNATURE, which covers only domain, time and key."""
    action, domain, app, stream = (as_text(callback.query.get(name)) for name in ("action", "app", "appname", "id"))
    event = action if action in EVENTS else "unknown"
    stamp, signature = (as_text(callback.headers.get(f"ali-live-{name}")) for name in ("timestamp", "signature"))
    # The domain is the ingest domain, or, in older documentation, the host of the callback URL.
    expected = [acs3.callback_signature(domain=name, timestamp=stamp, key=key) for name in (domain, callback.host)]
    sent = as_integer(stamp)
    if sent is None or True not in [same(mine, signature.lower()) for mine in expected]:
        raise Refused("forged", event)
    if abs(now - sent) > CALLBACK_SECONDS:
        raise Refused("expired", event)
    at = reading.event_time(callback.query, {"time": 1.0}, sent)
    return Event(
        event=event,
        live=EVENTS.get(event),
        keys=((domain.lower(), app, stream), ("", app, stream)) if stream and event in EVENTS else (),
        sent=float(sent),
        identity=(event, domain, app, stream, at),
        session="",
        order=at,
        at=at,
        # Callbacks do not say why a push ended.
        end_reason="unknown" if event == "publish_done" else None,
    )


def _callback_keys(_account: AlibabaAccount, stream: AlibabaStream) -> tuple[tuple[str, str, str], ...]:
    """Match by ingest domain, which is what callbacks name; a stream configured by its streaming domain matches any."""
    domain = "" if stream.domain == stream.streaming_domain else stream.domain
    return ((domain, stream.app, stream.stream or stream.name),)


def _warnings(_account: AlibabaAccount, streams: Sequence[AlibabaStream]) -> Iterator[ConfigWarning]:
    """Find streams that the list of a streaming domain can tell apart only by their ingest domain."""
    alike: dict[tuple[str, str, str], list[AlibabaStream]] = {}
    for stream in streams:
        if stream.streaming_domain:
            key = (stream.streaming_domain, stream.app, stream.stream or stream.name)
            alike.setdefault(key, []).append(stream)
    for several in alike.values():
        if len({stream.domain for stream in several}) > 1:
            names = ", ".join(f"'{reading.printable(stream.name, 64)}'" for stream in several[:5])
            more = f" and {len(several) - 5} more" if len(several) > 5 else ""
            yield ConfigWarning(
                "name",
                f"the streams {names}{more} differ only by their ingest domain under one streaming_domain: {ONLINE} "
                "tells them apart by PublishDomain, and where it names none they are asked singly",
            )


PROVIDER: Provider[AlibabaAccount, AlibabaStream] = Provider(
    name="alibaba",
    title="Alibaba ApsaraVideo Live",
    aliases=("aliyun", "alicloud", "apsaravideo"),
    account=AlibabaAccount,
    stream=AlibabaStream,
    # 30/s in older documentation, 100/s since 2025-12, per account including its RAM users:
    # https://help.aliyun.com/zh/live/developer-reference/api-live-2016-11-01-describelivestreamstate
    single=Api(action=STATE, limit=lambda _account: 30.0, newer=100.0, ask=_ask, read=_read),
    listings=(
        # https://www.alibabacloud.com/help/en/live/developer-reference/api-live-2016-11-01-describelivestreamsonlinelist
        Listing(
            action=ONLINE,
            limit=lambda _account: 10_000 / 60,
            scope=_scope,
            keys=_keys,
            ask=_ask_online,
            read=_read_online,
            pages=lambda _account, streams: -(-streams // PAGE_SIZE),
            largest=6 * MEBIBYTE,
        ),
    ),
    figures=(
        # 100/s per account: see above
        Listing(
            action=RATES_OF_DOMAIN,
            limit=lambda _account: 100.0,
            scope=_rates_scope,
            keys=_keys,
            ask=lambda _account, domain, _page: Call(RATES_OF_DOMAIN, VERSION, {"DomainName": domain}),
            read=_read_rates,
            every=lambda _account: RATES_SECONDS,
            lag=RATES_LAG,
            largest=8 * MEBIBYTE,
        ),
    ),
    sign=_sign,
    hides=("Authorization", "Signature", "x-acs-security-token"),
    waits=_waits,
    metric_sources={
        "stream_state": STATE,
        "stream_start_timestamp_seconds": "PublishTime of a list of streams online",
        "stream_ingest_info": f"Alibaba {STATE}",
        **dict.fromkeys(RATES, f"Alibaba {RATES_OF_DOMAIN}, of five minutes ago"),
        **dict.fromkeys(PICTURE, f"Alibaba {ONLINE}"),
    },
    environment={
        "access_key_id": ("ALIBABA_CLOUD_ACCESS_KEY_ID",),
        "access_key_secret": ("ALIBABA_CLOUD_ACCESS_KEY_SECRET",),
        "security_token": ("ALIBABA_CLOUD_SECURITY_TOKEN",),
    },
    credentials=("access_key_id", "access_key_secret", "security_token"),
    sources=SOURCES,
    callbacks=Callbacks(
        method="GET", events=tuple(EVENTS), key_field="callback_key", verify=_verify, keys=_callback_keys
    ),
    address_signer=SIGNER,
    warnings=_warnings,
)
