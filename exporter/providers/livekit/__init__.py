"""LiveKit: everything that knows it."""
