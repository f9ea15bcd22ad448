"""Idempotency keys: the same key and request give the same answer, and the deed happens once.

The record of a door that runs in one transaction is written by that transaction, so answer and deed are kept or lost
together. A door that opens its own transactions is claimed before and finished after; a claim whose process died is
free again after `CLAIM_LASTS`.
"""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from tenfold.kit.refusals import Invalid
from tenfold.platform.db import Database, Write
from tenfold.platform.http import queries
from tenfold.platform.http.problems import IdempotencyKeyBusy, IdempotencyKeyReused

CLAIM_LASTS = timedelta(minutes=5)
Deed = Callable[[Write], Awaitable[tuple[int, bytes]]]


@dataclass(frozen=True, slots=True)
class Key:
    """One use of a key: by whom, at which door, for which request.

    The key itself is not kept, and the request is hashed under it: a body may hold a password, which nobody shall be
    able to guess from the table.
    """

    principal: str
    route: str
    key: str
    request_hash: bytes

    @property
    def address(self) -> dict[str, str]:
        """The primary key of its record."""
        return {"principal": self.principal, "route": self.route, "key": self.key}


def key_of(text: bytes, *, principal: str, route: str, path: str, body: bytes) -> Key:
    """Read an Idempotency-Key header. Raises `Invalid` unless it is 1 to 255 printable ASCII characters."""
    if not 1 <= len(text) <= 255 or not all(33 <= byte <= 126 for byte in text):
        raise Invalid("header.Idempotency-Key", "must be 1 to 255 printable ASCII characters without spaces")
    digest = hmac.digest(text, b"\n".join((path.encode(), body)), "sha256")
    return Key(principal, route, hashlib.sha256(text).hexdigest(), digest)


async def once(tx: Write, key: Key, deed: Deed) -> tuple[int, bytes, bool]:
    """Do the deed in this transaction and keep its answer with it; or give the kept one (True: it was replayed)."""
    kept = await _claim(tx, key)
    if kept is not None:
        return (*kept, True)
    status, body = await deed(tx)
    await queries.finish_record(tx, **key.address, status=status, body=body)
    return status, body, False


async def once_around(
    db: Database, key: Key, deed: Callable[[], Awaitable[tuple[int, bytes]]]
) -> tuple[int, bytes, bool]:
    """The same for a deed that opens its own transactions."""
    kept = await db.transact(lambda tx: _claim(tx, key))
    if kept is not None:
        return (*kept, True)
    try:
        status, body = await deed()
    except BaseException:
        await db.transact(lambda tx: queries.delete_record(tx, **key.address))
        raise
    await db.transact(lambda tx: queries.finish_record(tx, **key.address, status=status, body=body))
    return status, body, False


async def forget(tx: Write, user_id: UUID) -> None:
    """Delete the answers that are kept of a user's requests; those from before signing in are under an address."""
    await queries.delete_records_of(tx, principal=principal_of(user_id))


def principal_of(user_id: UUID) -> str:
    """The name under which a user's keys are kept."""
    return f"user:{user_id}"


async def _claim(tx: Write, key: Key) -> tuple[int, bytes] | None:
    if not await queries.try_lock_key(tx, name=f"{key.principal} {key.route} {key.key}"):
        raise IdempotencyKeyBusy(retry_after=1)
    record = await queries.find_record(tx, **key.address, stale_before=tx.now - CLAIM_LASTS)
    if record is not None:
        if record.request_hash != key.request_hash:
            raise IdempotencyKeyReused
        if record.status is not None:
            return record.status, record.body or b""
        if not record.stale:
            raise IdempotencyKeyBusy(retry_after=1)
    await queries.insert_record(tx, **key.address, request_hash=key.request_hash, now=tx.now)
    return None
