"""A Redis Cluster: each partition is a group, reached where its slot is, and followed when the slot moves.

Where slots are is asked on connecting, when a server says that one has moved, and every few seconds while something is
wrong; subscriptions of a group that moved are announced as arrivals, since the new owner knows nothing of them.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import structlog

from tenfold.kit.refusals import Unavailable
from tenfold.platform.redis.address import Address
from tenfold.platform.redis.client import PARTITIONS, Redis, partition_of
from tenfold.platform.redis.connection import Connection, Refused
from tenfold.platform.redis.link import Link

_LOOK_EVERY = 15.0
_LOOK_AGAIN = 0.25
T = TypeVar("T")
log = structlog.get_logger("tenfold.redis")


class RedisCluster(Redis):
    """A cluster, known by the address of one node at first and by any node that it ever showed later."""

    def __init__(self, address: Address, *, prefix: str = "tenfold", patience: float = 1.5) -> None:
        from redis.crc import key_slot  # with the rest of redis-py, only where it is used

        super().__init__(address, prefix=prefix, patience=patience)
        self._slots = [key_slot(self.key(partition, "").encode()) for partition in range(PARTITIONS)]
        self._links: dict[tuple[str, int], Link] = {}
        self._owners: list[Link | None] = [None] * PARTITIONS
        self._doubt = asyncio.Event()
        self._looked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def group_of(self, partition: int) -> int:
        """A partition is one slot, and so one group."""
        return partition

    def group_of_name(self, name: str) -> int:
        """The partition of a channel is its group."""
        return partition_of(name)

    def slot_of(self, partition: int) -> int:
        """The slot of a partition."""
        return self._slots[partition]

    def groups(self) -> Iterable[int]:
        """Every partition."""
        return range(PARTITIONS)

    def links(self) -> list[Link]:
        """The links to all masters."""
        return list({owner for owner in self._owners if owner is not None})

    async def _connect(self) -> None:
        """Find the slots, and connect to every master; a cluster that is not there is looked for further."""
        try:
            await self._look()
        except _TROUBLE as error:
            log.warning("redis.unreachable", server=str(self.address), error=str(error) or type(error).__name__)
            self._doubt.set()
        else:
            for link in list(self._links.values()):
                await link.settled.wait()
        self._task = asyncio.create_task(self._keep_looking(), name="redis cluster")

    async def _disconnect(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        links = list(self._links.values())
        self._links.clear()
        self._owners = [None] * PARTITIONS
        for link in links:
            await link.close()

    def _link_of(self, group: int) -> Link:
        link = self._owners[group]
        if link is None:
            raise Unavailable("Redis is gone.")
        return link

    def _groups_of(self, link: Link) -> frozenset[int]:
        return frozenset(group for group, owner in enumerate(self._owners) if owner is link)

    def _changed(self, link: Link) -> None:
        if link.connection is None:
            self._doubt.set()
        super()._changed(link)

    async def _is_passing(self, link: Link, refusal: Refused) -> bool:
        if refusal.code in {"MOVED", "CLUSTERDOWN", "READONLY"}:
            self._looked.clear()
            self._doubt.set()
            await self._within_patience(self._looked)
            return True
        return refusal.code == "TRYAGAIN" or await super()._is_passing(link, refusal)

    async def _try(self, link: Link, work: Callable[[Connection, bool], Awaitable[T]]) -> T:
        try:
            return await work(link.use(), False)
        except Refused as refusal:
            if refusal.code != "ASK":
                raise
            return await self._elsewhere(refusal, work)

    async def _elsewhere(self, refusal: Refused, work: Callable[[Connection, bool], Awaitable[T]]) -> T:
        """A slot is on its way: what has already left must be asked for where it goes."""
        host, _, port = str(refusal).rpartition(" ")[2].rpartition(":")
        link = self._link_to(host or self.address.host, int(port))
        if link.connection is None:
            link.settled.clear()
            await self._within_patience(link.settled)
        return await work(link.use(), True)

    async def _within_patience(self, event: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await event.wait()
        except TimeoutError:
            raise Unavailable("The Redis cluster does not settle.") from None

    async def _keep_looking(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_LOOK_EVERY * random.uniform(0.8, 1.2)):  # noqa: S311 - no secret
                    await self._doubt.wait()
            except TimeoutError:
                pass
            self._doubt.clear()
            try:
                await self._look()
            except Exception as error:  # a boundary: the next look may find what this one did not
                log.info("redis.no_slots", error=str(error) or type(error).__name__)
                self._doubt.set()
            if any(owner is None or owner.connection is None for owner in self._owners):
                self._doubt.set()
            await asyncio.sleep(_LOOK_AGAIN * random.uniform(0.5, 1.0))  # noqa: S311 - no secret

    async def _look(self) -> None:
        """Ask where the slots are, and follow those that moved."""
        table = await self._ask_any()
        before = list(self._owners)
        for group, slot in enumerate(self._slots):
            found = next((node for first, last, node in table if first <= slot <= last), None)
            self._owners[group] = self._link_to(*found) if found else None
        self._looked.set()
        await self._let_go()
        moved = (group for group, owner in enumerate(self._owners) if owner is not before[group])
        self._announce(frozenset(g for g in moved if (owner := self._owners[g]) is not None and owner.connection))

    async def _ask_any(self) -> list[tuple[int, int, tuple[str, int]]]:
        links = [link for link in self._links.values() if link.connection is not None]
        random.shuffle(links)
        for link in links:
            try:
                return _masters(await link.use().ask("CLUSTER", "SLOTS"), link.address)
            except (Unavailable, Refused):
                continue
        return await self._ask_seed()

    async def _ask_seed(self) -> list[tuple[int, int, tuple[str, int]]]:
        addresses = [self.address, *(link.address for link in self._links.values())]
        for address in random.sample(addresses, len(addresses)):
            try:
                connection = await Connection.to(address, lambda message: None, patience=self._patience)
            except _TROUBLE:
                continue
            try:
                return _masters(await connection.ask("CLUSTER", "SLOTS"), address)
            except (Unavailable, Refused):
                continue
            finally:
                connection.close()
        raise Unavailable("No node of the Redis cluster answers.")

    def _link_to(self, host: str, port: int) -> Link:
        link = self._links.get((host, port))
        if link is None:
            link = self._links[host, port] = self._new_link(self.address.beside(host, port))
        return link

    async def _let_go(self) -> None:
        """Close the links of nodes that own none of the partitions any more."""
        for name, link in list(self._links.items()):
            if not any(owner is link for owner in self._owners):
                del self._links[name]
                await link.close()


_TROUBLE = (OSError, TimeoutError, Refused, Unavailable)


def _masters(slots: list[Any], asked: Address) -> list[tuple[int, int, tuple[str, int]]]:
    """First and last slot and the master of each range, as `CLUSTER SLOTS` says it; no host means the one asked."""
    return [(first, last, ((node[0] or b"").decode() or asked.host, node[1])) for first, last, node, *_ in slots]
