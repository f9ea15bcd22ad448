"""What the queue brings to the house: PgQueuer's tables, its own, its statements and its clock."""

from tenfold.platform.jobs import jobs, queries
from tenfold.platform.module import Module

module = Module(
    name="jobs",
    package="tenfold.platform.jobs",
    jobs=jobs,
    queries=queries,
    homes={
        "pgqueuer": "local",
        "pgqueuer_log": "local",
        "pgqueuer_schedules": "local",
        "pgqueuer_statistics": "local",
        "job_effects": "local",
        "job_schedules": "local",
    },
)
