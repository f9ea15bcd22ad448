"""Ids: UUIDv7, minted in this process, in strictly rising order."""

import os
import threading
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from uuid import UUID

_lock = threading.Lock()
_last = 0
_past: ContextVar[int | None] = ContextVar("past", default=None)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_store = array("Q")
# A child that went on with its parent's store would mint its parent's ids.
os.register_at_fork(after_in_child=lambda: _store.__delitem__(slice(None)))


def new_id() -> UUID:
    """Mint a UUIDv7 greater than every one this process minted before (RFC 9562, section 5.7, method 3).

    Bits: 48 of Unix milliseconds, version 7, 12 of sub-millisecond fraction, variant 2, 62 random.
    """
    return UUID(int=_mint())


def new_hex() -> str:
    """The 32 digits of a new id, where nothing but a name is wanted: half the price."""
    return f"{_mint():032x}"


def _mint() -> int:
    global _last
    past = _past.get()
    if past is not None:
        return past << 80 | 0x7 << 76 | _random(12) << 64 | 0x2 << 62 | _random(62)
    nanoseconds = time.time_ns()
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    stamp = (milliseconds << 12) | ((rest << 12) // 1_000_000)
    with _lock:
        if stamp <= _last:
            stamp = _last + 1
        _last = stamp
    return (stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0x2 << 62 | _random(62)


@contextmanager
def minting_at(instant: datetime) -> Iterator[None]:
    """Inside the block this task mints ids of that instant, for samples and imports; they rise by instant only."""
    token = _past.set((instant - _EPOCH) // timedelta(milliseconds=1))
    try:
        yield
    finally:
        _past.reset(token)


def first_id_at(instant: datetime) -> UUID:
    """The smallest UUIDv7 of an instant: ids minted at or after it compare greater or equal."""
    milliseconds = (instant - _EPOCH) // timedelta(milliseconds=1)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | 0x2 << 62)


def time_of(id_: UUID) -> datetime:
    """The instant, in whole milliseconds, at which a UUIDv7 was minted."""
    return _EPOCH + timedelta(milliseconds=id_.int >> 80)


def _random(bits: int) -> int:
    """Bits from a store of random bytes: asking the system for each id takes longer than all the rest."""
    try:
        word = _store.pop()
    except IndexError:
        _store.extend(memoryview(os.urandom(4096)).cast("Q"))
        word = _store.pop()
    return word & ((1 << bits) - 1)
