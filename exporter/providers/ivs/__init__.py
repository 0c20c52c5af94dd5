"""Amazon IVS, low-latency channels: everything that knows this cloud."""
