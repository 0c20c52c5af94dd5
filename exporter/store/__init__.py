"""What several exporters share by a Redis or Valkey server, so that N of them make the calls of one.

What decides is pure; `connection` alone imports redis-py, and is imported only where a store is configured.
"""
