"""Prometheus exporter that tells which live streams are up, on clouds and servers of your own."""

__version__ = "0.1.0"
