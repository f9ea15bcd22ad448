"""The load generator: one process that sends prepared HTTP/1.1 requests over keep-alive connections.

It is open-loop: arrivals come at a given rate whether or not the server keeps up, and latency runs from the instant
at which a request was meant to leave, so that a stall is seen by everybody who would have waited in it (Tene, "How
NOT to Measure Latency", 2013: coordinated omission). Without a rate it is closed-loop, to find where to begin. Run
as `python -m bench.load`: a pickled `Order` on its input, a pickled `Outcome` on its output.
"""

import asyncio
import pickle
import random
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field

import uvloop
from hdrh.histogram import HdrHistogram

_LONGEST = 60_000_000  # microseconds; what failed or was never answered counts as this
_TICK = 0.001
_PATIENCE = 1.0  # seconds of arrivals that may queue before the run is given up


@dataclass
class Order:
    """What to send where. `rate` is arrivals per second (None: closed-loop), `poisson` draws their gaps."""

    port: int
    requests: list[bytes]
    seconds: float
    rate: float | None = None
    poisson: bool = False
    warm_up: float = 0.0
    connections: int = 64
    host: str = "127.0.0.1"


@dataclass
class Outcome:
    """What came back. Percentiles are in milliseconds, over all arrivals after the warm-up; a failure is a minute."""

    arrivals: int = 0
    answered: int = 0
    failed: int = 0
    seconds: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    longest: float = 0.0
    gave_up: bool = False

    @property
    def throughput(self) -> float:
        """Answers per second."""
        return self.answered / self.seconds if self.seconds else 0.0


class Connection(asyncio.Protocol):
    """One keep-alive connection that has at most one request under way."""

    def __init__(self, run: "Run") -> None:
        self.run = run
        self.transport: asyncio.Transport | None = None
        self.intended: float | None = None
        self.buffer = b""
        self.expected = -1
        self.status = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def send(self, request: bytes, intended: float) -> None:
        """Send a request that was meant to leave at `intended`."""
        self.intended = intended
        assert self.transport is not None
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        buffer = self.buffer + data if self.buffer else data
        if self.expected < 0:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                self.buffer = buffer
                return
            self.status = int(buffer[9:12])
            self.expected = end + 4 + _body_length(buffer[:end], self.status)
        if len(buffer) < self.expected:
            self.buffer = buffer
            return
        self.buffer, self.expected = b"", -1
        intended, self.intended = self.intended, None
        if intended is not None:
            self.run.answered(self, self.status, intended)

    def connection_lost(self, exc: Exception | None) -> None:
        self.run.lost(self)


def _body_length(head: bytes, status: int) -> int:
    lower = head.lower()
    at = lower.find(b"\r\ncontent-length:")
    if at < 0:
        if status in (204, 304):
            return 0
        raise ValueError("the server answers without a length")
    end = lower.find(b"\r\n", at + 2)
    return int(lower[at + 17 : end if end >= 0 else None])


class Run:
    """One run of an order."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.outcome = Outcome()
        self.histogram = HdrHistogram(1, _LONGEST, 3)
        self.statuses: Counter[int] = Counter()
        self.free: list[Connection] = []
        self.waiting: deque[tuple[bytes, float]] = deque()
        self.under_way = 0
        self.next = 0
        self.measure_from = 0.0
        self.end = 0.0

    async def play(self) -> Outcome:
        """Connect, send, wait for the last answers, and sum up."""
        loop = asyncio.get_running_loop()
        made = [
            loop.create_connection(lambda: Connection(self), self.order.host, self.order.port)
            for _ in range(self.order.connections)
        ]
        self.free = [protocol for _, protocol in await asyncio.gather(*made)]
        everyone = list(self.free)
        begin = time.perf_counter() + 0.01
        self.measure_from = begin + self.order.warm_up
        self.end = self.measure_from + self.order.seconds
        if self.order.rate is None:
            await self._closed()
        else:
            await self._open(begin, self.order.rate)
        deadline = time.perf_counter() + 2.0
        while (self.under_way or self.waiting) and time.perf_counter() < deadline and not self.outcome.gave_up:
            await asyncio.sleep(0.005)
        return self._summed_up(everyone)

    async def _open(self, begin: float, rate: float) -> None:
        rng, due, gap = random.Random(1), begin, 1 / rate
        while due < self.end:
            now = time.perf_counter()
            while due <= now and due < self.end:
                self._arrive(due)
                due += rng.expovariate(rate) if self.order.poisson else gap
            if len(self.waiting) > max(rate * _PATIENCE, 16):
                self.outcome.gave_up = True
                return
            await asyncio.sleep(max(min(_TICK, due - time.perf_counter()), 0))

    async def _closed(self) -> None:
        for connection in self.free:
            self._send(connection, self._request(), time.perf_counter())
        self.free = []
        await asyncio.sleep(self.end - time.perf_counter())

    def _request(self) -> bytes:
        request = self.order.requests[self.next % len(self.order.requests)]
        self.next += 1
        return request

    def _arrive(self, due: float) -> None:
        if due >= self.measure_from:
            self.outcome.arrivals += 1
        if self.free:
            self._send(self.free.pop(), self._request(), due)
        else:
            self.waiting.append((self._request(), due))

    def _send(self, connection: Connection, request: bytes, intended: float) -> None:
        self.under_way += 1
        connection.send(request, intended)

    def answered(self, connection: Connection, status: int, intended: float) -> None:
        """Count an answer, and give the connection its next request."""
        now = time.perf_counter()
        self.under_way -= 1
        if intended >= self.measure_from and (self.order.rate is not None or now < self.end):
            self.statuses[status] += 1
            if 200 <= status < 400:
                self.outcome.answered += 1
                self.histogram.record_value(max(1, int((now - intended) * 1_000_000)))
            else:
                self._fail()
        if self.order.rate is None:
            if now < self.end:
                self._send(connection, self._request(), now)
        elif self.waiting:
            self._send(connection, *self.waiting.popleft())
        else:
            self.free.append(connection)

    def lost(self, connection: Connection) -> None:
        """A connection is gone; what was under way on it has failed."""
        if connection.intended is not None:
            self.under_way -= 1
            if connection.intended >= self.measure_from:
                self._fail()
        elif connection in self.free:
            self.free.remove(connection)

    def _fail(self) -> None:
        self.outcome.failed += 1
        self.histogram.record_value(_LONGEST)

    def _summed_up(self, everyone: list[Connection]) -> Outcome:
        outcome = self.outcome
        outcome.seconds = self.order.seconds
        unanswered = max(0, outcome.arrivals - outcome.answered - outcome.failed)
        for _ in range(unanswered):
            self._fail()
        for connection in everyone:
            connection.intended = None
            if connection.transport is not None:
                connection.transport.abort()
        outcome.statuses = dict(self.statuses)
        outcome.p50, outcome.p90, outcome.p99 = (
            self.histogram.get_value_at_percentile(percent) / 1000 for percent in (50, 90, 99)
        )
        outcome.longest = self.histogram.get_max_value() / 1000
        return outcome


async def play(order: Order) -> Outcome:
    """Run an order in a process of its own, so that the generator's work never delays who measures."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.load", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate(pickle.dumps(order))
    if process.returncode != 0:
        raise RuntimeError(f"the load generator ended with {process.returncode}")
    return pickle.loads(output)


def main() -> None:
    """Play the order that comes in."""
    import bench.load as named  # the classes under their importable name, for pickle

    order = pickle.loads(sys.stdin.buffer.read())
    outcome = uvloop.run(named.Run(order).play())
    sys.stdout.buffer.write(pickle.dumps(outcome))


if __name__ == "__main__":
    main()
