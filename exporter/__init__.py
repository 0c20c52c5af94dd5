"""Prometheus exporter that tells which live streams are up, on four clouds."""

__version__ = "0.1.0"
