"""Turns the HTTP client's errors into our own."""

from __future__ import annotations

import ssl

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from exporter.model import Reason
from exporter.providers.interface import TransportError


def translate(error: Exception, *, began: bool = False) -> TransportError:
    """Return our error for one of the HTTP client; nothing of its text is taken over.

    Raise it at once: kept in a variable, it would keep its frames, and the bodies in them, until the next collection.

    Args:
        error: What was raised.
        began: Whether a byte of the answer had come: then the call did not break early.
    """
    match error:
        case TransportError():
            return error
        case TimeoutError():
            return TransportError(Reason.TIMEOUT, "no complete answer in time")
        case aiohttp.ClientConnectorDNSError():
            return TransportError(Reason.DNS, "the endpoint's name was not resolved")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError() | ssl.SSLError():
            return TransportError(Reason.TLS, "no trusted TLS connection to the endpoint")
        case aiohttp.ClientConnectorError():
            return TransportError(Reason.CONNECTION, "the endpoint refused the connection or cannot be reached")
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | aiohttp.ClientConnectionResetError():
            return TransportError(Reason.CONNECTION, "the connection broke before an answer", broke_early=not began)
        case aiohttp.ClientPayloadError() | OSError():
            return TransportError(Reason.CONNECTION, "the connection broke within the answer")
        case aiohttp.ClientError() | HttpProcessingError():
            return TransportError(Reason.HTTP, "the answer is not HTTP as it should be")
        case _:
            return TransportError(Reason.BUG, f"unexpected {type(error).__name__} in the HTTP client")
