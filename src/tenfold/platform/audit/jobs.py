"""What the audit log does on a clock: it seals."""

from datetime import timedelta

from tenfold.platform.audit import log
from tenfold.platform.db import Write
from tenfold.platform.jobs import every


@every(timedelta(seconds=1))
async def seal_lines(tx: Write) -> None:
    """Seal the lines that were committed since the last second into the chain."""
    await log.seal(tx)
