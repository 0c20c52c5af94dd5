"""nginx with the RTMP module: its statistics page in XML (rtmp_stat), which lists the streams of one worker process.

How the page is written: https://github.com/arut/nginx-rtmp-module/blob/master/ngx_rtmp_stat_module.c
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from typing import Annotated
from urllib.parse import quote
from xml.etree.ElementTree import Element  # nosec B405 - only the type: nothing is parsed with it

from pydantic import AfterValidator, Field

from exporter.fields import Endpoint, SecretField, Text
from exporter.model import Account, Answer, Call, Credentials, Figures, Moment, Reply, Request, State, Stream
from exporter.providers import xml
from exporter.providers.authorization import http_authorization, http_warnings
from exporter.providers.document import LISTED_VALUES
from exporter.providers.encoding import utf8
from exporter.providers.figures import PICTURE, RATES, STALLED, Columns
from exporter.providers.interface import MEBIBYTE, Listing, Malformed, NoEnvelope, Page, Provider, ProviderError
from exporter.providers.reading import OK, as_integer, check_fresh
from exporter.providers.xml import child_of, integer_of, is_marked, text_of

STAT = "rtmp_stat"
REFUSED = (401, 403)
AVERAGED_MILLISECONDS = 12_000  # bit rates are averages of ten seconds, and 0 until the first of them is there
STILL_SECONDS = 5.0
_PATH = re.compile(r"/[!$->@-~]*", re.ASCII)
COLUMNS = Columns(
    bits={"video": "bw_video", "audio": "bw_audio"}, frames="frame_rate", width="width", height="height", now=False
)


def _path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise ValueError("is not the path of a page, such as /stat")
    return text


class NginxRtmpAccount(Account):
    """An nginx server with the RTMP module."""

    endpoint: Endpoint = Field("http://127.0.0.1:8080", description="where nginx serves the statistics page")
    path: Annotated[Text, AfterValidator(_path)] = Field("/stat", description="the location with `rtmp_stat all`")
    username: Text | None = Field(None, description="user name, where `auth_basic` wants one")
    password: SecretField


class NginxRtmpStream(Stream):
    """A stream that is published to one of its applications."""

    app: Text = Field("live", description="the application")
    stream: Text | None = Field(None, description="name of the stream; default: name")


# --- names -----------------------------------------------------------------------------------------------------------


def _shown(name: str) -> str:
    """Return a name as the page shows it: each byte that is not printable ASCII becomes a space."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else " " for byte in utf8(name))


def _address(stream: NginxRtmpStream) -> tuple[str, str]:
    return stream.app, stream.stream or stream.name


def _key(stream: NginxRtmpStream) -> tuple[str, str]:
    app, name = _address(stream)
    return _shown(app), _shown(name)


def _problems(_account: NginxRtmpAccount, stream: NginxRtmpStream) -> list[tuple[str, str]]:
    named = "name" if stream.stream is None else "stream"
    fields = {"app": stream.app, named: _address(stream)[1]}
    problem = "has a ?, which ends a name in RTMP: write what stands before it"
    return [(field, problem) for field, value in fields.items() if "?" in value]


# --- reading ---------------------------------------------------------------------------------------------------------


def _row(stream: Element) -> Answer | None:
    """Return what the page says of a stream that is published; None while only players wait for it."""
    integer_of(stream, "nclients")  # stands behind the clients, and shows that none of them is missing
    if not is_marked(stream, "publishing"):
        return None
    publisher = next((client for client in stream.iterfind("client") if is_marked(client, "publishing")), None)
    lasted = integer_of(publisher, "time") if publisher is not None else None
    return Answer(State.ACTIVE, lasted=None if lasted is None else lasted / 1000, figures=_figures(stream, lasted))


def _figures(stream: Element, lasted: int | None) -> Figures:
    video = stream.find("meta/video")
    fields = {
        child.tag: found
        for part in (stream, video)
        for child in (part if part is not None else ())
        if (found := _real(child.text)) is not None
    }
    if not fields.get("bw_in") and (lasted is None or lasted < AVERAGED_MILLISECONDS):
        fields = {tag: value for tag, value in fields.items() if not tag.startswith("bw_")}
    received = as_integer(stream.findtext("bytes_in"))
    return (COLUMNS.read(fields) or Figures())._replace(received=received, patience=STILL_SECONDS)


def _real(text: str | None) -> float | None:
    """Return a number in plain digits, or None for anything else."""
    whole, _, part = (text or "").partition(".")
    plain = whole.isascii() and whole.isdigit() and (not part or (part.isascii() and part.isdigit()))
    return float(f"{whole}.{part}") if plain and len(whole) < 19 and len(part) < 19 else None


def _read(_account: NginxRtmpAccount, _scope: str, _call: Call, reply: Reply) -> Page:
    check_fresh(reply)
    if reply.status in REFUSED:
        raise ProviderError(str(reply.status))
    if reply.status != OK:
        raise NoEnvelope(f"HTTP {reply.status} instead of the statistics page")
    page = xml.envelope(reply, "rtmp", LISTED_VALUES)
    origin, rows, whole, size = str(integer_of(page, "pid")), dict[Hashable, Answer | None](), set[str](), 0
    for app, streams in _applications(page):
        whole.add(app)
        for stream in streams:
            key, answer, size = (app, _shown(text_of(stream, "name"))), _row(stream), size + 1
            if answer is not None:
                rows[key] = answer
    partial = {_shown(text_of(app, "name")) for app in page.iterfind("server/application") if app.find("live") is None}
    if not whole | partial:
        raise Malformed("no application is listed")

    def absent(key: Hashable) -> Answer | None:
        app = key[0] if isinstance(key, tuple) else ""
        if app in partial:
            return None
        return Answer(State.INACTIVE if app in whole else State.NOT_FOUND)

    return Page(rows, absent=absent, origin=origin, size=size)


def _applications(page: Element) -> Iterator[tuple[str, Sequence[Element]]]:
    """Yield the applications that are listed whole, by name: several servers may have one of the same name."""
    for app in page.iterfind("server/application"):
        live = child_of(app, "live")
        if live is not None:
            integer_of(live, "nclients")
            yield _shown(text_of(app, "name")), live.findall("stream")


# --- the provider ----------------------------------------------------------------------------------------------------


def _sign(account: NginxRtmpAccount, credentials: Credentials, _call: Call, _moment: Moment) -> Request:
    # A kept connection leads to the same worker again.
    headers = {"Accept": "text/xml", "Connection": "close"}
    headers |= http_authorization(account.username, replace(credentials, token=None))
    return Request("GET", account.endpoint + quote(account.path, safe="/%:@!$&'()*+,;=~"), headers)


PROVIDER: Provider[NginxRtmpAccount, NginxRtmpStream] = Provider(
    name="nginx_rtmp",
    title="nginx-rtmp",
    aliases=("nginx", "nginx-rtmp", "rtmp"),
    account=NginxRtmpAccount,
    stream=NginxRtmpStream,
    listings=(
        # https://github.com/arut/nginx-rtmp-module/wiki/Directives#rtmp_stat
        Listing(
            action=STAT,
            limit=lambda _account: 20.0,  # none is documented
            scope=lambda account, _stream: account.name,
            keys=lambda _account, stream: (_key(stream),),
            ask=lambda _account, _scope, _page: Call(STAT, "1"),
            read=_read,
            absent=Answer(State.INACTIVE),
            elsewhere="other_worker",
            largest=16 * MEBIBYTE,
        ),
    ),
    sign=_sign,
    hides=("Authorization",),
    metric_sources={
        "stream_state": f"nginx {STAT}",
        "stream_start_timestamp_seconds": "nginx-rtmp client time",
        **dict.fromkeys((*RATES, *PICTURE, STALLED), f"nginx {STAT}"),
    },
    environment={"password": ("NGINX_RTMP_PASSWORD",)},
    credentials=("", "password", ""),
    keyless=True,
    counted_by=lambda account: account.endpoint,
    problems=_problems,
    warnings=lambda account, _streams: http_warnings(account.username, account.password),
    alike=lambda _account, stream: (_address(stream), _key(stream)),
)
