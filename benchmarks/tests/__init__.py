"""The short forms of the benchmarks that promise something, and tests of what judges them."""
