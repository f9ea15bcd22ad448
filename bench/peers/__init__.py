"""Peers: what somebody would build instead of Tenfold, kept as good as we can make it."""
