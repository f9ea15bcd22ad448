"""`python -m bench.chat.generator`: one process that sends messages at given rates and listens at the other end.

It is open-loop (see `bench.load`): sends come due at a given rate whether or not the server keeps up, and both
latencies run from the instant at which a message was meant to leave. Everything is kept per send, so that what was
answered and heard can be compared with what is stored. A pickled `Order` comes in by the standard input; a pickled
`Outcome` goes out by a file: through a pipe it once came cut short.
"""

import asyncio
import contextlib
import pickle
import resource
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec
import uvloop

from bench.chat.wire import KeepAlive, Reply, Socket, read_said

Door = Literal["http", "rpc"]
_TICK = 0.001
_AT_ONCE = 50
_GRACE = 10.0
_FIRST_CALL = 16  # the id of the command that carries send 0
NEVER = -1.0


@dataclass(frozen=True)
class Pair:
    """Two members of a conversation: one writes, the other has it open."""

    conversation_id: str
    sender_token: str
    receiver_token: str


@dataclass(frozen=True)
class Phase:
    """So many sends per second for so long."""

    rate: float
    seconds: float


@dataclass
class Order:
    """What to send where: the pairs take turns. `run` begins every `client_msg_id`; `patience` is how many seconds of
    arrivals may wait for their answers before the run is given up (None: never)."""

    port: int
    pairs: list[Pair]
    door: Door
    phases: list[Phase]
    run: str
    body: str = "A message about as long as people write them when they talk about lunch."
    connections: int = 256
    patience: float | None = 2.0
    drain: float = _GRACE


@dataclass
class Outcome:
    """What came of it, by the number of the send; send `n` belongs to pair `n % pairs`. Times are seconds since the
    first was due, `NEVER` if it did not happen; `seqs` is 0 for what was not acknowledged; `heard` lists the seqs that
    each receiver was told, in that order. `is_complete`: everything under way was answered and heard before the end."""

    due: list[float] = field(default_factory=list)
    left: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    delivered: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)
    heard: list[list[int]] = field(default_factory=list)
    offsets: list[list[int]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    gave_up: bool = False
    is_complete: bool = False
    processor_seconds: float = 0.0
    seconds: float = 0.0


class Run:
    """One run of an order."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.outcome = Outcome(heard=[[] for _ in order.pairs], offsets=[[] for _ in order.pairs])
        self.begin = 0.0
        self.open = 0
        # In turn: one that rested for too long would be closed by the server.
        self.free: deque[KeepAlive] = deque()
        self.waiting: deque[int] = deque()
        self.senders: list[Socket] = []
        self.everybody: list[KeepAlive | Socket] = []
        self.heads = [self._head(pair) for pair in order.pairs]
        self.body = order.body.encode()

    async def play(self) -> Outcome:
        """Connect everybody, send, wait for the last frames, and hand over what happened."""
        try:
            await self._gather()
            self.begin = time.perf_counter() + 0.05
            used = _used()
            await self._send_all()
            deadline = time.perf_counter() + self.order.drain
            while time.perf_counter() < deadline and not self._is_over():
                await asyncio.sleep(0.01)
            self.outcome.is_complete = self._is_over()
            self.outcome.processor_seconds = _used() - used
            self.outcome.seconds = time.perf_counter() - self.begin
        finally:
            for connection in self.everybody:
                connection.close()
        return self.outcome

    # Coming together

    async def _gather(self) -> None:
        places = list(range(len(self.order.pairs)))
        for start in range(0, len(places), _AT_ONCE):
            await asyncio.gather(*(self._listen(place) for place in places[start : start + _AT_ONCE]))
        if self.order.door == "rpc":
            for start in range(0, len(places), _AT_ONCE):
                made = [self._writer(place) for place in places[start : start + _AT_ONCE]]
                self.senders += await asyncio.gather(*made)
            return
        loop = asyncio.get_running_loop()
        for _ in range(self.order.connections):
            _, connection = await loop.create_connection(
                lambda: KeepAlive(self._http_answered, self._http_lost), "127.0.0.1", self.order.port
            )
            self.free.append(connection)
        self.everybody += self.free

    async def _listen(self, place: int) -> None:
        pair, lost = self.order.pairs[place], self.outcome.lost
        channel = f"conversation:{pair.conversation_id}"
        heard, offsets = self.outcome.heard[place], self.outcome.offsets[place]

        def hear(reply: Reply) -> None:
            push = reply.push
            if push is None:
                return
            if push.pub is not None and push.channel == channel:
                offsets.append(push.pub.offset)
                for said in push.pub.data.messages:
                    heard.append(said.seq)
                    self._delivered(said.client_msg_id)
            elif push.unsubscribe is not None or push.disconnect is not None:
                lost.append(f"a receiver was sent away from {push.channel}")

        socket = await self._connect(hear, pair.receiver_token)
        await socket.ask(msgspec.json.encode({"id": 2, "subscribe": {"channel": channel}}))

    async def _writer(self, place: int) -> Socket:
        def hear(reply: Reply) -> None:
            if reply.push is None:
                status = 201 if reply.error is None else reply.error.code - 1000
                self._answered(reply.id - _FIRST_CALL, status, reply.rpc.data.seq if reply.rpc else 0)

        return await self._connect(hear, self.order.pairs[place].sender_token)

    async def _connect(self, hear: Callable[[Reply], None], token: str) -> Socket:
        loop = asyncio.get_running_loop()
        _, socket = await loop.create_connection(
            lambda: Socket(hear, self.outcome.lost.append), "127.0.0.1", self.order.port
        )
        self.everybody.append(socket)
        await socket.is_open
        await socket.ask(msgspec.json.encode({"id": 1, "connect": {"token": token}}))
        return socket

    # Sending

    async def _send_all(self) -> None:
        due, number = self.begin, 0
        for phase in self.order.phases:
            end, gap = due + phase.seconds, 1 / phase.rate
            while due < end:
                now = time.perf_counter()
                while due <= now and due < end:
                    self._arrive(number, due)
                    due, number = due + gap, number + 1
                if self.order.patience is not None and self.open > max(phase.rate * self.order.patience, 64):
                    self.outcome.gave_up = True
                    self.open -= len(self.waiting)
                    self.waiting.clear()
                    return
                await asyncio.sleep(max(min(_TICK, due - time.perf_counter()), 0))

    def _arrive(self, number: int, due: float) -> None:
        outcome = self.outcome
        outcome.due.append(due - self.begin)
        for column in (outcome.left, outcome.answered, outcome.delivered):
            column.append(NEVER)
        outcome.statuses.append(0)
        outcome.seqs.append(0)
        self.open += 1
        if self.order.door == "rpc":
            self._leave(number)
            self.senders[number % len(self.senders)].say(self._command(number))
        elif (connection := self._next_free()) is not None:
            self._post(connection, number)
        else:
            self.waiting.append(number)

    def _next_free(self) -> KeepAlive | None:
        while self.free:
            connection = self.free.popleft()
            if not connection.is_gone:
                return connection
        return None

    def _post(self, connection: KeepAlive, number: int) -> None:
        self._leave(number)
        body = self._draft(number)
        head = self.heads[number % len(self.heads)]
        connection.send(number, b"%s%d\r\n\r\n%s" % (head, len(body), body))

    def _leave(self, number: int) -> None:
        self.outcome.left[number] = time.perf_counter() - self.begin

    def _draft(self, number: int) -> bytes:
        return b'{"client_msg_id":"%s-%d","body":"%s"}' % (self.order.run.encode(), number, self.body)

    def _command(self, number: int) -> bytes:
        return b'{"id":%d,"rpc":{"method":"%s","data":%s}}' % (
            number + _FIRST_CALL,
            self.heads[number % len(self.heads)],
            self._draft(number),
        )

    def _head(self, pair: Pair) -> bytes:
        path = f"/v1/conversations/{pair.conversation_id}/messages"
        if self.order.door == "rpc":
            return f"POST {path}".encode()
        return (
            f"POST {path} HTTP/1.1\r\nhost: bench\r\nuser-agent: bench\r\nauthorization: Bearer {pair.sender_token}\r\n"
            "content-type: application/json\r\ncontent-length: "
        ).encode()

    # What comes back

    def _http_answered(self, connection: KeepAlive, number: int, status: int, body: bytes) -> None:
        seq = 0
        if status == 201:
            with contextlib.suppress(msgspec.MsgspecError):
                seq = read_said(body).seq
        self._answered(number, status, seq)
        if self.waiting:
            self._post(connection, self.waiting.popleft())
        else:
            self.free.append(connection)

    def _http_lost(self, number: int) -> None:
        self.outcome.lost.append(f"a connection was closed on send {number}")
        if number >= 0:
            self.open -= 1

    def _answered(self, number: int, status: int, seq: int) -> None:
        self.open -= 1
        outcome = self.outcome
        outcome.answered[number] = time.perf_counter() - self.begin
        outcome.statuses[number] = status
        outcome.seqs[number] = seq

    def _delivered(self, client_msg_id: str) -> None:
        run, _, number = client_msg_id.rpartition("-")
        if run == self.order.run:
            self.outcome.delivered[int(number)] = time.perf_counter() - self.begin

    def _is_over(self) -> bool:
        if self.open or self.waiting:
            return False
        outcome = self.outcome
        return all(at != NEVER for at, seq in zip(outcome.delivered, outcome.seqs, strict=True) if seq)


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def play(order: Order) -> Outcome:
    """Run an order in a process of its own, so that whoever measures never delays it."""
    with tempfile.NamedTemporaryFile(prefix="tenfold-bench-") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.chat.generator", file.name, stdin=asyncio.subprocess.PIPE
        )
        try:
            await process.communicate(pickle.dumps(order))
        except BaseException:
            process.kill()
            await process.wait()
            raise
        if process.returncode != 0:
            raise RuntimeError(f"the generator ended with {process.returncode}")
        return pickle.load(file)


def main() -> None:
    """Play the order that comes in, and write what came of it into the file that is named."""
    import bench.chat.generator as named  # the classes under their importable name, for pickle

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    order = pickle.loads(sys.stdin.buffer.read())
    outcome = uvloop.run(named.Run(order).play())
    with Path(sys.argv[1]).open("wb") as file:
        pickle.dump(outcome, file)


if __name__ == "__main__":
    main()
