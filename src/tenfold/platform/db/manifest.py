"""What the database part brings to the house: the job that runs backfills."""

from tenfold.platform.db import jobs
from tenfold.platform.module import Module

module = Module(
    name="db",
    package="tenfold.platform.db",
    jobs=jobs,
    homes={"schema_migrations": "local", "schema_backfills": "local"},
)
