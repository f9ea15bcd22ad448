"""The peer: a FastAPI application with SQLAlchemy 2's ORM on asyncpg, over the same tables and indexes as ours.

Where it may do less than ours it does: it reads a post's counters without those that are not folded in yet, verifies
tokens by HMAC, and keeps no outbox, no traces, no metrics and no entity tags.
"""
