"""Audit: an append-only, hash-chained log of sensitive deeds.

A deed appends in its own transaction; a clock seals what was appended into the chain within a second or so, so that deeds never
queue behind one another for the chain's end. Sealed lines cannot be changed without `verify` naming the first one that was.
"""
