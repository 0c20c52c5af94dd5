"""The board, the counters and the callback receiver: all that the exporter remembers."""
