"""Backfills: long rewrites in small batches, resumed from where the last committed batch ended."""

import time

from tenfold.platform.db.migration_files import Migration
from tenfold.platform.db.postgres import Database, Write

BATCH = 1000


async def run_one(db: Database, migration: Migration, *, deadline: float | None) -> bool:
    """Run a backfill to its end, or until a deadline (of `time.monotonic`); True when it is finished.

    While another process runs it, this one leaves it alone and answers False.
    """
    while deadline is None or time.monotonic() < deadline:
        outcome = await db.transact(lambda tx: _run_batch(tx, migration))
        if outcome != "more":
            return outcome == "finished"
    return False


async def _run_batch(tx: Write, migration: Migration) -> str:
    key = (migration.source, migration.number)
    row = await tx.connection.fetchrow(
        "select position, finished_at from schema_backfills where source = $1 and number = $2 for update skip locked",
        *key,
    )
    if row is None:
        return "taken"
    if row["finished_at"] is not None:
        return "finished"
    position = await tx.connection.fetchval(_compiled(migration), row["position"], BATCH)
    if position is None:
        await tx.connection.execute(
            "update schema_backfills set finished_at = $3 where source = $1 and number = $2", *key, tx.now
        )
        return "finished"
    await tx.connection.execute(
        "update schema_backfills set position = $3, batches = batches + 1 where source = $1 and number = $2",
        *key,
        str(position),
    )
    return "more"


def _compiled(migration: Migration) -> str:
    """The statement with its two parameters: the last key as text (null at first) and the most rows to take."""
    [statement] = migration.statements()
    return statement.replace(":after", "($1::text)").replace(":batch", "($2::bigint)")
