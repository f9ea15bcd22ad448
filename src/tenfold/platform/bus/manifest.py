"""What the bus brings to the house: a table for large signals, its statements and its clock."""

from tenfold.platform.bus import jobs, queries
from tenfold.platform.module import Module

module = Module(name="bus", package="tenfold.platform.bus", jobs=jobs, queries=queries, homes={"bus_payloads": "local"})
