"""The Redis engine of the broker: one server or a cluster, with sharded pub/sub, for any number of processes.

A process subscribes to the channels that its hub listens to, so a publication costs by the processes that hold
listeners. Numbering, keeping and publishing are one script. What Redis forgets (a restart without data, a lost replica,
an evicted key) shows as another epoch, so nobody takes an old position for a new one.
"""

import asyncio
import functools
import random
import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar, cast

import structlog
from msgspec import Raw

from tenfold.kit.refusals import Unavailable
from tenfold.platform.realtime.broker import Broker, History, Receiver, Unreached
from tenfold.platform.realtime.protocol import Publication, StreamPosition
from tenfold.platform.realtime.redis_scripts import BEGIN_ANEW, HISTORY, POSITIONS, PUBLISH, ROUTE
from tenfold.platform.redis import Redis, Refused, Word, gathering, partition_of, spread

STREAM_LIFE = timedelta(days=1)
"""How long a stream without publications is known; while somebody listens, its life begins anew now and then."""

_SIGNALS = "!signals"
_PART_AFTER = 1.0
_REFRESH_ONE_IN = 32
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
T = TypeVar("T")
log = structlog.get_logger("tenfold.realtime")


class RedisBroker(Broker):
    """Carries publications through Redis. A subscription that the server ended (a slot moved) is made again."""

    def __init__(self, redis: Redis, *, history_size: int = 100, history_ttl: timedelta = timedelta(minutes=5)) -> None:
        """Build it before Redis is opened. A stream keeps `history_size` publications, `history_ttl` after the last."""
        self._redis = redis
        self._size = history_size
        self._kept = _milliseconds(history_ttl)
        self._life = _milliseconds(max(STREAM_LIFE, 2 * history_ttl))
        self._receiver: Receiver | None = None
        self._origin = secrets.token_bytes(8)
        # By group, so that in a cluster a master that is gone fails nobody but those who ask for its channels.
        self._subscribing = [gathering(functools.partial(self._subscribe_group, group)) for group in redis.groups()]
        self._entering = [gathering(functools.partial(self._enter_group, group)) for group in redis.groups()]
        self._parting: set[str] = set()
        self._parted: set[str] = set()
        self._part_timer: asyncio.TimerHandle | None = None
        self._lost: set[int] = set()
        self._torn: set[str] = set()
        self._mending: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._is_open = False
        redis.hear(None, self._heard)
        redis.hear(self._signals, self._heard_signal)
        redis.on_arrival(self._arrived)
        redis.on_torn(self._tore)

    def attach(self, receiver: Receiver) -> None:
        """Have a hub receive; there is one."""
        if self._receiver is not None:
            raise ValueError("a Redis broker has one receiver")
        self._receiver = receiver

    async def open(self) -> None:
        """Connect; if that succeeds, signals are heard when this returns."""
        self._is_open = True
        self._origin = secrets.token_bytes(8)
        await self._redis.open()
        if any(link.connection is not None for link in self._redis.links()):
            self._arrived(frozenset(self._redis.groups()))
            await self._tried.wait()

    async def close(self) -> None:
        """Let go of Redis; subscriptions end with the connection."""
        if not self._is_open:
            return
        self._is_open = False
        if self._part_timer is not None:
            self._part_timer.cancel()
        if self._mending is not None:
            self._mending.cancel()
            await asyncio.wait([self._mending])
        for gatherer in (*self._subscribing, *self._entering):
            gatherer.close()
        await self._redis.close()

    async def publish(self, channels: Sequence[str], data: Raw) -> None:
        """Number, keep and publish: one script per group."""
        args = (bytes(data), self._size, self._kept, self._life, _new_epoch())

        async def publish(group: int, names: Sequence[str]) -> Sequence[None]:
            keys = [key for name in names for key in self._keys(name)]
            await self._redis.call(group, PUBLISH, keys, (*args, *(self._channel(name) for name in names)))
            return [None] * len(names)

        await self._reach(channels, publish)

    async def route(self, channels: Sequence[str], data: Raw, *, offset: int = 0) -> None:
        """Publish and no more."""
        message = b"%d::%b" % (offset, bytes(data))

        async def route(group: int, names: Sequence[str]) -> Sequence[None]:
            await self._redis.call(group, ROUTE, [self._channel(name) for name in names], (message,))
            return [None] * len(names)

        await self._reach(channels, route)

    async def subscribe(self, channels: Sequence[str]) -> None:
        """Subscribe; what many callers want in one instant is one command per group."""
        self._parting.difference_update(channels)
        if len(channels) == 1:
            await self._subscribing[self._redis.group_of_name(channels[0])].ask(channels[0])
        elif channels:
            await self._subscribe_all(channels)

    def unsubscribe(self, channels: Sequence[str]) -> None:
        """Unsubscribe in a second, together with others, if they are not wanted again by then."""
        self._parting.update(channels)
        if self._parting and self._part_timer is None:
            self._part_timer = asyncio.get_running_loop().call_later(_PART_AFTER, self._part)

    async def positions(self, channels: Sequence[str]) -> list[StreamPosition]:
        """Where these streams stand: one call per group."""
        return await self._reach(channels, self._locate_group)

    async def enter(self, channel: str) -> StreamPosition:
        """Subscribe and ask where the stream stands; what many callers want in one instant is one round trip."""
        self._parting.discard(channel)
        return await self._entering[self._redis.group_of_name(channel)].ask(channel)

    async def history(
        self, channel: str, since: StreamPosition | None = None, *, limit: int = -1, reverse: bool = False
    ) -> History:
        """What is kept of a stream, in one step with where it stands."""
        args = (_new_epoch(), self._life, since.offset if since else -1, max(limit, -1), int(reverse))
        group = self._redis.group_of_name(channel)
        place, kept, first, items = await self._redis.call(group, HISTORY, self._keys(channel), args)
        position = _position(place)
        start = position.offset - kept
        if since is not None and not _is_known(since, position, start, reverse=reverse):
            return History(position, None)
        found = [Publication(data=Raw(item), offset=start + first + n) for n, item in enumerate(items, 1)]
        return History(position, found[::-1] if reverse else found)

    async def begin_anew(self, channels: Sequence[str] | None) -> None:
        """Give streams a new epoch; all of them is a walk through the keys of every server, once all are there."""
        if channels is not None:
            await self._reach(channels, self._renew)
            return
        pattern = f"{self._redis.prefix}:{{*}}:s:*"
        for connection in [link.use() for link in self._redis.links()]:
            cursor = b"0"
            while True:
                cursor, keys = await connection.ask("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
                await spread(self._redis, [key.decode().partition("}:s:")[2] for key in keys], self._renew)
                if cursor == b"0":
                    break

    async def signal(self, data: Raw) -> None:
        """Publish to the channel of all processes."""
        group = self._redis.group_of(0)
        await self._redis.call(group, ROUTE, [self._signals], (self._origin + bytes(data),))

    @property
    def _signals(self) -> str:
        return self._redis.key(0, _SIGNALS)

    def _channel(self, name: str) -> str:
        return self._redis.key(partition_of(name), name)

    def _stream(self, name: str) -> str:
        return self._redis.key(partition_of(name), f"s:{name}")

    def _keys(self, name: str) -> tuple[str, str]:
        partition = partition_of(name)
        return self._redis.key(partition, f"s:{name}"), self._redis.key(partition, f"h:{name}")

    async def _reach(
        self, channels: Sequence[str], work: Callable[[int, Sequence[str]], Awaitable[Sequence[T]]]
    ) -> list[T]:
        """Do something with channels on each of their servers. Raises `Unreached` with those whose server is gone."""
        missed, trouble = list[str](), None

        async def attempt(group: int, names: Sequence[str]) -> Sequence[T | None]:
            nonlocal trouble
            try:
                return await work(group, names)
            except (Unavailable, OSError) as error:
                trouble = error
                missed.extend(names)
                return [None] * len(names)

        found = await spread(self._redis, channels, attempt)
        if missed:
            raise Unreached(missed) from trouble
        return cast("list[T]", found)

    async def _subscribe_all(self, channels: Sequence[str]) -> None:
        await spread(self._redis, channels, self._subscribe_group)

    async def _subscribe_group(self, group: int, names: Sequence[str]) -> Sequence[None]:
        await self._redis.subscribe(group, [self._channel(name) for name in names])
        return [None] * len(names)

    async def _locate_group(self, group: int, names: Sequence[str]) -> Sequence[StreamPosition]:
        places = await self._redis.call(group, POSITIONS, *self._where(names))
        return [_position(place) for place in places]

    async def _enter_group(self, group: int, names: Sequence[str]) -> Sequence[StreamPosition]:
        channels = [self._channel(name) for name in names]
        places = await self._redis.call(group, POSITIONS, *self._where(names), hearing=channels)
        return [_position(place) for place in places]

    def _where(self, names: Sequence[str]) -> tuple[list[str], tuple[Word, ...]]:
        """What the script of positions is called with."""
        refresh = int(random.random() * _REFRESH_ONE_IN < 1)  # noqa: S311 - no secret
        return [self._stream(name) for name in names], (_new_epoch(), self._life, refresh)

    async def _renew(self, group: int, names: Sequence[str]) -> Sequence[None]:
        keys = [key for name in names for key in self._keys(name)]
        await self._redis.call(group, BEGIN_ANEW, keys, (_new_epoch(), self._life))
        return [None] * len(names)

    def _part(self) -> None:
        self._part_timer = None
        groups: dict[int, list[str]] = {}
        for name in self._parting:
            if self._receiver is None or not self._receiver.listens(name):
                groups.setdefault(self._redis.group_of_name(name), []).append(name)
        self._parting.clear()
        for group, names in groups.items():
            self._parted.update(names)
            self._redis.unsubscribe(group, [self._channel(name) for name in names])

    def _heard(self, channel: bytes, message: bytes) -> None:
        offset, epoch, data = message.split(b":", 2)
        if self._receiver is not None:
            self._receiver.received(_name_of(channel), int(offset), epoch.decode(), Raw(data))

    def _heard_signal(self, channel: bytes, message: bytes) -> None:
        if self._receiver is not None and not message.startswith(self._origin):
            self._receiver.signalled(Raw(message[len(self._origin) :]))

    def _arrived(self, groups: frozenset[int]) -> None:
        self._parted.clear()
        self._lost |= groups
        self._mend_soon()

    def _tore(self, channel: bytes) -> None:
        """The server confirms what we ended, or has ended what we want: its slot has gone elsewhere."""
        name = _name_of(channel)
        if name in self._parted:
            self._parted.discard(name)
        elif name == _SIGNALS or (self._receiver is not None and self._receiver.listens(name)):
            self._torn.add(name)
            self._mend_soon()

    def _mend_soon(self) -> None:
        if self._is_open and (self._mending is None or self._mending.done()):
            self._mending = asyncio.create_task(self._mend(), name="realtime mends its subscriptions")

    async def _mend(self) -> None:
        """Subscribe to everything anew that was lost, and have the hub check it; again until it succeeds."""
        pause = _FIRST_PAUSE
        while self._lost or self._torn:
            groups, torn = frozenset(self._lost), set(self._torn)
            self._lost.clear()
            self._torn.clear()
            try:
                await self._subscribe_anew(groups, torn)
                self._tried.set()
            except (Unavailable, Refused) as error:
                self._tried.set()
                if isinstance(error, Refused):
                    log.exception("cannot subscribe", exc_info=error)
                self._lost |= groups
                self._torn |= torn
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                pause = _FIRST_PAUSE
                if self._receiver is not None:
                    self._receiver.gap()

    async def _subscribe_anew(self, groups: frozenset[int], torn: set[str]) -> None:
        if self._redis.group_of(0) in groups or _SIGNALS in torn:
            await self._redis.subscribe(self._redis.group_of(0), [self._signals])
        wanted = self._receiver.channels() if self._receiver is not None else ()
        names = [n for n in wanted if n in torn or self._redis.group_of_name(n) in groups]
        await self._subscribe_all(names)


def _is_known(since: StreamPosition, top: StreamPosition, start: int, *, reverse: bool) -> bool:
    """Whether all that came after `since` is kept (in reverse: whether it is of this stream)."""
    return since.epoch == top.epoch and since.offset <= top.offset and (reverse or since.offset >= start)


def _position(place: bytes) -> StreamPosition:
    offset, _, epoch = place.partition(b":")
    return StreamPosition(offset=int(offset), epoch=epoch.decode())


def _name_of(channel: bytes) -> str:
    return channel.partition(b"}:")[2].decode()


def _new_epoch() -> str:
    return secrets.token_urlsafe(6)


def _milliseconds(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)
