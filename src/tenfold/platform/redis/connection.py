"""One connection to one Redis: commands go out together, answers come in their order, messages in between (RESP3).

Beside redis-py's own connections for what they cannot do in little time: many callers share this one without a lock,
and what the callers of one turn of the event loop say leaves in one write. The parser and the encoder are hiredis'.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

import hiredis

from tenfold.kit.refusals import Unavailable
from tenfold.platform.redis.address import Address

Word = bytes | str | int
_pack: Callable[[tuple[Word, ...]], bytes] = hiredis.pack_command  # pyright: ignore[reportAssignmentType] - its stub takes one word
_NOT_YET = object()
_FENCE: tuple[Word, ...] = ("HELLO",)
_MOST_WAITING = 100_000
_MOST_DOUBTS = 2
_MOST_UNSENT = 32 * 1024**2


class Refused(Exception):
    """Redis answered a command with an error; the first word of its text says which."""

    @property
    def code(self) -> str:
        """Such as `MOVED`, `NOSCRIPT` or `OOM`."""
        return str(self).partition(" ")[0]


class Connection(asyncio.Protocol):
    """Lives until it is lost or closed, then `ended` is set. A server that does not answer for long counts as lost."""

    def __init__(self, pushed: Callable[[list[Any]], None], *, patience: float) -> None:
        """`pushed` takes pub/sub messages and must not raise; an answer is waited for 3 × `patience` at most."""
        self._loop = asyncio.get_running_loop()
        self._pushed = pushed
        self._patience = patience
        self._reader = hiredis.Reader(notEnoughData=_NOT_YET, replyError=Refused)
        self._transport: asyncio.Transport | None = None
        # Who waits, in the order of the commands: for an answer, for a fence (with the refusals before it), or nobody.
        self._waiting: deque[asyncio.Future[Any] | _Fence | None] = deque()
        self._unsent: list[bytes] = []
        self._answers = 0
        self._watch: asyncio.TimerHandle | None = None
        self.ended: asyncio.Future[None] = self._loop.create_future()

    @classmethod
    async def to(cls, address: Address, pushed: Callable[[list[Any]], None], *, patience: float) -> "Connection":
        """Connect and sign in. Raises `OSError`, `TimeoutError`, `Refused` or `Unavailable`."""
        loop = asyncio.get_running_loop()
        connection = cls(pushed, patience=patience)
        try:
            async with asyncio.timeout(patience):
                if address.path is not None:
                    await loop.create_unix_connection(lambda: connection, address.path)
                else:
                    tls = address.tls_context()
                    await loop.create_connection(lambda: connection, address.host, address.port, ssl=tls)
                await connection._greet(address)
        except BaseException:
            connection.close()
            raise
        return connection

    def ask(self, *command: Word) -> "asyncio.Future[Any]":
        """The answer to a command; raises `Refused`, or `Unavailable` when the connection is lost before it comes."""
        answer = self._loop.create_future()
        self._send(command)
        self._waiting.append(answer)
        return answer

    def say(self, *command: Word) -> None:
        """A command whose answer nobody needs."""
        self._send(command)
        self._waiting.append(None)

    def tell(self, commands: Sequence[tuple[Word, ...]]) -> "asyncio.Future[None]":
        """Commands that Redis confirms by messages alone (subscribing); done when they are, or raises what refused.

        A refusal comes as an answer though, which nothing tells from that to the next command: so a fence follows.
        """
        fence = _Fence(self._loop.create_future(), len(commands))
        for command in commands:
            self._send(command)
        self._send(_FENCE)
        self._waiting.append(fence)
        return fence.future

    def close(self) -> None:
        """End the connection; who still waits is told that it is gone."""
        if self._transport is not None:
            self._transport.abort()
        self._end()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to watch that answers come."""
        self._transport = cast(asyncio.Transport, transport)
        if self.ended.done():
            self._transport.abort()
            return
        self._watch = self._loop.call_later(self._patience, self._look, -1, 0)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Hand answers to those who wait, and messages on."""
        reader = self._reader
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _NOT_YET:
                if type(reply) is hiredis.PushNotification:
                    self._pushed(reply)
                else:
                    self._answered(reply)
        except (hiredis.ProtocolError, IndexError):
            self.close()  # not Redis, or not in step: nothing that follows can be trusted

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits."""
        self._end()

    async def _greet(self, address: Address) -> None:
        user = ("AUTH", address.username or "default", address.password) if address.password else ()
        await self.ask("HELLO", 3, *user, "SETNAME", "tenfold")
        if address.db:
            await self.ask("SELECT", address.db)

    def _send(self, command: tuple[Word, ...]) -> None:
        if self.ended.done() or len(self._waiting) > _MOST_WAITING:
            raise Unavailable("Redis does not answer.")
        if not self._unsent:
            if self._transport is not None and self._transport.get_write_buffer_size() > _MOST_UNSENT:
                raise Unavailable("Redis does not read.")
            self._loop.call_soon(self._flush)
        self._unsent.append(_pack(command))

    def _flush(self) -> None:
        transport = self._transport
        if transport is None or not self._unsent:
            return
        # The loop may know already that the server has gone, and only be about to say so: uvloop would raise.
        if not transport.is_closing():
            transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def _answered(self, reply: Any) -> None:
        self._answers += 1
        waiting = self._waiting[0]
        if isinstance(waiting, _Fence):
            if isinstance(reply, Refused) and waiting.takes(reply):
                return
            if type(reply) is not dict:
                raise hiredis.ProtocolError("the answer to a fence is missing")
            waiting.open()
        elif waiting is not None and not waiting.done():
            if isinstance(reply, Refused):
                waiting.set_exception(reply)
            else:
                waiting.set_result(reply)
        self._waiting.popleft()

    def _look(self, answers_before: int, doubts: int) -> None:
        """Whoever has waited for two looks without any answer waits for a dead server; a silent one is asked.

        Two, since the first may come late itself, before this process has read what arrived long ago.
        """
        doubts = doubts + 1 if self._waiting and answers_before == self._answers else 0
        if doubts == _MOST_DOUBTS:
            self.close()
            return
        if not self._waiting:
            with contextlib.suppress(Unavailable):
                self.say("PING")
        self._watch = self._loop.call_later(self._patience, self._look, self._answers, doubts)

    def _end(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        if not self.ended.done():
            self.ended.set_result(None)
        while self._waiting:
            waiting = self._waiting.popleft()
            future = waiting.future if isinstance(waiting, _Fence) else waiting
            if future is not None and not future.done():
                future.set_exception(Unavailable("Redis is gone."))


class _Fence:
    """A HELLO after commands without answers: once it is answered they are done, and every refusal was theirs.

    No state of the server refuses it (PING is refused while Redis loads, cannot save or is busy), no other command of
    ours is answered with a map, and each of the commands is refused once at most. So whatever else comes is another's.
    """

    __slots__ = ("_commands", "_refusal", "future")

    def __init__(self, future: "asyncio.Future[None]", commands: int) -> None:
        self.future = future
        self._commands = commands
        self._refusal: Refused | None = None

    def takes(self, refusal: Refused) -> bool:
        """Whether this refuses one of its commands: no more refusals are theirs than there are commands."""
        self._refusal = self._refusal or refusal
        self._commands -= 1
        return self._commands >= 0

    def open(self) -> None:
        if self.future.done():
            return
        if self._refusal is not None:
            self.future.set_exception(self._refusal)
        else:
            self.future.set_result(None)
