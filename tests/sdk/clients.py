"""The two official SDKs behind one face, so that a test can be run with either: what it does, and what it is told."""

import asyncio
import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from centrifuge import Client, ClientEventHandler, SubscriptionEventHandler
from centrifuge.exceptions import ReplyError

HERE = Path(__file__).parent
Give = Callable[[str | None], Awaitable[str]]
"""Gives a token when an SDK asks for one: for its connection (None), or for a channel."""


class Refused(Exception):
    """The server answered with an error."""

    def __init__(self, code: int | None, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Event:
    """What an SDK said: of its connection, or of a channel."""

    name: str
    channel: str | None
    ctx: dict[str, Any]


@dataclass
class Told:
    """What an SDK said so far."""

    events: list[Event] = field(default_factory=list)

    def all(self, name: str, channel: str | None = None) -> list[dict[str, Any]]:
        """The contexts of the events of a name: of a channel, or of the connection and the channels it was given."""
        return [event.ctx for event in self.events if (event.name, event.channel) == (name, channel)]

    async def heard(self, name: str, channel: str | None = None, *, count: int = 1) -> list[dict[str, Any]]:
        """The same, once there are so many."""
        async with asyncio.timeout(15):
            while len(found := self.all(name, channel)) < count:
                await asyncio.sleep(0.01)
        return found

    async def published(self, channel: str, *, count: int = 1) -> list[Any]:
        """The data that came to a channel, once there is so much of it."""
        async with asyncio.timeout(15):
            while len(found := self.data_of(channel)) < count:
                await asyncio.sleep(0.01)
        return found

    def data_of(self, channel: str) -> list[Any]:
        """The data that came to a channel, whether it was asked for or given."""
        return [
            event.ctx["data"]
            for event in self.events
            if event.name == "publication" and event.ctx.get("channel") == channel
        ]


class SdkClient(Told, ABC):
    """One connection of an official SDK. What the server refuses raises `Refused`."""

    @abstractmethod
    async def connect(self) -> None: ...

    @abstractmethod
    async def disconnect(self) -> None: ...

    @abstractmethod
    async def state(self) -> str: ...

    @abstractmethod
    async def subscribe(self, channel: str, *, asks: bool = False) -> None: ...

    @abstractmethod
    async def unsubscribe(self, channel: str) -> None: ...

    @abstractmethod
    async def publish(self, channel: str, data: Any) -> None: ...

    @abstractmethod
    async def rpc(self, method: str, data: Any) -> Any: ...

    @abstractmethod
    async def history(self, channel: str, *, limit: int, reverse: bool = False) -> list[Any]: ...

    @abstractmethod
    async def presence(self, channel: str) -> list[str]:
        """The users that are there, one for each connection."""

    @abstractmethod
    async def presence_stats(self, channel: str) -> tuple[int, int]:
        """How many connections, and how many users."""


class Puppet:
    """A Node process with the JavaScript SDK in it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count(1)
        self._clients: dict[str, JavaScriptClient] = {}
        self._giving: set[asyncio.Task[None]] = set()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls) -> "Puppet":
        process = await asyncio.create_subprocess_exec(
            "node", str(HERE / "puppet.mjs"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        return cls(process)

    async def client(
        self, url: str, give: Give | None = None, *, patience: float, **options: Any
    ) -> "JavaScriptClient":
        client = JavaScriptClient(self, f"c{len(self._clients)}", give)
        self._clients[client.name] = client
        options["maxServerPingDelay"] = patience * 1000
        await self.do("new", client=client.name, url=url, options=options, asks=give is not None)
        return client

    async def do(self, deed: str, **more: Any) -> Any:
        number = next(self._numbers)
        waiting = self._answers[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, "do": deed, **more}).encode() + b"\n")
        async with asyncio.timeout(15):
            return await waiting

    async def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            if "id" in said:
                self._answered(said)
            elif said["event"] == "getToken":
                task = asyncio.create_task(self._give(said))
                self._giving.add(task)
                task.add_done_callback(self._giving.discard)
            else:
                event = Event(said["event"], said.get("channel"), {"channel": said.get("channel"), **said["ctx"]})
                self._clients[said["client"]].events.append(event)

    def _answered(self, said: dict[str, Any]) -> None:
        waiting = self._answers.pop(said["id"])
        if "error" in said:
            waiting.set_exception(Refused(said["error"]["code"], said["error"]["message"]))
        else:
            waiting.set_result(said["result"])

    async def _give(self, said: dict[str, Any]) -> None:
        give = self._clients[said["client"]].give
        assert give is not None
        await self.do("token", ask=said["ask"], token=await give(said.get("channel")))


class JavaScriptClient(SdkClient):
    """A client of `centrifuge`, the SDK for JavaScript."""

    def __init__(self, puppet: Puppet, name: str, give: Give | None) -> None:
        super().__init__()
        self.name = name
        self.give = give
        self._puppet = puppet

    async def _do(self, deed: str, **more: Any) -> Any:
        return await self._puppet.do(deed, client=self.name, **more)

    async def connect(self) -> None:
        await self._do("connect")

    async def disconnect(self) -> None:
        await self._do("disconnect")

    async def state(self) -> str:
        return await self._do("state")

    async def subscribe(self, channel: str, *, asks: bool = False) -> None:
        await self._do("subscribe", channel=channel, asks=asks, options={"joinLeave": True})

    async def unsubscribe(self, channel: str) -> None:
        await self._do("unsubscribe", channel=channel)

    async def publish(self, channel: str, data: Any) -> None:
        await self._do("publish", channel=channel, data=data)

    async def rpc(self, method: str, data: Any) -> Any:
        return (await self._do("rpc", method=method, data=data))["data"]

    async def batch(self, *calls: tuple[str, Any]) -> tuple[list[Any], int]:
        """Calls sent together: their answers, and how many frames it took."""
        done = await self._do("batch", calls=calls)
        return [answer["data"] for answer in done["answers"]], done["frames"]

    async def history(self, channel: str, *, limit: int, reverse: bool = False) -> list[Any]:
        found = await self._do("history", channel=channel, options={"limit": limit, "reverse": reverse})
        return [publication["data"] for publication in found["publications"]]

    async def presence(self, channel: str) -> list[str]:
        return [info["user"] for info in (await self._do("presence", channel=channel))["clients"].values()]

    async def presence_stats(self, channel: str) -> tuple[int, int]:
        found = await self._do("presenceStats", channel=channel)
        return found["numClients"], found["numUsers"]


class PythonClient(SdkClient):
    """A client of `centrifuge-python`."""

    def __init__(self, url: str, give: Give | None = None, *, patience: float, **options: Any) -> None:
        super().__init__()
        self.give = give
        token = {"get_token": lambda: give(None)} if give else {}
        fast = {
            "min_reconnect_delay": 0.05,
            "max_reconnect_delay": 0.2,
            "proxy": None,
            "max_server_ping_delay": patience,
        }
        self._client = Client(url, events=_Listener(self.events), **fast, **options, **token)

    async def connect(self) -> None:
        await self._client.connect()

    async def disconnect(self) -> None:
        await self._client.disconnect()

    async def state(self) -> str:
        return self._client.state.value

    async def subscribe(self, channel: str, *, asks: bool = False) -> None:
        subscription = self._client.get_subscription(channel)
        if subscription is None:
            give = self.give
            token: dict[str, Any] = {"get_token": give} if asks and give else {}
            listener = _RoomListener(self.events, channel)
            subscription = self._client.new_subscription(
                channel, events=listener, recoverable=True, join_leave=True, min_resubscribe_delay=0.05, **token
            )
        await subscription.subscribe()

    async def unsubscribe(self, channel: str) -> None:
        await self._of(channel).unsubscribe()

    async def publish(self, channel: str, data: Any) -> None:
        await _asked(self._client.publish(channel, data))

    async def rpc(self, method: str, data: Any) -> Any:
        return (await _asked(self._client.rpc(method, data))).data

    async def history(self, channel: str, *, limit: int, reverse: bool = False) -> list[Any]:
        found = await _asked(self._client.history(channel, limit=limit, reverse=reverse))
        return [publication.data for publication in found.publications]

    async def presence(self, channel: str) -> list[str]:
        return [info.user for info in (await _asked(self._client.presence(channel))).clients.values()]

    async def presence_stats(self, channel: str) -> tuple[int, int]:
        found = await _asked(self._client.presence_stats(channel))
        return found.num_clients, found.num_users

    def _of(self, channel: str) -> Any:
        subscription = self._client.get_subscription(channel)
        assert subscription is not None
        return subscription


async def _asked(question: Awaitable[Any]) -> Any:
    try:
        return await question
    except ReplyError as error:
        raise Refused(error.code, error.message) from None


def _ctx(ctx: Any) -> dict[str, Any]:
    """A context of the Python SDK, in the words of the JavaScript one."""
    told = asdict(ctx) if not hasattr(ctx, "error") else {"code": ctx.code}
    told.update(told.pop("pub", {}))
    return {"wasRecovering": told.pop("was_recovering", False), **told}


class _Listener(ClientEventHandler):
    def __init__(self, events: list[Event]) -> None:
        self._events = events

    def __getattribute__(self, name: str) -> Any:
        """Note every event of the connection, and of the channels that the server gave it."""
        if not name.startswith("on_"):
            return super().__getattribute__(name)

        async def note(ctx: Any) -> None:
            self._events.append(Event(name.removeprefix("on_"), None, _ctx(ctx)))

        return note


class _RoomListener(SubscriptionEventHandler):
    def __init__(self, events: list[Event], channel: str) -> None:
        self._events = events
        self._channel = channel

    def __getattribute__(self, name: str) -> Any:
        """Note every event of a channel that was asked for."""
        if not name.startswith("on_"):
            return super().__getattribute__(name)

        async def note(ctx: Any) -> None:
            told = {**_ctx(ctx), "channel": self._channel}
            self._events.append(Event(name.removeprefix("on_"), self._channel, told))

        return note
