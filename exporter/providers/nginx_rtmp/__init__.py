"""nginx with the RTMP module: everything that knows this server."""
