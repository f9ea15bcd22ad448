"""Redis: connections that mend themselves, to one server or to a cluster, for the parts that have a Redis engine.

Commands of one turn of the event loop leave in one write, answers and pub/sub messages come over the same connection
(RESP3), and every wait is bounded. Only commands up to Redis 7.0 are used, and no modules, so that Valkey serves too.
"""

from tenfold.platform.redis.address import Address
from tenfold.platform.redis.client import PARTITIONS, Redis, partition_of
from tenfold.platform.redis.cluster import RedisCluster
from tenfold.platform.redis.connection import Refused, Word
from tenfold.platform.redis.scripts import Script
from tenfold.platform.redis.spread import gathering, spread

__all__ = [
    "PARTITIONS",
    "Address",
    "Redis",
    "RedisCluster",
    "Refused",
    "Script",
    "Word",
    "gathering",
    "partition_of",
    "spread",
]
