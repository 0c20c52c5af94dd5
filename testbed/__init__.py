"""What tests and benchmarks share: real processes, servers on loopback, a network without sockets, virtual time."""
