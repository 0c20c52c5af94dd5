"""The commands: each module has one `run`, which returns the exit code."""
