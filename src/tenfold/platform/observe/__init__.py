"""Seeing inside: structured logs, metrics and traces. Never blocks, never prints a secret."""
