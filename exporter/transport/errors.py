"""Turns the HTTP client's errors into our own."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from exporter.model import Reason
from exporter.providers.interface import TransportError
from exporter.transport.resolver import OnlyPrivate

ENDPOINT: Final = "the endpoint"


def translate(error: Exception, *, began: bool = False, peer: str = ENDPOINT) -> TransportError:
    """Return our error for one of the HTTP client; of its text only OpenSSL's own words are taken over.

    Raise it at once: kept in a variable, it would keep its frames, and the bodies in them, until the next collection.

    Args:
        error: What was raised.
        began: Whether a byte of the answer had come: then the call did not break early.
        peer: Who was spoken to, for the message: the endpoint, or a proxy before it.
    """
    of = "" if peer == ENDPOINT else f" from {peer}"
    match error:
        case TransportError():
            return error
        case TimeoutError():
            return TransportError(Reason.TIMEOUT, f"no complete answer in time{of}")
        case aiohttp.ClientConnectorDNSError(os_error=OnlyPrivate()):
            why = f"the name of {peer} leads to private addresses only, which `private: true` would allow"
            return TransportError(Reason.DNS, why)
        case aiohttp.ClientConnectorDNSError():
            return TransportError(Reason.DNS, f"the name of {peer} was not resolved")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError() | ssl.SSLError():
            return TransportError(Reason.TLS, f"no trusted TLS connection to {peer}{why_untrusted(error)}")
        case aiohttp.ClientConnectorError():
            return TransportError(Reason.CONNECTION, f"{peer} refused the connection or cannot be reached")
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | aiohttp.ClientConnectionResetError():
            why = f"the connection broke before an answer{of}"
            return TransportError(Reason.CONNECTION, why, broke_early=not began)
        case aiohttp.ClientPayloadError() | OSError():
            return TransportError(Reason.CONNECTION, f"the connection broke within the answer{of}")
        case aiohttp.ClientError() | HttpProcessingError():
            return TransportError(Reason.HTTP, f"the answer{of} is not HTTP as it should be")
        case _:
            return TransportError(Reason.BUG, f"unexpected {type(error).__name__} in the HTTP client")


def why_untrusted(error: Exception) -> str:
    """Return OpenSSL's words for a failed handshake, such as `: self-signed certificate`; no names are in them."""
    inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    if isinstance(inner, ssl.SSLCertVerificationError):
        # After a comma follows for whom the certificate is not valid.
        return f": {inner.verify_message.partition(',')[0]}"
    return f": {inner.reason.replace('_', ' ').lower()}" if isinstance(inner, ssl.SSLError) and inner.reason else ""


@contextmanager
def translated(peer: str, *, began: bool = False) -> Iterator[None]:
    """Raise our own errors for those of the block, in which a peer is spoken to."""
    try:
        yield
    except Exception as error:
        raise translate(error, began=began, peer=peer) from None
