"""SRS: everything that knows this server."""
