"""Server-sent events: the one-way fallback at `/connection/uni_sse`, for clients that cannot have a WebSocket.

It is a WebSocket connection whose client is played here: the request says what to connect to, pings are answered, and
what the server says goes out as events, each a push of the protocol without its wrapper. So sessions, limits, queues
and draining are those of the WebSocket endpoint. As in Centrifugo, the request is `cf_connect` in the query or the body
of a POST; the first event is `connect`, and the last one, if the server ends the stream, `disconnect`.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection
from typing import Any
from urllib.parse import parse_qs

import msgspec

from tenfold.kit.refusals import Malformed, Refusal
from tenfold.platform.http.answers import Answer
from tenfold.platform.http.endpoint import refused
from tenfold.platform.http.problems import MethodNotAllowed
from tenfold.platform.http.requests import ClientGone, read_body
from tenfold.platform.realtime import codes
from tenfold.platform.realtime.codes import Disconnect, ErrorReply
from tenfold.platform.realtime.protocol import (
    PING,
    Command,
    ConnectRequest,
    ConnectResult,
    Push,
    Reply,
    Unsubscribed,
    decode_replies,
    encode,
    join_frames,
)

PATH = "/connection/uni_sse"
LARGEST_REQUEST = 64 * 1024
MOST_HELD = 1024 * 1024
_FAREWELL = {
    codes.TOKEN_EXPIRED.code: codes.CONNECTION_EXPIRED,
    codes.EXPIRED.code: codes.CONNECTION_EXPIRED,
    codes.TOO_MANY_COMMANDS.code: codes.TOO_MANY_REQUESTS,
    codes.PERMISSION_DENIED.code: codes.NO_PERMISSION,
}
_PUSHED = b'{"push":'
_AWAY = 3_600_000
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"private, no-cache, no-store, must-revalidate, max-age=0"),
    (b"x-accel-buffering", b"no"),
]
_requests = msgspec.json.Decoder(ConnectRequest | None)

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class EventStreams:
    """Answers requests for an event stream, each with a connection of `socket` (the ASGI WebSocket endpoint)."""

    def __init__(self, socket: Any, *, cors_origins: Collection[str] = ()) -> None:
        """Pages of `cors_origins` may read a stream from another origin."""
        self._socket = socket
        self._cors_origins = frozenset(cors_origins)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Carry one stream until either side ends it."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if scope["method"] == "OPTIONS":
            await Answer(204, self._preflight(headers), b"")(scope, receive, send)
            return
        try:
            request = await _request_of(scope, receive, headers)
        except ClientGone:
            return
        except Refusal as refusal:
            await refused(refusal, scope, self._cors(headers))(scope, receive, send)
            return
        player = _Player(request, receive, send, headers=[*_HEADERS, *self._cors(headers)])
        await player.play(self._socket, scope)

    def _cors(self, headers: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
        origin = headers.get(b"origin", b"")
        if self._cors_origins.isdisjoint((origin.decode("latin-1"), "*")):
            return []
        return [(b"access-control-allow-origin", origin), (b"vary", b"origin")] if origin else []

    def _preflight(self, headers: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
        allowed = [(b"access-control-allow-methods", b"GET, POST"), (b"access-control-max-age", b"3600")]
        allowed.append((b"access-control-allow-headers", b"authorization, content-type"))
        return [(b"allow", b"GET, OPTIONS, POST"), *self._cors(headers), *allowed]


async def _request_of(scope: Any, receive: Receive, headers: dict[bytes, bytes]) -> ConnectRequest:
    """What the client wants to connect to. Its token may also stand in the Authorization header."""
    if scope["method"] == "POST":
        text = await read_body(receive, headers, LARGEST_REQUEST)
    elif scope["method"] == "GET":
        text = _parameter(scope["query_string"])
    else:
        raise MethodNotAllowed
    try:
        request = (_requests.decode(text) if text else None) or ConnectRequest()
    except (ValueError, RecursionError):
        raise Malformed("The connect request is not valid JSON of the protocol.") from None
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    if not request.token and scheme.lower() == b"bearer":
        request = msgspec.structs.replace(request, token=token.decode("latin-1"))
    return request


def _parameter(query: bytes) -> bytes:
    try:
        found = parse_qs(query.decode("ascii"), errors="strict", max_num_fields=50).get("cf_connect", [""])
    except ValueError:
        raise Malformed("The query string is not valid.") from None
    return found[0].encode()


class _Player:
    """Plays a WebSocket client that connects, subscribes to what was asked for, and then only listens."""

    def __init__(self, request: ConnectRequest, receive: Receive, send: Send, *, headers: list[tuple[bytes, bytes]]):
        self._request = request
        self._receive = receive
        self._send = send
        self._headers = headers
        self._said: asyncio.Queue[Any] = asyncio.Queue()
        self._asked: dict[int, str] = {}
        self._connect: ConnectResult | None = None
        self._refused: list[bytes] = []
        self._held: list[bytes] = []
        self._farewell: Disconnect | None = None
        self._is_open = self._is_over = False

    async def play(self, socket: Any, scope: Any) -> None:
        """Have the endpoint carry a connection, and end the response with it."""
        self._said.put_nowait({"type": "websocket.connect"})
        self._say(encode(Command(id=1, connect=self._request)))
        watching = asyncio.create_task(self._watch())
        extensions = {"websocket.http.response": {}}
        try:
            await socket(
                {**scope, "type": "websocket", "subprotocols": [], "extensions": extensions}, self._hear, self._tell
            )
        finally:
            watching.cancel()
        if self._farewell is not None:
            await self._end(self._farewell)
        if not self._is_over:
            # Its reader did not even take the farewell: what waits for it is dropped with the connection.
            scope.get("extensions", {}).get("abort", _nothing)()

    # What the endpoint calls

    async def _hear(self) -> Any:
        return await self._said.get()

    async def _tell(self, event: Any) -> None:
        kind = event["type"]
        if kind == "websocket.accept":
            await self._send({"type": "http.response.start", "status": 200, "headers": self._headers})
            await self._write(b"retry: 1000\n\n")
        elif kind == "websocket.send":
            await self._write(b"".join(_event(push) for push in self._heard(event["text"].encode())))
        elif kind == "websocket.close":
            await self._end(Disconnect(event.get("code", 1000), event.get("reason", "")))
        else:
            self._is_over = not event.get("more_body", kind.endswith("start"))
            await self._send({**event, "type": kind.removeprefix("websocket.")})

    # What the client would do

    async def _watch(self) -> None:
        """Say that the client is gone when its request is."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._is_over = True
        self._say(None)

    def _heard(self, frame: bytes) -> list[bytes]:
        """What of a frame goes out now. Until everything asked for has been answered, pushes wait for `connect`."""
        now: list[bytes] = []
        for line in frame.split(b"\n"):
            if line == PING:
                self._say(PING)
                now.append(PING)
            elif line.startswith(_PUSHED):
                (now if self._is_open else self._held).append(line[len(_PUSHED) : -1])
            else:
                for reply in decode_replies(line):
                    now += self._answered(reply)
        if sum(map(len, self._held)) > MOST_HELD:
            self._fail(codes.SLOW)
        return now

    def _answered(self, reply: Reply) -> list[bytes]:
        """Take the answer to one command; when it is the last, everything that begins the stream."""
        if reply.error is not None and (reply.id == 1 or reply.error.temporary):
            self._fail(_FAREWELL.get(reply.error.code, codes.SERVER_ERROR))
            return []
        if reply.connect is not None:
            self._connect = msgspec.structs.replace(reply.connect, pong=False)
            self._subscribe(self._connect)
        channel = self._asked.pop(reply.id, "")
        if self._connect is not None and reply.subscribe is not None:
            self._connect.subs[channel] = reply.subscribe
        elif reply.error is not None:
            self._refused.append(_refusal(channel, reply.error))
        if self._asked or self._connect is None or self._is_open:
            return []
        self._is_open = True
        beginning = [encode(Push(connect=self._connect)), *self._held, *self._refused]
        self._held, self._refused = [], []
        return beginning

    def _subscribe(self, connected: ConnectResult) -> None:
        """Ask for the channels that the server did not give by itself."""
        commands: list[bytes] = []
        for channel, subscribe in self._request.subs.items():
            if channel not in connected.subs:
                number = len(commands) + 2
                self._asked[number] = channel
                asked = msgspec.structs.replace(subscribe, channel=channel)
                commands.append(encode(Command(id=number, subscribe=asked)))
        if commands:
            self._say(join_frames(commands))

    def _say(self, frame: bytes | None) -> None:
        if frame is None:
            self._said.put_nowait({"type": "websocket.disconnect", "code": 1006})
        else:
            self._said.put_nowait({"type": "websocket.receive", "text": frame.decode()})

    def _fail(self, disconnect: Disconnect) -> None:
        """End the stream for a reason that the session does not know: it only sees its client go."""
        self._farewell = disconnect
        self._say(None)

    async def _end(self, disconnect: Disconnect) -> None:
        if self._is_over:
            return
        self._is_over = True
        # An EventSource comes back by itself: in an hour if it should not, else at its own moment.
        wait = _AWAY if disconnect.is_final else random.randint(500, 3000)  # noqa: S311 - no secret
        last = b"retry: %d\n" % wait + _event(encode(Push(disconnect=disconnect)))
        await self._send({"type": "http.response.body", "body": last, "more_body": False})

    async def _write(self, text: bytes) -> None:
        if text and not self._is_over:
            await self._send({"type": "http.response.body", "body": text, "more_body": True})


def _event(push: bytes) -> bytes:
    return b"data: %s\n\n" % push


def _refusal(channel: str, error: ErrorReply) -> bytes:
    return encode(Push(channel=channel, unsubscribe=Unsubscribed(code=error.code, reason=error.message)))


def _nothing() -> None:
    """There is no way to cut this connection."""
