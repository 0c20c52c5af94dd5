"""MediaMTX's Control API, version 3: the list of paths.

The list is the only word, because one call answers for all paths, and because the server bans addresses that ask with a
wrong password again and again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from exporter.fields import Endpoint, SecretField, Text
from exporter.model import Account, Answer, Call, Credentials, Figures, Moment, Reply, Request, State, Stream
from exporter.providers import reading
from exporter.providers.authorization import http_authorization, http_warnings
from exporter.providers.document import WHOLE_VALUES
from exporter.providers.encoding import host
from exporter.providers.figures import PICTURE, STALLED, Columns
from exporter.providers.interface import MEBIBYTE, Listing, Malformed, Page, Provider, ProviderError
from exporter.providers.reading import boolean_of, integer_of, object_of, rows_of, text_of, utc_seconds

PATHS = "paths"
VERSION = "v3"
PAGE_ROWS = 5000
COLUMNS = Columns(width="width", height="height", received="inboundBytes", now=False)


class MediamtxAccount(Account):
    """A MediaMTX server."""

    endpoint: Endpoint = Field("http://127.0.0.1:9997", description="address of the Control API (`api: yes`)")
    username: Text | None = Field(None, description="user of authInternalUsers with `action: api`")
    password: SecretField
    token: SecretField


class MediamtxStream(Stream):
    """A path that somebody publishes, or that the server pulls."""

    path: Text | None = Field(None, description="name of the path; default: name")


def _ask(_account: MediamtxAccount, _scope: str, page: int) -> Call:
    return Call(PATHS, VERSION, {"itemsPerPage": PAGE_ROWS, "page": page - 1})


def _keys(_account: MediamtxAccount, stream: MediamtxStream) -> tuple[str, ...]:
    return (stream.path or stream.name,)


def _read(_account: MediamtxAccount, _scope: str, _call: Call, reply: Reply) -> Page:
    """Read a page of paths.

    It settles who is missing only if all paths are on it: between two pages, names move on when others come or go.
    """
    found = reading.envelope(reply, WHOLE_VALUES)
    if found.get("status") == "error":
        raise ProviderError(str(reply.status), reading.message_of(found, "error"))
    reading.check_success(reply, found)
    count, pages = integer_of(found, "itemCount"), integer_of(found, "pageCount")
    if "items" not in found or min(count, pages) < 0:
        raise Malformed("the list has no items, or a negative number of them")
    listed = rows_of(found, "items")
    rows: dict[Any, Answer | None] = {text_of(row, "name"): _answer(row) for row in listed}
    return Page(rows, pages=max(1, pages), complete=pages <= 1 and count == len(listed) == len(rows))


def _answer(row: Mapping[str, Any]) -> Answer:
    """Read a path. `online` alone holds for sources that cannot connect, `available` alone for `alwaysAvailable`."""
    if "available" in row:
        live = all((boolean_of(row, "available"), boolean_of(row, "online")))
    else:
        live = boolean_of(row, "ready")  # before version 1.16
    if not live:
        return Answer(State.INACTIVE)
    started = utc_seconds(row.get("onlineTime", row.get("readyTime")))
    return Answer(
        State.ACTIVE,
        started=started if started and started > 0 else None,
        ingest=_ingest(row),
        figures=_figures(row),
    )


def _ingest(row: Mapping[str, Any]) -> Literal["push", "pull"] | None:
    """Tell from names such as `rtmpConn`, `rtspSession` and `srtSource` whether the path is pushed or pulled."""
    kind = text_of(object_of(row, "source", {}), "type", "")
    if kind.endswith(("Conn", "Session")):
        return "push"
    return "pull" if kind.endswith("Source") else None


def _figures(row: Mapping[str, Any]) -> Figures | None:
    """Read the bytes that came in, and the size of the first track that has one."""
    properties = [object_of(track, "codecProps", {}) for track in rows_of(row, "tracks2")]
    picture = next((one for one in properties if "width" in one), {})
    return COLUMNS.read({"inboundBytes": row.get("bytesReceived"), **row, **picture})


def _sign(account: MediamtxAccount, credentials: Credentials, call: Call, _moment: Moment) -> Request:
    headers = {"Host": host(account.endpoint), "Accept": "application/json"}
    query = "&".join(f"{name}={value}" for name, value in call.params.items())
    url = f"{account.endpoint}/{call.version}/paths/list?{query}"
    return Request("GET", url, headers | http_authorization(account.username, credentials))


PROVIDER: Provider[MediamtxAccount, MediamtxStream] = Provider(
    name="mediamtx",
    title="MediaMTX",
    aliases=("media_mtx", "mtx", "rtsp_simple_server"),
    account=MediamtxAccount,
    stream=MediamtxStream,
    listings=(
        # https://github.com/bluenviron/mediamtx/blob/main/api/openapi.yaml
        Listing(
            action=PATHS,
            limit=lambda _account: 10.0,  # our own: the server has none
            scope=lambda account, _stream: account.name,
            keys=_keys,
            ask=_ask,
            read=_read,
            pages=lambda _account, streams: -(-streams // PAGE_ROWS),
            absent=Answer(State.INACTIVE),
            largest=16 * MEBIBYTE,
        ),
    ),
    sign=_sign,
    hides=("Authorization",),
    metric_sources={
        "stream_state": "MediaMTX paths",
        "stream_start_timestamp_seconds": "MediaMTX onlineTime",
        "stream_ingest_info": "MediaMTX source",
        **dict.fromkeys((*PICTURE, STALLED), "MediaMTX paths"),
    },
    credentials=("", "password", "token"),
    keyless=True,
    warnings=lambda account, _streams: http_warnings(account.username, account.password, account.token),
    counted_by=lambda account: account.endpoint,
)
