"""Amazon IVS, low-latency channels (2020-07-14): GetStream, and ListStreams of an account in a region."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field

from exporter.fields import Endpoint, Region, SecretField, Text
from exporter.model import Account, Answer, Call, Credentials, Figures, Moment, Reply, Request, State, Stream
from exporter.providers import amazon_web_services as aws
from exporter.providers import reading
from exporter.providers.document import MOST_VALUES
from exporter.providers.figures import STALLED
from exporter.providers.interface import Api, Listing, Malformed, NoEnvelope, Page, Provider, ProviderError

VERSION = "2020-07-14"
GET = "GetStream"
LIST = "ListStreams"
SERVICE = "ivs"
PAGE_SIZE = 100
NOT_FOUND = 404
LONGEST_TOKEN = 1024
STATES = {"LIVE": State.ACTIVE, "OFFLINE": State.INACTIVE}
# A channel that is not live answers with an error, and so does one that does not exist.
STATES_BY_ERROR = {"ChannelNotBroadcasting": State.INACTIVE, "ResourceNotFoundException": State.NOT_FOUND}
STALLED_BY_HEALTH = {"HEALTHY": False, "STARVING": True}
# A wrong clock has the code of a wrong key and a text of its own; other APIs of AWS call it so.
EXPIRED, EXPIRED_TEXTS = "RequestExpired", ("Signature expired", "Signature not yet current")
_ARN = re.compile(r"arn:aws:ivs:([a-z0-9-]+):[0-9]+:channel/[a-zA-Z0-9-]+", re.ASCII)


class IvsAccount(Account):
    """An AWS account in one region, by an access key of IAM."""

    endpoint: Endpoint = Field("https://ivs.{region}.amazonaws.com", description="host of the IVS API")
    region: Region = Field(description="region of the channels, as in their ARNs")
    access_key_id: SecretField
    secret_access_key: SecretField
    session_token: SecretField


class IvsStream(Stream):
    """A channel by its ARN."""

    channel_arn: Text = Field(description="ARN of the channel")


def _ask(_account: IvsAccount, stream: IvsStream) -> Call:
    return Call(GET, VERSION, {"channelArn": stream.channel_arn})


def _error_code(reply: Reply, document: dict[str, Any]) -> str | None:
    """Return the type of an error, which stands in a header, before a colon, or in the body, behind a hash sign."""
    header, body = reply.headers.get("x-amzn-errortype", "").partition(":")[0].strip(), document.get("__type")
    told = {code for code in (header, body.rpartition("#")[2] if isinstance(body, str) else "") if code}
    if len(told) > 1:
        raise Malformed("header and body name different errors")
    return told.pop() if told else None


def _envelope(reply: Reply, values: int = MOST_VALUES) -> tuple[dict[str, Any], str]:
    """Return the answer's object and request id, or raise its error."""
    document = reading.envelope(reply, values)
    request_id = reading.id_of(reply.headers, "x-amzn-requestid")
    if (code := _error_code(reply, document)) is not None:
        # Errors of the gateway have `message` or `Message` instead.
        texts = (reading.message_of(document, name) for name in ("exceptionMessage", "message", "Message"))
        text = next(filter(None, texts), "")
        raise ProviderError(EXPIRED if text.startswith(EXPIRED_TEXTS) else code, text, request_id)
    reading.check_success(reply, document)
    return document, request_id


def _read(_account: IvsAccount, _stream: IvsStream, call: Call, reply: Reply) -> Answer:
    try:
        document, request_id = _envelope(reply)
    except ProviderError as error:
        state = STATES_BY_ERROR.get(error.code)
        if state is None:
            raise
        if reply.status != NOT_FOUND:
            raise NoEnvelope(f"HTTP {reply.status} with an error of another status") from None
        return Answer(state, code=error.code, request_id=error.request_id)
    stream = reading.object_of(document, "stream")
    reading.check_echo(stream, call.params)
    return _answer(stream, request_id)


def _answer(row: dict[str, Any], request_id: str) -> Answer:
    state, health = reading.choice_of(row, "state", STATES), row.get("health")
    if state is not State.ACTIVE:
        return Answer(state, request_id=request_id)
    stalled = STALLED_BY_HEALTH.get(health) if isinstance(health, str) else None
    figures = None if stalled is None else Figures(stalled=stalled)
    return Answer(state, started=reading.utc_seconds(row.get("startTime")), request_id=request_id, figures=figures)


def _ask_next(_account: IvsAccount, _region: str, token: str) -> Call:
    return Call(LIST, VERSION, {"maxResults": PAGE_SIZE, "nextToken": token})


def _read_list(_account: IvsAccount, _region: str, _call: Call, reply: Reply) -> Page:
    """Read the streams of a page. What is listed as offline is asked about singly: only its own answer is certain."""
    document, request_id = _envelope(reply, reading.value_limit(PAGE_SIZE))
    if "streams" not in document:
        raise Malformed("streams is missing")
    rows: dict[Any, Answer | None] = {}
    for row in reading.rows_of(document, "streams"):
        answer, arn = _answer(row, request_id), reading.text_of(row, "channelArn")
        if answer.state is State.ACTIVE:
            rows.setdefault(arn, answer)
        else:
            rows[arn] = None
    token = reading.text_of(document, "nextToken", "")
    if len(token) > LONGEST_TOKEN:
        raise Malformed("nextToken is longer than any token")
    return Page(rows, token=token)


def _sign(account: IvsAccount, credentials: Credentials, call: Call, moment: Moment) -> Request:
    return aws.sign(account, credentials, call, moment, (account.region, SERVICE))


def _problems(account: IvsAccount, stream: IvsStream) -> list[tuple[str, str]]:
    arn = _ARN.fullmatch(stream.channel_arn)
    if arn is None:
        return [("channel_arn", "is not the ARN of a channel, like arn:aws:ivs:eu-west-1:123456789012:channel/abcd")]
    if arn[1] != account.region:
        return [("channel_arn", "is in another region than its account")]
    return []


PROVIDER: Provider[IvsAccount, IvsStream] = Provider(
    name="ivs",
    title="Amazon IVS",
    aliases=("aws", "aws_ivs", "amazon_ivs"),
    account=IvsAccount,
    stream=IvsStream,
    # https://docs.aws.amazon.com/ivs/latest/LowLatencyAPIReference/API_GetStream.html
    # Limits: https://docs.aws.amazon.com/ivs/latest/LowLatencyUserGuide/service-quotas.html, and not adjustable
    single=Api(action=GET, limit=lambda _account: 5.0, ask=_ask, read=_read),
    listings=(
        # https://docs.aws.amazon.com/ivs/latest/LowLatencyAPIReference/API_ListStreams.html
        Listing(
            action=LIST,
            limit=lambda _account: 5.0,
            scope=lambda account, _stream: account.region,
            keys=lambda _account, stream: (stream.channel_arn,),
            ask=lambda _account, _region, _page: Call(LIST, VERSION, {"maxResults": PAGE_SIZE}),
            ask_next=_ask_next,
            read=_read_list,
            pages=lambda _account, streams: -(-streams // PAGE_SIZE),
        ),
    ),
    sign=_sign,
    hides=aws.HIDES,
    metric_sources={
        "stream_state": GET,
        "stream_start_timestamp_seconds": f"IVS startTime of {GET} and {LIST}",
        STALLED: f"IVS health of {GET} and {LIST}",
    },
    environment=aws.ENVIRONMENT,
    credentials=aws.CREDENTIALS,
    sources=aws.SOURCES,
    problems=_problems,
    counted_in=lambda account: account.region,
)
