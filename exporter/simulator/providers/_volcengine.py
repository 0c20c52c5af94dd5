"""The gateway of Volcengine's OpenAPI, which checks a call before the service behind it does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from exporter.providers.authorization import ParsedAuthorization
from exporter.providers.encoding import sha256_hex
from exporter.providers.volcengine_openapi import SCHEME
from exporter.simulator.answers import format_time, parse_time
from exporter.simulator.exchange import Exchange, Outgoing, Refusal, refuse_if
from exporter.simulator.fake import Marks

WINDOW = 900
REGIONS = {"cn-north-1", "ap-southeast-1", "ap-singapore-1"}
# The gateway's errors: (CodeN if there is one, HTTP status).
GATEWAY = {
    "MissingParameter": (100002, 400), "MissingAuthenticationToken": (100003, 401),
    "MissingRequestInfo": (100004, 400), "MissingSignature": (100005, 401), "InvalidTimestamp": (100006, 400),
    "ServiceNotFound": (100007, 404), "InvalidActionOrVersion": (100008, 404), "InvalidAccessKey": (100009, 401),
    "SignatureDoesNotMatch": (100010, 401), "LackPolicy": (100012, 403), "AccessDenied": (100013, 403),
    "InternalError": (100014, 500), "FailToConnect": (100015, 502), "InternalServiceTimeout": (100016, 504),
    "FlowLimitExceeded": (100018, 429), "InternalServiceError": (100023, 502),
    "AccountFlowLimitExceeded": (100027, 429), "ServiceOverloadTemp": (100035, 503),
    "ServiceUnavailableTemp": (None, 503), "MethodNotAllowed": (None, 405), "InvalidAuthorization": (None, 400),
    "InvalidCredential": (None, 400), "InvalidSecretToken": (None, 401), "UnsupportedRegion": (None, 400),
}  # fmt: skip
MESSAGES = {
    "MissingParameter": "The request is missing Action or Version parameter.",
    "MissingAuthenticationToken": "Request is missing Authentication Token.",
    "MissingRequestInfo": "The request is missing X-Date information.",
    "InvalidTimestamp": "X-Date is not well formatted, or the Signature of the request is expired.",
    "ServiceNotFound": "This service not found.",
    "InvalidActionOrVersion": "Could not find such an operation for such a version.",
    "InvalidAccessKey": "The accesskey [{}] included in the request is invalid.",
    "SignatureDoesNotMatch": "The request signature we calculated does not match the signature you provided.",
    "AccessDenied": "User is not authorized to perform: {}",
    "FlowLimitExceeded": "Too many requests: the basic call rate is exceeded.",
    "MethodNotAllowed": "The method is not allowed.",
    "InvalidAuthorization": "Invalid 'Authorization' header, Pls check authorization header.",
    "InvalidCredential": "Invalid 'Authorization' header, Pls check authorization header.",
    "InvalidSecretToken": "Invalid secret token.",
    "UnsupportedRegion": "Region is not supported.",
}
_SCOPED = re.compile(r"Credential=[^/,\s]+(?:/[^/,\s]+){3}/request,")


def authenticate(exchange: Exchange, service: str, versions: Mapping[str, str]) -> None:
    """Refuse a call that is malformed or not signed by the account; `versions` are those of the service's actions."""
    received, query, authorization = exchange.received, exchange.received.query, exchange.authorization
    date = received.headers.get("x-date", "")
    when = parse_time(date, "%Y%m%dT%H%M%SZ")
    refuse_if(
        (not query.get("Action") or not query.get("Version"), "MissingParameter"),
        (not received.authorization, "MissingAuthenticationToken"),
        (not received.authorization.startswith(SCHEME.algorithm + " "), "InvalidAuthorization"),
        (authorization is None and _SCOPED.search(received.authorization), "InvalidAuthorization"),
        (authorization is None, "InvalidCredential"),
        (not date, "MissingRequestInfo"),
        (when is None or abs(received.now - when) > WINDOW, "InvalidTimestamp"),
    )
    assert authorization is not None
    _, region, scoped, _ = authorization.scope
    regions = REGIONS | {account.text("region") for account in exchange.world.accounts.values()}
    refuse_if(
        (scoped != service, "ServiceNotFound"),
        (region not in regions, "UnsupportedRegion"),
        (versions.get(exchange.action) != query["Version"], "InvalidActionOrVersion"),
        (received.method != "GET", "MethodNotAllowed"),
    )
    if exchange.account is None:
        raise Refusal("InvalidAccessKey", authorization.credential)
    token = received.headers.get("x-security-token", "")
    refuse_if(
        (token != exchange.caller.text("session_token") or exchange.expired, "InvalidSecretToken"),
        (not _matches(exchange, authorization), "SignatureDoesNotMatch"),
    )


def _matches(exchange: Exchange, authorization: ParsedAuthorization) -> bool:
    received, headers = exchange.received, exchange.signed_headers()
    day, region, service, _ = authorization.scope
    digest = sha256_hex(received.body)
    if not {"host", "x-date"} <= set(headers) or headers["x-date"][:8] != day:
        return False
    if received.headers.get("x-content-sha256", digest) != digest:
        return False
    return exchange.has_signature_of(
        SCHEME.authorization(
            access_key_id=authorization.credential,
            secret_access_key=exchange.caller.text("secret_access_key"),
            region=region,
            service=service,
            query=received.query_pairs,
            headers=headers,
            payload_sha256=digest,
            method=received.method,
            path=received.path,
        )
    )


def _metadata(exchange: Exchange, service: str) -> dict[str, Any]:
    time = format_time(exchange.received.now, "%Y%m%d%H%M%S")
    return {
        "RequestId": f"{time}{exchange.world.random.getrandbits(80):020X}",
        "Action": exchange.action,
        "Version": exchange.received.query.get("Version", ""),
        "Service": service,
        "Region": exchange.authorization.scope[1] if exchange.authorization else "cn-north-1",
    }


def result(exchange: Exchange, service: str, result: dict[str, Any]) -> Outgoing:
    """Return a service's answer."""
    return Outgoing("ok", {"ResponseMetadata": _metadata(exchange, service), "Result": result})


def error(exchange: Exchange, service: str, code: str, message: str, status: int) -> Outgoing:
    """Return an error; the status is that of the service's own errors. Only the gateway's have CodeN."""
    number, status = GATEWAY.get(code, (None, status))
    numbered = {} if number is None else {"CodeN": number}
    error = {**numbered, "Code": code, "Message": message}
    return Outgoing(code, {"ResponseMetadata": {**_metadata(exchange, service), "Error": error}}, status)


def marks(versions: Mapping[str, str]) -> Marks:
    """Return how to recognise requests to a service."""
    return Marks(headers=("x-date", "x-content-sha256"), schemes=(SCHEME.algorithm,), versions=tuple(versions.values()))
