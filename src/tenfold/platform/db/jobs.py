"""The jobs of the database itself."""

from datetime import timedelta

from tenfold.platform.db.migrations import Migrations
from tenfold.platform.jobs import every


@every(timedelta(minutes=1), priority="low", timeout=timedelta(minutes=5))
async def run_backfills(migrations: Migrations) -> None:
    """Run the backfills of applied migrations, batch by batch, until they are finished."""
    await migrations.run_backfills(seconds=240)
