"""The load generator: one process that sends prepared HTTP/1.1 requests over keep-alive connections.

It is open-loop: arrivals come at a given rate whether or not the server keeps up, and latency runs from the instant
at which a request was meant to leave, so that a stall is seen by everybody who would have waited in it (Tene, "How
NOT to Measure Latency", 2013: coordinated omission). Without a rate it is closed-loop, to find where to begin. Run
as `python -m bench.load`: a pickled `Order` on its input, a pickled `Outcome` on its output.
"""

import asyncio
import pickle
import random
import select
import socket
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field

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


class Connection:
    """One keep-alive connection that has at most one request under way."""

    __slots__ = ("buffer", "expected", "intended", "socket", "status")

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=5)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.intended: float | None = None
        self.buffer = b""
        self.expected = -1
        self.status = 0

    def send(self, request: bytes, intended: float) -> None:
        """Send a request that was meant to leave at `intended`. Raises OSError; a request fits into any send buffer."""
        self.intended = intended
        if self.socket.send(request) != len(request):
            raise BlockingIOError("a request did not fit into the send buffer")

    def receive(self) -> bool:
        """Take what has arrived; says whether the answer is complete. Raises OSError when the connection is lost."""
        data = self.socket.recv(262_144)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        buffer = self.buffer + data if self.buffer else data
        if self.expected < 0:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                self.buffer = buffer
                return False
            self.status = int(buffer[9:12])
            self.expected = end + 4 + _body_length(buffer[:end], self.status)
        if len(buffer) < self.expected:
            self.buffer = buffer
            return False
        self.buffer, self.expected = b"", -1
        return True


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
    """One run of an order, on plain sockets under epoll: the generator shares the machine with what it measures."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.outcome = Outcome()
        self.latencies: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.waiting: deque[tuple[bytes, float]] = deque()
        self.under_way = 0
        self.next = 0
        address = (order.host, order.port)
        connections = [Connection(address) for _ in range(order.connections)]
        self.everyone = {connection.socket.fileno(): connection for connection in connections}
        self.free = connections
        self.epoll = select.epoll(len(connections))
        for number in self.everyone:
            self.epoll.register(number, select.EPOLLIN)
        self.begin = time.perf_counter() + 0.01
        self.measure_from = self.begin + order.warm_up
        self.end = self.measure_from + order.seconds

    def play(self) -> Outcome:
        """Send, take the answers, wait for the last ones, and sum up."""
        if self.order.rate is None:
            self._closed()
        else:
            self._open(self.order.rate)
        deadline = time.perf_counter() + 2.0
        while (self.under_way or self.waiting) and time.perf_counter() < deadline and not self.outcome.gave_up:
            self._take(0.005)
        return self._summed_up()

    def _open(self, rate: float) -> None:
        rng, due, gap = random.Random(1), self.begin, 1 / rate
        while due < self.end:
            now = time.perf_counter()
            while due <= now and due < self.end:
                self._arrive(due)
                due += rng.expovariate(rate) if self.order.poisson else gap
            if len(self.waiting) > max(rate * _PATIENCE, 16):
                self.outcome.gave_up = True
                return
            self._take(_TICK if self.free else 0.01)

    def _closed(self) -> None:
        free, self.free = self.free, []
        for connection in free:
            self._send(connection, self._request(), time.perf_counter())
        while time.perf_counter() < self.end:
            self._take(0.005)

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
        try:
            connection.send(request, intended)
        except OSError:
            self._lose(connection)

    def _take(self, timeout: float) -> None:
        """Take the answers that have come, waiting for the first of them at most so many seconds."""
        for number, _ in self.epoll.poll(timeout):
            connection = self.everyone[number]
            try:
                if connection.receive():
                    self._answered(connection)
            except BlockingIOError:
                continue
            except OSError:
                self._lose(connection)

    def _answered(self, connection: Connection) -> None:
        """Count an answer, and give the connection its next request."""
        now = time.perf_counter()
        intended, connection.intended = connection.intended, None
        if intended is None:
            return
        self.under_way -= 1
        if intended >= self.measure_from and (self.order.rate is not None or now < self.end):
            self.statuses[connection.status] += 1
            if 200 <= connection.status < 400:
                self.outcome.answered += 1
                self.latencies.append(now - intended)
            else:
                self.outcome.failed += 1
        if self.order.rate is None:
            if now < self.end:
                self._send(connection, self._request(), now)
        elif self.waiting:
            self._send(connection, *self.waiting.popleft())
        else:
            self.free.append(connection)

    def _lose(self, connection: Connection) -> None:
        """A connection is gone; what was under way on it has failed."""
        self.epoll.unregister(connection.socket)
        connection.socket.close()
        if connection.intended is not None:
            self.under_way -= 1
            if connection.intended >= self.measure_from:
                self.outcome.failed += 1
        elif connection in self.free:
            self.free.remove(connection)

    def _summed_up(self) -> Outcome:
        outcome, histogram = self.outcome, HdrHistogram(1, _LONGEST, 3)
        outcome.seconds = self.order.seconds
        outcome.failed += max(0, outcome.arrivals - outcome.answered - outcome.failed)
        for latency in self.latencies:
            histogram.record_value(max(1, int(latency * 1_000_000)))
        for _ in range(outcome.failed):
            histogram.record_value(_LONGEST)
        for connection in self.everyone.values():
            connection.socket.close()
        outcome.statuses = dict(self.statuses)
        outcome.p50, outcome.p90, outcome.p99 = (
            histogram.get_value_at_percentile(percent) / 1000 for percent in (50, 90, 99)
        )
        outcome.longest = histogram.get_max_value() / 1000
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
    outcome = named.Run(order).play()
    sys.stdout.buffer.write(pickle.dumps(outcome))


if __name__ == "__main__":
    main()
