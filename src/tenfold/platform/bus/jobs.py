"""What the bus does on a clock: it throws away large signals that everybody has read."""

from datetime import timedelta

from tenfold.platform.bus import queries
from tenfold.platform.db import Write
from tenfold.platform.jobs import every

KEPT_FOR = timedelta(minutes=10)


@every(timedelta(minutes=10))
async def forget_parcels(tx: Write) -> None:
    """Drop the large signals that were sent more than ten minutes ago."""
    await queries.forget_parcels(tx, before=tx.now - KEPT_FOR)
