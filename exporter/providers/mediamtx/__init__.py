"""MediaMTX: everything that knows this server."""
