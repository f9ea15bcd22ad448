"""Devices of people who chat while servers die: each holds its own copy of its conversations, as an app would.

A device connects, recovers from where it was, sends each message again until it is acknowledged, and lays every change
it hears into its copy. It asserts on the way that no change is doubled or out of order; that none is missing is seen by
comparing its copy with the original.
"""

import asyncio
import itertools
import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

_GONE = (OSError, TimeoutError, EOFError, WebSocketException, httpx2.TransportError)
_PATIENCE = 5.0
_PAUSE = 0.02
_COMES_BACK = 2500
"""From this code on a client subscribes anew by itself after the server has ended its subscription."""
_TEMPORARY = 100
"""Below this an error of the protocol's own is about this moment (`temporary`), from 1500 on a door's fault is."""


@dataclass(frozen=True)
class Addresses:
    """Where requests go, and where sockets."""

    http: str
    socket: str


@dataclass
class Copy:
    """What a device knows of a conversation: its messages by `seq`, and up to which change."""

    offset: int = 0
    epoch: str = ""
    is_recovering: bool = False
    messages: dict[int, dict[str, Any]] = field(default_factory=dict)
    recoveries: int = 0

    @property
    def last_seq(self) -> int:
        """The latest message that is known."""
        return max(self.messages, default=0)

    def lay(self, change: dict[str, Any]) -> None:
        """Put the rows of a change in the place of those known before."""
        for message in change.get("messages", ()):
            self.messages[message["seq"]] = message

    def hear(self, publication: dict[str, Any]) -> None:
        """Take a live publication; those without a number are for the moment and change nothing.

        A number may be left out: of two changes of a message that were read back together, the later one tells all.
        """
        if number := publication.get("offset"):
            assert number > self.offset, f"change {number} after {self.offset}"
            self.offset = number
            self.lay(publication["data"])

    def recover(self, result: dict[str, Any]) -> None:
        """Take what a subscription begins with: everything missed, in order."""
        if self.is_recovering:
            assert result.get("recovered"), "the server says that it cannot say what was missed"
            self.recoveries += 1
        for publication in result.get("publications", ()):
            assert publication["offset"] > self.offset, f"change {publication['offset']} again, after {self.offset}"
            self.offset = publication["offset"]
            self.lay(publication["data"])
        assert self.offset <= result.get("offset", 0), f"the server is at {result.get('offset')}, we at {self.offset}"
        self.offset, self.epoch, self.is_recovering = result.get("offset", 0), result.get("epoch", ""), True


@dataclass
class Draft:
    """A message that a device wants to send, and what was acknowledged of it."""

    conversation_id: str
    client_msg_id: str
    body: str
    seq: int = 0


class Device:
    """One of somebody's devices. `over_http` is how it sends; it listens over the socket in any case."""

    def __init__(self, name: str, at: Addresses, token: str, rooms: list[str], *, over_http: bool) -> None:
        self.name = name
        self.copies = {room: Copy() for room in rooms}
        self.drafts: list[Draft] = []
        self.connects = 0
        self.resent = 0
        self._at = at
        self._token = token
        self._over_http = over_http
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._joining: dict[int, Copy] = {}
        self._socket: ClientConnection | None = None
        self._is_here = asyncio.Event()

    async def live(self) -> None:
        """Be connected, whatever happens, until cancelled."""
        while True:
            with suppress(*_GONE):
                await self._visit()
            await asyncio.sleep(_PAUSE)

    async def is_here(self) -> None:
        """Wait until it is connected and listens to all its conversations."""
        async with asyncio.timeout(_PATIENCE):
            await self._is_here.wait()

    async def write(self, stop: asyncio.Event) -> None:
        """Send one message after the other, each until it is acknowledged; the last one too, when told to stop."""
        rooms = itertools.cycle(self.copies)
        async with httpx2.AsyncClient(timeout=_PATIENCE) as client:
            for number in itertools.count():
                if stop.is_set():
                    return
                draft = Draft(next(rooms), f"{self.name}-{number}", f"{number} from {self.name}")
                self.drafts.append(draft)
                while not draft.seq:
                    await self._send(client, draft)
                await self._have_second_thoughts(number, draft)
                await asyncio.sleep(_PAUSE)

    async def call(self, method: str, data: Any = None) -> Any:
        """Call a door over the socket; asserts that it is not refused."""
        async with asyncio.timeout(_PATIENCE):
            await self._is_here.wait()
            return (await self._ask({"rpc": {"method": method, "data": data or {}}}))["rpc"].get("data")

    async def _have_second_thoughts(self, number: int, draft: Draft) -> None:
        """Now and then edit or delete what was sent, or read on; whether it came through is for the server to say."""
        room = f"/v1/conversations/{draft.conversation_id}"
        with suppress(*_GONE):
            if number % 5 == 1:
                await self.call(f"PATCH {room}/messages/{draft.seq}", {"body": f"{draft.body}, edited"})
            elif number % 5 == 2:
                await self.call(f"DELETE {room}/messages/{draft.seq}")
            elif number % 5 == 3:
                await self.call(f"PUT {room}/read", {"seq": self.copies[draft.conversation_id].last_seq})

    async def _send(self, client: httpx2.AsyncClient, draft: Draft) -> None:
        path = f"/v1/conversations/{draft.conversation_id}/messages"
        body = {"client_msg_id": draft.client_msg_id, "body": draft.body}
        try:
            if self._over_http:
                headers = {"authorization": f"Bearer {self._token}"}
                response = await client.post(f"{self._at.http}{path}", json=body, headers=headers)
                assert response.status_code in (201, 503), response.text
                sent = response.json() if response.status_code == 201 else None
            else:
                sent = await self.call(f"POST {path}", body)
        except _GONE:
            sent = None
        if sent is None:
            self.resent += 1
            await asyncio.sleep(_PAUSE)
            return
        assert sent["client_msg_id"] == draft.client_msg_id
        draft.seq = sent["seq"]

    async def _visit(self) -> None:
        async with connect(self._at.socket, compression=None, open_timeout=_PATIENCE) as socket:
            self._socket = socket
            reading = asyncio.create_task(self._read(socket))
            try:
                await self._ask({"connect": {"token": self._token}})
                for room, copy in self.copies.items():
                    asked = {"recover": copy.is_recovering, "offset": copy.offset, "epoch": copy.epoch}
                    await self._ask({"subscribe": {"channel": f"conversation:{room}", **asked}}, copy)
                self.connects += 1
                self._is_here.set()
                await reading
            finally:
                self._is_here.clear()
                self._socket = None
                reading.cancel()
                with suppress(asyncio.CancelledError, *_GONE):
                    await reading

    async def _ask(self, command: dict[str, Any], joining: Copy | None = None) -> dict[str, Any]:
        if self._socket is None:
            raise ConnectionError("not connected")
        number = next(self._ids)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        if joining is not None:
            self._joining[number] = joining
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._socket.send(json.dumps({"id": number, **command}))
                reply = await answer
        finally:
            self._waiting.pop(number, None)
            self._joining.pop(number, None)
            if not answer.cancel() and not answer.cancelled():
                answer.exception()  # when the sending failed nobody waited for it
        if error := reply.get("error"):
            if error.get("temporary") or error["code"] in (_TEMPORARY, 1503):
                raise ConnectionError(error["message"])
            raise AssertionError(f"{command} is refused: {error}")
        return reply

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for frame in socket:
                for line in str(frame).splitlines():
                    await self._take(socket, json.loads(line))
        finally:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(ConnectionError("the connection is gone"))

    async def _take(self, socket: ClientConnection, reply: dict[str, Any]) -> None:
        if not reply:
            await socket.send("{}")
        elif push := reply.get("push"):
            copy = self.copies.get(push.get("channel", "").removeprefix("conversation:"))
            if copy is not None and "pub" in push:
                copy.hear(push["pub"])
            elif copy is not None and push.get("unsubscribe", {}).get("code", 0) >= _COMES_BACK:
                await socket.close()
        else:
            # Laid here, not by who asked: a publication may follow in the same frame.
            if "subscribe" in reply and reply["id"] in self._joining:
                self._joining[reply["id"]].recover(reply["subscribe"])
            waiting = self._waiting.get(reply.get("id", 0))
            if waiting is not None and not waiting.done():
                waiting.set_result(reply)
