"""Renders metrics as the text that Prometheus scrapes.

Families with a sample per stream are built from strings, because prometheus_client is too slow for thousands of
streams. Everything else goes through prometheus_client; both form one document.
"""

from exporter.exposition.document import Exposition, Scope
from exporter.exposition.families import FAMILIES, Names
from exporter.exposition.negotiation import Compressor, negotiate, takes_gzip
from exporter.exposition.source import Source

__all__ = ["FAMILIES", "Compressor", "Exposition", "Names", "Scope", "Source", "negotiate", "takes_gzip"]
