"""Outgoing messages: those that are sent at one time are written by one statement, and durable by one commit.

A message alone does not wait for others. While statements are under way, what comes meanwhile gathers for the next: so
the busier the process, the less a message costs.
"""

import asyncio
from collections import deque
from typing import NamedTuple
from uuid import UUID

import msgspec

from tenfold.kit.refusals import Unavailable
from tenfold.modules.chat.queries.send import send_together
from tenfold.modules.chat.rows import SentAmongOthers
from tenfold.modules.chat.shapes import ChatPolicy
from tenfold.platform.db import Database, Unfit, Write

_UNDER_WAY = 2
_MOST = 64


class Letter(msgspec.Struct, frozen=True, gc=False):
    """A message without links, as it is written; the fields are the parameters of the statement."""

    conversation_id: UUID
    sender_id: UUID
    client_msg_id: str | None
    body: str
    attachments: str | None


class _Waiting(NamedTuple):
    letter: Letter
    answer: "asyncio.Future[SentAmongOthers | None]"
    until: float

    def resolve(self, sent: SentAmongOthers | None) -> None:
        """Answer, if its sender still waits."""
        if not self.answer.done():
            self.answer.set_result(sent)

    def fail(self, error: Exception) -> None:
        """Raise, if its sender still waits."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Outgoing:
    """One per process. A conversation has one message in the statements under way; the next in it waits its turn."""

    def __init__(self, db: Database, policy: ChatPolicy) -> None:
        self._db = db
        self._request_messages = policy.request_messages
        self._patience = db.sizes.wait.total_seconds()
        self._ready: deque[_Waiting] = deque()
        self._behind: dict[UUID, deque[_Waiting]] = {}
        self._is_called = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def write(self, letter: Letter) -> SentAmongOthers | None:
        """Write a message; answers when it is durable, and leaves telling of it to the caller.

        None when it was not written, for whatever reason: its sender may not, it was written before, or somebody else
        is just writing in the conversation. Alone, in a transaction of its own, it finds out why. Raises `Unavailable`
        when its turn does not come in the time in which a connection must come free.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(letter, loop.create_future(), loop.time() + self._patience)
        behind = self._behind.get(letter.conversation_id)
        if behind is None:
            self._behind[letter.conversation_id] = deque()
            self._ready.append(waiting)
            self._call()
        else:
            behind.append(waiting)
        return await waiting.answer

    def _call(self) -> None:
        """Begin at the end of this turn of the loop: whoever sends in it comes along."""
        if not self._is_called and len(self._tasks) < _UNDER_WAY:
            self._is_called = True
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._is_called = False
        loop = asyncio.get_running_loop()
        batch: list[_Waiting] = []
        while self._ready and len(batch) < _MOST:
            waiting = self._ready.popleft()
            if waiting.until < loop.time():
                waiting.fail(Unavailable("The message was not written in time.", retry_after=1))
                self._next(waiting.letter.conversation_id)
            else:
                batch.append(waiting)
        if batch:
            task = loop.create_task(self._send(batch))
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        if self._ready:
            self._call()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if self._ready:
            self._call()

    async def _send(self, batch: list[_Waiting]) -> None:
        try:
            written = await self._written([waiting.letter for waiting in batch])
            for waiting in batch:
                waiting.resolve(written.get(waiting.letter.conversation_id))
        except Exception as error:
            for waiting in batch:
                waiting.fail(error)
        finally:
            for waiting in batch:
                waiting.answer.cancel()
                self._next(waiting.letter.conversation_id)

    async def _written(self, letters: list[Letter]) -> dict[UUID, SentAmongOthers]:
        """What was written, by conversation; nothing when one of them spoilt it for all, so that each is sent alone."""

        async def deed(tx: Write) -> list[SentAmongOthers]:
            return await send_together.each(tx, letters, now=tx.now, request_messages=self._request_messages)

        try:
            return {sent.conversation_id: sent for sent in await self._db.transact(deed, single=True)}
        except Unfit:
            return {}

    def _next(self, conversation_id: UUID) -> None:
        """Let the next message of a conversation come, if there is one."""
        behind = self._behind[conversation_id]
        if behind:
            self._ready.append(behind.popleft())
        else:
            del self._behind[conversation_id]
