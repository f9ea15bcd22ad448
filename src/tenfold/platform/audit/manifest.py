"""What the audit log brings to the house: its tables, its statements and its clock."""

from tenfold.platform.audit import jobs, queries
from tenfold.platform.module import Module

module = Module(
    name="audit",
    package="tenfold.platform.audit",
    jobs=jobs,
    queries=queries,
    homes={"audit_log": "local", "audit_head": "local"},
)
