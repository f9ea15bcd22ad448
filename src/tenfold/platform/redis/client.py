"""A Redis of one server, as the parts use it: scripts on keys of one group, subscriptions, and word of what arrives.

Channels and their keys are spread over a fixed number of partitions by hash tags (`prefix:{7}:…`). A **group** is what
one command may touch: a partition in a cluster, everything on one server. So the parts work by group and need not know
which of the two they have.
"""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

import structlog

from tenfold.kit.refusals import Unavailable
from tenfold.platform.redis.address import Address
from tenfold.platform.redis.connection import Connection, Refused, Word
from tenfold.platform.redis.link import Link
from tenfold.platform.redis.scripts import Script

PARTITIONS = 64
_PAUSES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 0.8)
# What a server says of its own condition rather than of the command: it is as good as gone.
_OUT_OF_ORDER = frozenset({"LOADING", "MASTERDOWN", "READONLY", "OOM", "MISCONF", "NOREPLICAS", "BUSY", "CLUSTERDOWN"})
T = TypeVar("T")
Hear = Callable[[bytes, bytes], None]
log = structlog.get_logger("tenfold.redis")


def partition_of(name: str) -> int:
    """The partition of a channel: the same in every process, for good."""
    return zlib.crc32(name.encode()) % PARTITIONS


class Redis:
    """One server. While it is gone every call raises `Unavailable` at once; one in flight waits 3 × `patience` at most.

    `prefix` keeps installations apart that share a server (pub/sub knows no database numbers).
    """

    def __init__(self, address: Address, *, prefix: str = "tenfold", patience: float = 1.5) -> None:
        self.address = address
        self.prefix = prefix
        self._patience = patience
        self._tags = [f"{prefix}:{{{number}}}:" for number in range(PARTITIONS)]
        self._hearers: dict[bytes, Hear] = {}
        self._hear_others: Hear | None = None
        self._arrived: list[Callable[[frozenset[int]], None]] = []
        self._torn: list[Callable[[bytes], None]] = []
        self._link: Link | None = None
        self._users = 0

    def key(self, partition: int, rest: str) -> str:
        """The name of a key or channel in a partition."""
        return self._tags[partition] + rest

    def group_of(self, partition: int) -> int:
        """The group of a partition: here they are all one."""
        return 0

    def group_of_name(self, name: str) -> int:
        """The group of a channel."""
        return 0

    def groups(self) -> Iterable[int]:
        """Every group there is."""
        return (0,)

    def hear(self, channel: str | None, hearer: Hear) -> None:
        """Have `hearer(channel, message)` take what comes on a channel; on every other one with None."""
        if channel is None:
            self._hear_others = hearer
        else:
            self._hearers[channel.encode()] = hearer

    def on_arrival(self, callback: Callable[[frozenset[int]], None]) -> None:
        """Call this when groups have come (back): nothing is subscribed there, and messages may have been missed."""
        self._arrived.append(callback)

    def on_torn(self, callback: Callable[[bytes], None]) -> None:
        """Call this when the server ended a subscription, or confirms that we did."""
        self._torn.append(callback)

    async def open(self) -> None:
        """Begin to connect, and wait for the first success or failure. Every part that uses it opens it."""
        self._users += 1
        if self._users == 1:
            await self._connect()

    async def close(self) -> None:
        """Disconnect, when the last part that opened it closes it."""
        self._users -= 1
        if self._users == 0:
            await self._disconnect()

    async def call(
        self,
        group: int,
        script: Script,
        keys: Sequence[Word],
        args: Sequence[Word] = (),
        *,
        hearing: Sequence[str] = (),
    ) -> Any:
        """What a script returns. Raises `Unavailable` when Redis is gone, `Refused` when the call itself is wrong.

        Channels to be heard are subscribed to before it runs, in the same round trip.
        """

        async def attempt(connection: Connection, asking: bool) -> Any:
            if not hearing:
                return await script.run(connection, keys, args, asking=asking)
            if asking:
                connection.say("ASKING")
            told = connection.tell([("SSUBSCRIBE", *hearing)])
            told.add_done_callback(_ignore)  # where the script fails nobody asks what became of it
            answer = await script.run(connection, keys, args, asking=asking)
            await told
            return answer

        return await self._insist(group, attempt)

    async def subscribe(self, group: int, channels: Sequence[str]) -> None:
        """Hear these channels; when it returns the subscriptions stand."""
        command = ("SSUBSCRIBE", *channels)

        async def tell(connection: Connection, asking: bool) -> None:
            await connection.tell([command])

        await self._insist(group, tell)

    def unsubscribe(self, group: int, channels: Sequence[str]) -> None:
        """Hear these channels no more. A server that is gone has forgotten them anyway."""
        try:
            done = self._link_of(group).use().tell([("SUNSUBSCRIBE", *channels)])
        except Unavailable:
            return
        done.add_done_callback(_ignore)

    def links(self) -> list[Link]:
        """The links to all servers that hold a group."""
        return [self._link] if self._link is not None else []

    async def _connect(self) -> None:
        self._link = self._new_link(self.address)
        await self._link.settled.wait()

    async def _disconnect(self) -> None:
        if self._link is not None:
            await self._link.close()
            self._link = None

    def _link_of(self, group: int) -> Link:
        if self._link is None:
            raise Unavailable("Redis is not connected.")
        return self._link

    def _groups_of(self, link: Link) -> frozenset[int]:
        return frozenset((0,))

    def _new_link(self, address: Address) -> Link:
        return Link(address, pushed=self._pushed, changed=self._changed, patience=self._patience)

    def _changed(self, link: Link) -> None:
        """A link is up or down."""
        if link.connection is not None:
            self._announce(self._groups_of(link))

    def _announce(self, groups: frozenset[int]) -> None:
        for callback in self._arrived if groups else ():
            callback(groups)

    def _pushed(self, message: list[Any]) -> None:
        kind = message[0]
        if kind == b"smessage":
            hearer = self._hearers.get(message[1], self._hear_others)
            if hearer is not None:
                try:
                    hearer(message[1], message[2])
                except Exception as error:  # a boundary: one bad message must not cost the connection
                    log.exception("cannot take a message", channel=message[1].decode(), exc_info=error)
        elif kind == b"sunsubscribe" and message[1] is not None:
            for callback in self._torn:
                callback(message[1])

    async def _insist(self, group: int, work: Callable[[Connection, bool], Awaitable[T]]) -> T:
        """Do something where the group is, and again when that was the wrong place or moment."""
        for pause in _PAUSES:
            if pause:
                await asyncio.sleep(pause)
            link = self._link_of(group)
            try:
                return await self._try(link, work)
            except Refused as refusal:
                if not await self._is_passing(link, refusal):
                    raise
        raise Unavailable("Redis does not settle.")

    async def _try(self, link: Link, work: Callable[[Connection, bool], Awaitable[T]]) -> T:
        return await work(link.use(), False)

    async def _is_passing(self, link: Link, refusal: Refused) -> bool:
        """Whether another attempt may succeed; raises `Unavailable` when the server is in no state to work."""
        if refusal.code == "READONLY":
            link.drop()  # a master that became a replica: its name may lead to the new one
        if refusal.code in _OUT_OF_ORDER:
            raise Unavailable(f"Redis cannot work: {refusal.code}.")
        return False


def _ignore(done: "asyncio.Future[None]") -> None:
    """A refused or lost unsubscribe needs no care: whoever moved the channel, or left, has forgotten us."""
    if not done.cancelled():
        done.exception()
