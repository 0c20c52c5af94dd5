"""Alibaba ApsaraVideo Live (live 2016-11-01): DescribeLiveStreamState, and DescribeLiveStreamsOnlineList per domain."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from exporter.document import MOST_VALUES
from exporter.model import (
    Account,
    Answer,
    Call,
    Credentials,
    Endpoint,
    Moment,
    Reply,
    Request,
    SecretField,
    State,
    Stream,
    Text,
)
from exporter.provider import (
    MEBIBYTE,
    Api,
    Callbacks,
    Heard,
    Listing,
    Malformed,
    Page,
    Provider,
    ProviderError,
    Received,
    Refused,
    decimal,
    definite,
    envelope,
    host,
    message_of,
    object_of,
    pages_of,
    request_id_of,
    rows_of,
    same,
    text_of,
    timestamp,
    utc_seconds,
    values_of,
    word,
)
from exporter.signing import acs3, callbacks
from exporter.signing.encoding import EMPTY_SHA256, canonical_query

VERSION = "2016-11-01"
STATE = "DescribeLiveStreamState"
ONLINE = "DescribeLiveStreamsOnlineList"
STATES = {"online": State.ACTIVE, "offline": State.INACTIVE, "forbidden": State.FORBIDDEN}
PAGE_SIZE = 3000


class AlibabaAccount(Account):
    """An Alibaba Cloud account, by an AccessKey of RAM."""

    endpoint: Endpoint = Field("https://live.aliyuncs.com", description="host of the live API")
    access_key_id: SecretField
    access_key_secret: SecretField
    security_token: SecretField
    callback_key: SecretField


class AlibabaStream(Stream):
    """A stream by its ingest (or streaming) domain, app and stream name."""

    domain: Text = Field(description="ingest or streaming domain")
    app: Text = Field(description="AppName")
    stream: Text | None = Field(None, description="StreamName; default: name")
    streaming_domain: Text | None = Field(
        None, description="main streaming domain, which allows one call for all streams of the domain"
    )


def _ask(_account: AlibabaAccount, stream: AlibabaStream) -> Call:
    name = stream.stream or stream.name
    return Call(STATE, VERSION, {"AppName": stream.app, "DomainName": stream.domain, "StreamName": name})


def _response(reply: Reply, action: str, values: int = MOST_VALUES) -> dict[str, Any]:
    """Return the answer's object, flat as the API sends it or nested as its old pages show it; raise its error."""
    found = envelope(reply, values)
    nested = found.get(f"{action}Response")
    if nested is not None:
        found = object_of(found, f"{action}Response")
    if found.get("Code") is not None:
        raise ProviderError(text_of(found, "Code"), message_of(found), request_id_of(found))
    definite(reply)
    return found


def _read(_account: AlibabaAccount, _stream: AlibabaStream, reply: Reply) -> Answer:
    found = _response(reply, STATE)
    state = STATES.get(text_of(found, "StreamState"))
    if state is None:
        raise Malformed("StreamState holds an unknown value")
    kind = found.get("Type")
    ingest = kind if kind == "push" or kind == "pull" else None
    return Answer(state, ingest=ingest, request_id=request_id_of(found))


def _scope(_account: AlibabaAccount, stream: AlibabaStream) -> str | None:
    return stream.streaming_domain


def _keys(_account: AlibabaAccount, stream: AlibabaStream) -> tuple[tuple[str, str], ...]:
    return ((stream.app, stream.stream or stream.name),)


def _ask_online(_account: AlibabaAccount, domain: str, page: int) -> Call:
    return Call(ONLINE, VERSION, {"DomainName": domain, "OnlyStream": "yes", "PageNum": page, "PageSize": PAGE_SIZE})


def _read_online(_account: AlibabaAccount, reply: Reply) -> Page:
    found = _response(reply, ONLINE, values_of(PAGE_SIZE))
    request_id = request_id_of(found)
    info = object_of(found, "OnlineInfo") if found.get("OnlineInfo") is not None else {}
    rows: dict[Any, Answer | None] = {}
    listed = rows_of(info, "LiveStreamOnlineInfo")
    for row in listed:
        # PublishUrl, where it is sent, may carry an auth_key: only these three fields are looked at.
        key = (text_of(row, "AppName"), text_of(row, "StreamName"))
        rows[key] = Answer(State.ACTIVE, started=utc_seconds(row.get("PublishTime")), request_id=request_id)
    return Page(rows, pages=pages_of(found, PAGE_SIZE), last=len(listed) < PAGE_SIZE)


def _sign(account: AlibabaAccount, credentials: Credentials, call: Call, moment: Moment) -> Request:
    """Sign in the V3 style (ACS3-HMAC-SHA256): POST, parameters in the query, empty body."""
    query = [(name, str(value)) for name, value in call.params.items()]
    headers = {
        "host": host(account.endpoint),
        "x-acs-action": call.action,
        "x-acs-content-sha256": EMPTY_SHA256,
        "x-acs-date": timestamp(moment, "%Y-%m-%dT%H:%M:%SZ"),
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


EVENTS = {"publish": True, "publish_done": False}
CALLBACK_SECONDS = 300


def _hear(_account: AlibabaAccount, key: str, received: Received, now: float) -> Heard:
    """Verify ALI-LIVE-SIGNATURE over domain, time and key; the query is not signed."""
    action, domain, app, stream = (word(received.query.get(name)) for name in ("action", "app", "appname", "id"))
    event = action if action in EVENTS else "unknown"
    stamp, signature = (word(received.headers.get(f"ali-live-{name}")) for name in ("timestamp", "signature"))
    # The ingest domain; an older edition of the documentation says the callback URL's host.
    expected = [callbacks.alibaba(domain=name, timestamp=stamp, key=key) for name in (domain, received.host)]
    sent = decimal(stamp)
    if sent is None or True not in [same(mine, signature.lower()) for mine in expected]:
        raise Refused("forged", event)
    if abs(now - sent) > CALLBACK_SECONDS:
        raise Refused("expired", event)
    told = decimal(received.query.get("time"))
    at = float(min(told, sent) if told else sent)
    return Heard(
        event=event,
        live=EVENTS.get(event),
        keys=((domain, app, stream), ("", app, stream)) if stream and event in EVENTS else (),
        identity=(event, domain, app, stream, at),
        session="",
        order=at,
        at=at,
        # Why a push ended is not told.
        ended="unknown" if event == "publish_done" else None,
    )


def _callback_keys(_account: AlibabaAccount, stream: AlibabaStream) -> tuple[tuple[str, str, str], ...]:
    """Callbacks name the ingest domain; a stream that is configured by its streaming domain matches any."""
    domain = "" if stream.domain == stream.streaming_domain else stream.domain
    return ((domain, stream.app, stream.stream or stream.name),)


PROVIDER: Provider[AlibabaAccount, AlibabaStream] = Provider(
    name="alibaba",
    title="Alibaba ApsaraVideo Live",
    account=AlibabaAccount,
    stream=AlibabaStream,
    single=Api(action=STATE, version=VERSION, limit=lambda _account: 30.0, ask=_ask, read=_read),
    listings=(
        Listing(
            action=ONLINE,
            version=VERSION,
            limit=lambda _account: 10_000 / 60,
            scope=_scope,
            keys=_keys,
            ask=_ask_online,
            read=_read_online,
            pages=lambda _account, streams: -(-streams // PAGE_SIZE),
            largest=4 * MEBIBYTE,
        ),
    ),
    sign=_sign,
    environment={
        "access_key_id": ("ALIBABA_CLOUD_ACCESS_KEY_ID",),
        "access_key_secret": ("ALIBABA_CLOUD_ACCESS_KEY_SECRET",),
        "security_token": ("ALIBABA_CLOUD_SECURITY_TOKEN",),
    },
    credentials=("access_key_id", "access_key_secret", "security_token"),
    callbacks=Callbacks(method="GET", events=tuple(EVENTS), key_field="callback_key", hear=_hear, keys=_callback_keys),
)
