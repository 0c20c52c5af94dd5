"""The commands: the module of each has a `run` that takes its options and the terminal and returns the exit code."""
