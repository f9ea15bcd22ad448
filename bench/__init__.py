"""Benchmarks: programs that print ours beside a peer's and the floor's, from one run on one machine."""
