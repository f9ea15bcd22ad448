"""The deeds of the audit log: append, seal, verify, list. Nothing here changes or removes a line."""

import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import structlog

from tenfold.kit.ids import new_id
from tenfold.kit.pages import Page, cut, from_cursor
from tenfold.platform.audit import queries
from tenfold.platform.audit.chain import seal_all, seal_of
from tenfold.platform.audit.shapes import Broken, Head, Line, Verdict
from tenfold.platform.db import Read, Write

log = structlog.get_logger("tenfold.audit")

START = Head(0, bytes(32))
_LOCK = 0x6175646974  # "audit"
_BATCH = 1000
_AFTER_ALL = UUID(int=2**128 - 1)
_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")


async def append(
    tx: Write,
    deed: str,
    *,
    actor_id: UUID | None,
    subject_id: UUID | None,
    details: dict[str, Any],
    address: str | None,
) -> None:
    """Write down a deed: it is in the log exactly when the transaction commits, and sealed about a second later.

    The log outlives the people in it: details hold ids. A detail that is an e-mail address raises ValueError.
    """
    _must_hold_no_mailbox(details)
    await queries.insert_line(
        tx,
        id=new_id(),
        at=tx.now,
        deed=deed,
        actor_id=actor_id,
        subject_id=subject_id,
        address=address,
        details=details,
    )


async def seal(tx: Write) -> int:
    """Give the lines that have been committed their places at the end of the chain, and say how many.

    One process at a time does it; another finds the lock taken and leaves the work to it. The order is that of the
    sealing: a line whose transaction took long gets its place after lines that were appended later and committed
    sooner. The new head is logged, so that a copy of the logs witnesses the chain outside of the database.
    """
    if not await queries.try_to_lock(tx, key=_LOCK):
        return 0
    start = head = await queries.get_head(tx)
    while lines := await queries.list_unsealed(tx, limit=_BATCH):
        seals, head = seal_all(lines, head)
        await queries.seal_lines.each(tx, seals)
        if len(lines) < _BATCH:
            break
    await queries.move_head(tx, number=head.number, hash=head.hash)
    tx.on_commit(lambda: log.info("audit lines sealed", number=head.number, hash=head.hash.hex()))
    return head.number - start.number


async def verify(tx: Read, *, witness: Head | None = None) -> Verdict:
    """Walk the whole chain and say whether it holds, and if not, where it first breaks.

    `tx` must be a snapshot (`db.read(snapshot=True)`), or lines sealed meanwhile look forged. A `witness` is a head
    that was logged earlier: without one, whoever can rewrite the whole chain and its head goes unnoticed. So does, with
    or without, the removal of lines that are not sealed yet, and the lie that somebody appends as an ordinary line.
    """
    head = await queries.get_head(tx)
    unsealed = await queries.count_unsealed(tx)
    number, previous = START.number, START.hash
    broken: Broken | None = None
    async for line in _sealed(tx):
        broken = _check(line, number + 1, previous, head)
        if broken is None and witness is not None and line.number == witness.number and line.hash != witness.hash:
            broken = Broken(witness.number, "not the witness", line.id)
        if broken is not None:
            return Verdict(number, unsealed, head, broken)
        number, previous = number + 1, line.hash or b""
    if number < max(head.number, witness.number if witness else 0):
        broken = Broken(number + 1, "cut off")
    elif previous != head.hash:
        broken = Broken(number, "changed")
    return Verdict(number, unsealed, head, broken)


async def list_lines(
    tx: Read,
    *,
    about: UUID | None = None,
    by: UUID | None = None,
    limit: int = 20,
    cursor: str | None = None,
) -> Page[Line]:
    """A page of the log, newest first: all of it, or what was done to a user (`about`), or what one did (`by`)."""
    page = {"before": from_cursor(cursor, UUID) or _AFTER_ALL, "limit": limit + 1}
    if about is not None:
        rows = await queries.list_lines_about(tx, subject_id=about, **page)
    elif by is not None:
        rows = await queries.list_lines_by(tx, actor_id=by, **page)
    else:
        rows = await queries.list_lines(tx, **page)
    return cut(rows, limit, lambda line: line.id)


async def _sealed(tx: Read) -> AsyncIterator[Line]:
    after: int = -(2**63)
    while lines := await queries.list_sealed(tx, after=after, limit=_BATCH):
        for line in lines:
            yield line
        after = lines[-1].number or 0


def _check(line: Line, expected: int, previous: bytes, head: Head) -> Broken | None:
    number = line.number or 0
    if number > head.number:
        # Lines up to the head may be missing too: the first of them is what is told.
        return Broken(expected, "forged", line.id) if expected > head.number else Broken(expected, "missing")
    if number < expected:
        return Broken(number, "forged", line.id)
    if number > expected:
        return Broken(expected, "missing")
    if line.hash != seal_of(line, number, previous):
        return Broken(number, "changed", line.id)
    return None


def _must_hold_no_mailbox(value: object) -> None:
    if isinstance(value, str) and _ADDRESS.fullmatch(value):
        raise ValueError("an e-mail address does not belong into the audit log")
    if isinstance(value, dict):
        for part in value.values():
            _must_hold_no_mailbox(part)
    elif isinstance(value, list | tuple):
        for part in value:
            _must_hold_no_mailbox(part)
