"""The Redis engine of presence: an entry per listener, an index by node, and one lease per node.

Per channel there is a hash of entries by client; per node and partition a set of `client channel`, by which the entries
of a dead node are found without looking through all. An entry is written in 57 bytes, since Redis keeps hashes of up to
64 bytes a value in a third of the room.
"""

import functools
import random
import struct
import time
from collections.abc import Sequence
from datetime import timedelta
from operator import itemgetter
from uuid import UUID

from tenfold.platform.realtime.errand import AWAY
from tenfold.platform.realtime.presence import KEPT_AFTER, LEASE, Attendance, Presence, Present
from tenfold.platform.realtime.redis_scripts import (
    DEAD,
    ENTER,
    ENTRIES,
    EXPIRE_NODE,
    FORGET_NODE,
    LAST_ACTIVE,
    LEAVE,
    LIVING,
    RENEW_NODE,
    SET_LAST_ACTIVE,
    SWEEP,
)
from tenfold.platform.redis import PARTITIONS, Redis, gathering, partition_of, spread

REMEMBERED = timedelta(days=30)
_SWEPT_AT_ONCE = 50
Entry = tuple[str, Present]
_channel_of = itemgetter(0)
_HEAD = struct.Struct("<16s16sd?")
_HEX = frozenset("0123456789abcdef")


class RedisPresence(Presence):
    """Keeps entries in Redis. Several callers of one instant share one call."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._lease = int(LEASE.total_seconds() * 1000)
        self._entering = gathering(self._enter_all)
        self._leaving = gathering(self._leave_all)

    async def enter(self, entries: Sequence[Entry]) -> None:
        """Write entries."""
        if len(entries) == 1:
            await self._entering.ask(entries[0])
        else:
            await self._enter_all(entries)

    async def leave(self, entries: Sequence[Entry]) -> None:
        """Remove entries, and note the moment for their users."""
        if len(entries) == 1:
            await self._leaving.ask(entries[0])
        else:
            await self._leave_all(entries)

    async def present(self, channels: Sequence[str], *, limit: int = 1000) -> list[list[Present]]:
        """Who listens, by entries whose node lives; nobody where the master of a channel's entries is gone."""
        entries = await self._entries(channels, skips_away=True)
        return [sorted(found, key=lambda entry: entry.since)[:limit] for found in entries]

    async def attendance(self, channels: Sequence[str]) -> list[Attendance]:
        """How many listen, by entries whose node lives."""
        entries = await self._entries(channels)
        return [Attendance(len(found), len({entry.user_id for entry in found})) for found in entries]

    async def last_active(self, user_ids: Sequence[UUID]) -> list[float | None]:
        """When these users last left."""

        async def read(group: int, users: Sequence[UUID]) -> Sequence[float | None]:
            moments = await self._redis.call(group, LAST_ACTIVE, [self._activity(user) for user in users])
            return [float(moment) if moment is not None else None for moment in moments]

        return await spread(self._redis, user_ids, read)

    async def renew(self, node: str) -> bool:
        """Hold a lease, by the clock of Redis."""
        return bool(await self._redis.call(self._home, RENEW_NODE, [self._nodes], (node, self._lease)))

    async def release(self, node: str) -> None:
        """End the lease, remove every entry of the node, and forget the node."""
        await self._redis.call(self._home, EXPIRE_NODE, [self._nodes], (node,))
        while await self._sweep_node(node, time.time()):
            pass
        await self._redis.call(self._home, FORGET_NODE, [self._nodes], (node,))

    async def sweep(self) -> list[str]:
        """Some entries of one dead node; when it has none left, it is forgotten."""
        dead = await self._redis.call(
            self._home, DEAD, [self._nodes], (KEPT_AFTER * self._lease, random.getrandbits(31))
        )
        if not dead:
            return []
        node, ended = dead[0].decode(), float(dead[1]) / 1000
        channels = await self._sweep_node(node, ended)
        if not channels:
            await self._redis.call(self._home, FORGET_NODE, [self._nodes], (node,))
        return channels

    @property
    def _home(self) -> int:
        return self._redis.group_of(0)

    @property
    def _nodes(self) -> str:
        return self._redis.key(0, "nodes")

    def _keys(self, channel: str, node: str) -> tuple[str, str]:
        partition = partition_of(channel)
        return self._redis.key(partition, f"p:{channel}"), self._redis.key(partition, f"n:{node}")

    def _activity(self, user_id: UUID) -> str:
        return self._redis.key(partition_of(str(user_id)), f"a:{user_id}")

    async def _enter_all(self, entries: Sequence[Entry]) -> Sequence[None]:
        async def enter(group: int, some: Sequence[Entry]) -> Sequence[None]:
            keys = [key for channel, entry in some for key in self._keys(channel, entry.node)]
            args = [arg for channel, entry in some for arg in (entry.client, channel, _packed(entry))]
            await self._redis.call(group, ENTER, keys, args)
            return [None] * len(some)

        return await spread(self._redis, entries, enter, name=_channel_of)

    async def _leave_all(self, entries: Sequence[Entry]) -> Sequence[None]:
        async def leave(group: int, some: Sequence[Entry]) -> Sequence[None]:
            keys = [key for channel, entry in some for key in self._keys(channel, entry.node)]
            await self._redis.call(
                group, LEAVE, keys, [arg for channel, entry in some for arg in (entry.client, channel)]
            )
            return [None] * len(some)

        await self._note_active({entry.user_id for _, entry in entries}, time.time())
        return await spread(self._redis, entries, leave, name=_channel_of)

    async def _note_active(self, user_ids: set[UUID], moment: float) -> None:
        async def note(group: int, users: Sequence[UUID]) -> Sequence[None]:
            keys = [self._activity(user) for user in users]
            await self._redis.call(group, SET_LAST_ACTIVE, keys, (repr(moment), int(REMEMBERED.total_seconds())))
            return [None] * len(users)

        await spread(self._redis, list(user_ids), note)

    async def _entries(self, channels: Sequence[str], *, skips_away: bool = False) -> list[list[Present]]:
        if not channels:
            return []
        living = {node.decode() for node in await self._redis.call(self._home, LIVING, [self._nodes])}

        async def read(group: int, names: Sequence[str]) -> Sequence[list[bytes]]:
            try:
                return await self._redis.call(group, ENTRIES, [self._keys(name, "")[0] for name in names])
            except AWAY:
                if not skips_away:
                    raise
                return [[] for _ in names]

        found = await spread(self._redis, channels, read)
        entries = [[_unpacked(*pair) for pair in zip(flat[::2], flat[1::2], strict=True)] for flat in found]
        return [[entry for entry in there if entry.node in living] for there in entries]

    async def _sweep_node(self, node: str, moment: float) -> list[str]:
        """Remove some entries of a node, from every partition; their users were active until that moment."""
        channels: set[str] = set()
        users: set[UUID] = set()
        for group in self._redis.groups():
            partitions = [p for p in range(PARTITIONS) if self._redis.group_of(p) == group]
            keys = [self._redis.key(partition, f"n:{node}") for partition in partitions]
            tags = [self._redis.key(partition, "p:") for partition in partitions]
            swept = await self._redis.call(group, SWEEP, keys, (_SWEPT_AT_ONCE, *tags))
            channels.update(name.decode() for name in swept[::2])
            users.update(_unpacked(b"", entry).user_id for entry in swept[1::2] if entry)
        await self._note_active(users, moment)
        return sorted(channels)


def _packed(entry: Present) -> bytes:
    """An entry without its client, whose field it is the value of. The 32 digits of a node's name take 16."""
    is_hex, node = _packed_node(entry.node)
    return _HEAD.pack(entry.user_id.bytes, entry.session_id.bytes, entry.since, is_hex) + node


@functools.lru_cache(maxsize=16)  # it is this process's, nearly always
def _packed_node(node: str) -> tuple[bool, bytes]:
    """Whether the name of a node is 32 digits, and what stands for it."""
    is_hex = len(node) == 32 and set(node) <= _HEX
    return is_hex, bytes.fromhex(node) if is_hex else node.encode()


def _unpacked(client: bytes, packed: bytes) -> Present:
    user_id, session_id, since, is_hex = _HEAD.unpack_from(packed)
    node = packed[_HEAD.size :]
    return Present(
        user_id=UUID(bytes=user_id),
        client=client.decode(),
        session_id=UUID(bytes=session_id),
        node=node.hex() if is_hex else node.decode(),
        since=since,
    )
