"""What the queue does on a clock: it forgets the idempotency keys of long ago."""

from datetime import timedelta

from tenfold.platform.db import Write
from tenfold.platform.jobs import every, queries

KEPT_FOR = timedelta(days=7)


@every(timedelta(hours=1))
async def forget_effects(tx: Write) -> None:
    """Drop the idempotency keys of jobs that were done more than a week ago."""
    await queries.forget_effects(tx, before=tx.now - KEPT_FOR)
