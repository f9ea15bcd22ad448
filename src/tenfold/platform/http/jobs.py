"""What the HTTP part does on a clock: it forgets old idempotency records."""

from datetime import timedelta

from tenfold.platform.db import Write
from tenfold.platform.http import queries
from tenfold.platform.jobs import every

KEPT_FOR = timedelta(hours=24)


@every(timedelta(minutes=10))
async def forget_idempotency_records(tx: Write) -> None:
    """Drop the records of keys that were first used more than a day ago."""
    await queries.delete_old_records(tx, before=tx.now - KEPT_FOR)
