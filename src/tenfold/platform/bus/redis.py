"""The Redis engine of the bus: one channel that every process subscribes to.

A transaction's signals leave right after its commit, which never waits for Redis nor fails with it. Those that could
not leave are made good by a gap told to every process when Redis is back. Those of a process that dies in that instant
are lost in silence: whoever must not miss one also reads the database, on a clock of its own (decision 0014).
"""

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from tenfold.kit.refusals import Unavailable
from tenfold.platform.bus.listeners import Listening, stop
from tenfold.platform.redis import Redis, Refused, Script

if TYPE_CHECKING:
    from tenfold.platform.db import Write

_CHANNEL = "!bus"
_GAP = b"gap"
_RETRY_AFTER = 0.5
_SEND = Script("for i = 1, #ARGV do redis.call('SPUBLISH', KEYS[1], ARGV[i]) end return #ARGV")
log = structlog.get_logger("tenfold.bus")


class RedisBus(Listening):
    """Carries signals through Redis. The gap is told each time that the subscription has been made anew."""

    loses_in_silence = True

    def __init__(self, redis: Redis) -> None:
        """Build it before Redis is opened."""
        super().__init__()
        self._redis = redis
        self._channel = redis.key(0, _CHANNEL)
        self._group = redis.group_of(0)
        self._arrived: asyncio.Queue[bytes] = asyncio.Queue()
        self._is_due = asyncio.Event()
        self._owes_gap = False
        self._tasks: list[asyncio.Task[None]] = []
        self._sending: set[asyncio.Task[None]] = set()
        redis.hear(self._channel, lambda channel, message: self._arrived.put_nowait(message))
        redis.on_arrival(self._came)
        redis.on_torn(self._torn)

    async def send_in(self, tx: "Write", signals: list[tuple[str, Any]]) -> None:
        """Have the transaction's commit send the signals, in this order, without making anybody wait for it."""
        bodies = [_body(topic, payload) for topic, payload in signals]

        def leave() -> None:
            task = asyncio.create_task(self._send_or_say(bodies), name="bus sends")
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

        if bodies:
            tx.on_commit(leave)

    async def send(self, topic: str, payload: object) -> None:
        """Send a signal after those of transactions before it. Raises `Unavailable` while Redis is gone."""
        if self._sending:
            await asyncio.wait(self._sending)
        await self._send([_body(topic, payload)])

    async def open(self) -> None:
        """Start to listen; a Redis that is not there is listened to when it comes."""
        await self._redis.open()
        self._is_due.clear()
        if not await self._subscribe():
            self._is_due.set()
        self._tasks = [
            asyncio.create_task(self._deliver(), name="bus delivers"),
            asyncio.create_task(self._keep_subscribed(), name="bus subscribes"),
        ]

    async def close(self) -> None:
        """Send what is still to be sent, and stop to listen."""
        if not self._tasks:
            return
        if self._sending:
            await asyncio.wait(self._sending)
        for task in self._tasks:
            await stop(task)
        self._tasks = []
        await self._redis.close()

    async def _send(self, bodies: list[bytes]) -> None:
        await self._redis.call(self._group, _SEND, [self._channel], bodies)

    async def _send_or_say(self, bodies: list[bytes]) -> None:
        try:
            await self._send(bodies)
        except (Unavailable, Refused) as error:
            log.warning("bus.not_sent", signals=len(bodies), error=str(error))
            self._owes_gap = True
            self._is_due.set()

    async def _deliver(self) -> None:
        while True:
            message = await self._arrived.get()
            if message == _GAP:
                await self._tell_of_gap()
            else:
                topic, payload = msgspec.json.decode(message)
                await self._hear(topic, payload)

    async def _keep_subscribed(self) -> None:
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            if await self._subscribe():
                self._arrived.put_nowait(_GAP)
            else:
                await asyncio.sleep(_RETRY_AFTER)
                self._is_due.set()

    async def _subscribe(self) -> bool:
        """Subscribe, and tell every process of the signals that could not leave here."""
        try:
            await self._redis.subscribe(self._group, [self._channel])
            if self._owes_gap:
                await self._send([_GAP])
                self._owes_gap = False
        except Unavailable:
            return False
        except Refused as refusal:
            log.exception("cannot subscribe", exc_info=refusal)
            return False
        return True

    def _came(self, groups: frozenset[int]) -> None:
        if self._group in groups:
            self._is_due.set()

    def _torn(self, channel: bytes) -> None:
        if channel == self._channel.encode():
            self._is_due.set()


def _body(topic: str, payload: object) -> bytes:
    return msgspec.json.encode([topic, payload])
