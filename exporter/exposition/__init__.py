"""What is known → the text that Prometheus reads.

Families with a sample per stream are joined from strings, because the client library's path costs too much for
thousands of streams. Everything small goes through prometheus_client, and both go out as one document.
"""

from exporter.exposition.document import Exposition, Scope
from exporter.exposition.families import FAMILIES, Names
from exporter.exposition.negotiation import Compressor, negotiate, takes_gzip
from exporter.exposition.source import Source

__all__ = ["FAMILIES", "Compressor", "Exposition", "Names", "Scope", "Source", "negotiate", "takes_gzip"]
