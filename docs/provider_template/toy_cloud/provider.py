"""Toy Cloud: it signs in headers and in a parameter that no other cloud has."""

from __future__ import annotations

import base64

from pydantic import Field

from exporter.fields import Endpoint, SecretField, Text
from exporter.model import Account, Answer, Call, Credentials, Moment, Reply, Request, State, Stream
from exporter.providers import reading
from exporter.providers.encoding import hmac_sha256, percent, sha256_hex, utf8
from exporter.providers.interface import Api, Provider, ProviderError


class ToyAccount(Account):
    """An owner of toys."""

    endpoint: Endpoint = Field("https://toys.example", description="the toy box")
    owner: Text = Field(description="whose toys they are")
    toy_key: SecretField
    toy_token: SecretField


class ToyStream(Stream):
    """One toy."""


def _ask(account: ToyAccount, stream: ToyStream) -> Call:
    return Call("Play", "1", {"owner": account.owner, "toy": stream.name})


def _read(_account: ToyAccount, _stream: ToyStream, _call: Call, reply: Reply) -> Answer:
    found = reading.envelope(reply)
    ticket = reading.id_of(found, "ticket")
    if "broken" in found:
        raise ProviderError(reading.text_of(found, "broken"), reading.message_of(found, "why"), ticket)
    reading.check_success(reply, found)
    playing = reading.boolean_of(found, "playing")
    return Answer(State.ACTIVE if playing else State.INACTIVE, media=(("toy", playing),), request_id=ticket)


def _sign(account: ToyAccount, credentials: Credentials, call: Call, moment: Moment) -> Request:
    seal = hmac_sha256(utf8(credentials.key_secret.reveal()), f"{call.params['toy']}{int(moment.now)}")
    url = f"{account.endpoint}/play?toy={percent(str(call.params['toy']))}&stamp={sha256_hex(seal)}"
    headers = {
        "X-Toy-Seal": f'Toy owner="{account.owner}", seal="{base64.b64encode(seal).decode()}"',
        "X-Toy-Token": credentials.token.reveal() if credentials.token else "",
    }
    return Request("GET", url, headers)


PROVIDER: Provider[ToyAccount, ToyStream] = Provider(
    name="toy",
    title="Toy Cloud",
    account=ToyAccount,
    stream=ToyStream,
    single=Api(action="Play", limit=lambda _account: 100.0, ask=_ask, read=_read),
    sign=_sign,
    hides=("X-Toy-Seal", "seal", "X-Toy-Token", "stamp"),
    metric_sources={"stream_state": "Play", "stream_media_active": "Toy Play"},
    environment={"toy_key": ("TOY_KEY",)},
    credentials=("", "toy_key", "toy_token"),
)
