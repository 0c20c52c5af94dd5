"""What tests and benchmarks share: real processes, servers on loopback, virtual time."""
