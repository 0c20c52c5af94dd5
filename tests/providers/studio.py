"""A media server that has lists only: pages by token, XML, Basic authorization, bare statuses."""

from __future__ import annotations

import base64
from typing import Any

from pydantic import Field

from exporter.fields import Endpoint, SecretField, Text
from exporter.model import Account, Answer, Call, Credentials, Moment, Reply, Request, State, Stream
from exporter.providers import xml
from exporter.providers.encoding import percent
from exporter.providers.interface import Listing, Malformed, Page, Provider
from exporter.providers.reading import check_status


class StudioAccount(Account):
    """A server."""

    endpoint: Endpoint = Field("http://studio.example", description="where it listens")
    user: Text = Field("watcher", description="who asks")
    password: SecretField


class StudioStream(Stream):
    """What comes in at it."""


def _ask(_account: StudioAccount, room: str, _page: int) -> Call:
    return Call("list", "", {"room": room})


def _ask_next(_account: StudioAccount, room: str, token: str) -> Call:
    return Call("list", "", {"room": room, "after": token})


def _read(_account: StudioAccount, room: str, _call: Call, reply: Reply) -> Page:
    check_status(reply)
    found = xml.envelope(reply, "streams")
    if found.get("room") != room:
        raise Malformed("another room than was asked for")
    rows: dict[Any, Answer | None] = {row.get("name"): Answer(State.ACTIVE) for row in found.iter("stream")}
    return Page(rows, token=found.get("next", ""))


def _sign(account: StudioAccount, credentials: Credentials, call: Call, _moment: Moment) -> Request:
    query = "&".join(f"{name}={percent(str(value))}" for name, value in call.params.items())
    word = base64.b64encode(f"{account.user}:{credentials.key_secret.reveal()}".encode()).decode()
    return Request("GET", f"{account.endpoint}/list?{query}", {"Authorization": f"Basic {word}"})


PROVIDER: Provider[StudioAccount, StudioStream] = Provider(
    name="studio",
    title="Studio",
    account=StudioAccount,
    stream=StudioStream,
    listings=(
        Listing(
            action="list",
            limit=lambda _account: 100.0,
            scope=lambda _account, _stream: "main",
            keys=lambda _account, stream: (stream.name,),
            ask=_ask,
            ask_next=_ask_next,
            read=_read,
            absent=Answer(State.INACTIVE),
        ),
    ),
    sign=_sign,
    hides=(),
    credentials=("", "password", ""),
)
