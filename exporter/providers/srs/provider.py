"""SRS's HTTP API: the list of streams.

It is the only word: single streams are asked for by ids that change with each start of the server.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from exporter.fields import Endpoint, SecretField, Text
from exporter.model import Account, Answer, Call, Credentials, Figures, Moment, Reply, Request, State, Stream
from exporter.providers import reading
from exporter.providers.authorization import http_authorization, http_warnings
from exporter.providers.document import WHOLE_VALUES
from exporter.providers.encoding import host
from exporter.providers.figures import PICTURE, RATES, STALLED, Columns
from exporter.providers.interface import MEBIBYTE, Listing, Malformed, Page, Provider, ProviderError
from exporter.providers.reading import boolean_of, object_of, rows_of, text_of

STREAMS = "streams"
VERSION = "v1"
# Streams are in no order, so pages are of no use. Fewer rows than asked for are all that there are.
MOST_ROWS = 10_000
UNAUTHORIZED = 401
DEFAULT_VHOST = "__defaultVhost__"
# `recv_30s`, in kbit/s, is 0 in the first 30 seconds: then nobody knows.
COLUMNS = Columns(bits={"all": "recv_30s"}, unit=1000, width="width", height="height", received="recv_bytes", now=False)


class SrsAccount(Account):
    """An SRS server."""

    endpoint: Endpoint = Field(
        "http://127.0.0.1:1985", description="address of the HTTP API (`http_api { enabled on; }`)"
    )
    username: Text | None = Field(None, description="`username` of `http_api.auth`")
    password: SecretField
    token: SecretField


class SrsStream(Stream):
    """A stream by its vhost, app and name."""

    vhost: Text = Field(DEFAULT_VHOST, description="vhost, as the server's configuration names it")
    app: Text = Field("live", description="app")
    stream: Text | None = Field(
        None, description="stream name; default: name. SRS ignores what follows its last dot, so `a.flv` is `a`"
    )


def _ask(_account: SrsAccount, _scope: str, _page: int) -> Call:
    return Call(STREAMS, VERSION, {"count": MOST_ROWS})


def _url(vhost: str, app: str, stream: str) -> str:
    """Return the stream's `url`, by which SRS tells streams apart."""
    return f"{'' if vhost == DEFAULT_VHOST else vhost}/{app}/{stream.rpartition('.')[0] or stream}"


def _keys(_account: SrsAccount, stream: SrsStream) -> tuple[str, ...]:
    return (_url(stream.vhost, stream.app, stream.stream or stream.name),)


def _read(_account: SrsAccount, _scope: str, _call: Call, reply: Reply) -> Page:
    """Read all streams. Who only waits for one makes it stand here too."""
    if reply.status == UNAUTHORIZED and not reply.body:
        raise ProviderError(str(UNAUTHORIZED))
    found = reading.envelope(reply, WHOLE_VALUES)
    code = reading.envelope_field(reply, found, "code", int, beside="server")
    if code and reply.status == reading.OK:
        raise ProviderError(str(code))
    reading.check_success(reply, found, own=("code",))
    # An API that does not exist answers like this, too.
    if "streams" not in found:
        raise Malformed("the answer has no streams")
    listed = rows_of(found, "streams")
    rows: dict[Any, Answer | None] = {_key(row): _answer(row) for row in listed}
    return Page(rows, complete=len(rows) == len(listed) < MOST_ROWS)


def _key(row: Mapping[str, Any]) -> str:
    """Return a row's `url`; `vhost` is an id, and `tcUrl` may name an address."""
    url = text_of(row, "url")
    vhost = url.partition("/")[0] or DEFAULT_VHOST
    if url != _url(vhost, text_of(row, "app"), text_of(row, "name")):
        raise Malformed("url names another stream than app and name")
    return url


def _answer(row: Mapping[str, Any]) -> Answer:
    if not boolean_of(object_of(row, "publish"), "active"):
        return Answer(State.INACTIVE)
    return Answer(State.ACTIVE, figures=_figures(row))


def _figures(row: Mapping[str, Any]) -> Figures | None:
    rate = object_of(row, "kbps", {}).get("recv_30s")
    return COLUMNS.read({**object_of(row, "video", {}), "recv_30s": rate or None, "recv_bytes": row.get("recv_bytes")})


def _sign(account: SrsAccount, credentials: Credentials, call: Call, _moment: Moment) -> Request:
    headers = {"Host": host(account.endpoint), "Accept": "application/json"}
    # Without the slash before the question mark it answers with a redirect.
    url = f"{account.endpoint}/api/{call.version}/streams/?count={call.params['count']}"
    return Request("GET", url, headers | http_authorization(account.username, credentials))


PROVIDER: Provider[SrsAccount, SrsStream] = Provider(
    name="srs",
    title="SRS",
    aliases=("ossrs", "simple_realtime_server"),
    account=SrsAccount,
    stream=SrsStream,
    listings=(
        # https://ossrs.io/lts/en-us/docs/v7/doc/http-api#streams
        Listing(
            action=STREAMS,
            limit=lambda _account: 10.0,  # our own: the server has none
            scope=lambda account, _stream: account.name,
            keys=_keys,
            ask=_ask,
            read=_read,
            absent=Answer(State.INACTIVE),
            largest=16 * MEBIBYTE,
        ),
    ),
    sign=_sign,
    hides=("Authorization",),
    metric_sources={"stream_state": "SRS streams", **dict.fromkeys((RATES[0], *PICTURE, STALLED), "SRS streams")},
    credentials=("", "password", "token"),
    keyless=True,
    warnings=lambda account, _streams: http_warnings(account.username, account.password, account.token),
    counted_by=lambda account: account.endpoint,
)
