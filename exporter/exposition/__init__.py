"""Renders metrics as the text that Prometheus scrapes.

Our families are built from strings, slice by slice, because prometheus_client is too slow for thousands of streams or
accounts. Those of the process go through prometheus_client; both form one document.
"""

from exporter.exposition.accounts import Scope
from exporter.exposition.document import Exposition
from exporter.exposition.families import FAMILIES, Names
from exporter.exposition.negotiation import Compressor, negotiate, takes_gzip
from exporter.exposition.source import Source

__all__ = ["FAMILIES", "Compressor", "Exposition", "Names", "Scope", "Source", "negotiate", "takes_gzip"]
