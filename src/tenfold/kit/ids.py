"""Ids: UUIDv7, minted in this process, in strictly rising order."""

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

_lock = threading.Lock()
_last = 0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def new_id() -> UUID:
    """Mint a UUIDv7 greater than every one this process minted before (RFC 9562, section 5.7, method 3).

    Bits: 48 of Unix milliseconds, version 7, 12 of sub-millisecond fraction, variant 2, 62 random.
    """
    global _last
    nanoseconds = time.time_ns()
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    stamp = (milliseconds << 12) | ((rest << 12) // 1_000_000)
    with _lock:
        if stamp <= _last:
            stamp = _last + 1
        _last = stamp
    tail = int.from_bytes(os.urandom(8)) & 0x3FFF_FFFF_FFFF_FFFF
    return UUID(int=(stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0x2 << 62 | tail)


def first_id_at(instant: datetime) -> UUID:
    """The smallest UUIDv7 of an instant: ids minted at or after it compare greater or equal."""
    milliseconds = (instant - _EPOCH) // timedelta(milliseconds=1)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | 0x2 << 62)


def time_of(id_: UUID) -> datetime:
    """The instant, in whole milliseconds, at which a UUIDv7 was minted."""
    return _EPOCH + timedelta(milliseconds=id_.int >> 80)
