"""What the HTTP part brings to the house: its table, its statements and its clock."""

from tenfold.platform.http import jobs, queries
from tenfold.platform.module import Module

module = Module(
    name="http",
    package="tenfold.platform.http",
    jobs=jobs,
    queries=queries,
    homes={"idempotency_records": "local"},
)
