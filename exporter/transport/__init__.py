"""The only folder that opens connections to providers and viewers' servers; it turns the client's errors into our own.

Nothing of the client's errors is passed on but their kind: they carry the signed URL.
"""

from exporter.transport.client import Transport, tls_context
from exporter.transport.errors import translate

__all__ = ["Transport", "tls_context", "translate"]
