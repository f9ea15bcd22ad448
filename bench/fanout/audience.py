"""`python -m bench.fanout.audience`: all listeners of one server and who publishes to them, in one process on one core.

It reads pickled orders and answers with pickled outcomes. Open loop: a message carries the instant (monotonic clock,
ns) at which it was due, and latency runs from there to each receipt.
"""

import array
import contextlib
import gc
import os
import pickle
import select
import sys
import time
from dataclasses import dataclass, field
from typing import BinaryIO

from hdrh.histogram import HdrHistogram

from bench.fanout.dialects import Dialect
from bench.sockets.frames import CLOSE, PING, TEXT, frame, split, upgraded
from bench.sockets.opening import begin

_FILES = 20_100
_IN_FLIGHT = 128
_PATIENCE = 60.0
_LATE = 20.0  # seconds that the last messages of a probe may take before it is given up
_AT_ONCE = 16_384  # bytes of a read: as much as a few messages need, since the room for them is made each time
_EVENTS = 2048
# Seconds between two looks: people on other machines would not have the server's core wake somebody for each message.
_NAP = 0.001
_STEP_US = 100
_BUCKETS = 50_000  # 5 s; what is later counts as that
_TEXT = "The quick brown fox jumps over the lazy dog, and a message of some hundred letters has been written."
_PONG = 0xA
_REMEMBERED = 5_000


@dataclass(frozen=True)
class Entry:
    """Open this many rooms with so many listeners each at a server."""

    port: int
    dialect: Dialect
    rooms: int
    listeners: int


@dataclass(frozen=True)
class Probe:
    """Publish so many messages per second for some seconds, to the rooms in turn; the warm-up is not timed."""

    rate: float
    seconds: float
    warm_up: float


@dataclass
class Outcome:
    """What came of a probe; percentiles in milliseconds over every delivery that was due after the warm-up."""

    published: int = 0
    expected: int = 0
    delivered: int = 0
    doubled: int = 0
    seconds: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    longest: float = 0.0
    cpu: float = 0.0
    troubles: list[str] = field(default_factory=list)

    @property
    def is_exact(self) -> bool:
        """Whether every listener had every message of its room, once."""
        return self.delivered == self.expected and not self.doubled and not self.troubles


class Audience:
    """The listeners of one server: descriptors, and what each has heard last."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._poll = select.epoll()
        self._rest: dict[int, bytes] = {}
        self._due_next = array.array("q", [-1]) * _FILES
        self._skipped: dict[int, set[int]] = {}
        self._known: dict[bytes, list[tuple[int, int]]] = {}
        self._number = 0
        self._publishers = self._enter()
        self._unsent: dict[int, bytes] = {}
        self._outcome = Outcome()
        self._buckets = array.array("Q", bytes(8 * (_BUCKETS + 1)))
        self._began = self._timed_from = 0

    # Entering

    def _enter(self) -> list[int]:
        """Open every connection and have it join; all of them, since everybody publishes in turn."""
        entry = self._entry
        count = entry.rooms * entry.listeners
        plans: dict[int, list[bytes]] = {}
        opened: list[int] = []
        end = time.monotonic() + _PATIENCE
        while len(opened) < count or plans:
            while len(opened) < count and len(plans) < _IN_FLIGHT:
                number = len(opened)
                opened.append(self._open(number))
                self._due_next[opened[-1]] = number % entry.rooms
                plans[opened[-1]] = list(entry.dialect.steps(number, number % entry.rooms))
            for descriptor, _ in self._poll.poll(1.0):
                self._advance(descriptor, plans)
            if time.monotonic() > end:
                raise TimeoutError(f"{len(plans)} of {count} listeners could not join")
        return opened

    def _open(self, number: int) -> int:
        descriptor = begin(("127.0.0.1", self._entry.port), number)
        os.set_blocking(descriptor, True)  # the upgrade is small; a connection that is being made waits here
        os.write(descriptor, self._entry.dialect.upgrade)
        os.set_blocking(descriptor, False)
        self._poll.register(descriptor, select.EPOLLIN)
        self._rest[descriptor] = b""
        return descriptor

    def _advance(self, descriptor: int, plans: dict[int, list[bytes]]) -> None:
        """Take the server's answers to the steps of a connection, and say the next ones."""
        dialect, stream = self._entry.dialect, self._rest.pop(descriptor, b"")
        data = os.read(descriptor, 65536)
        if not data:
            raise ConnectionError("the server hung up on a listener")
        stream += data
        if stream.startswith(b"HTTP/"):
            at = upgraded(stream)
            if not at:
                self._rest[descriptor] = stream
                return
            stream = stream[at:]
            if not dialect.speaks_first:
                os.write(descriptor, plans[descriptor].pop(0))
        frames, rest = split(stream)
        if rest:
            self._rest[descriptor] = rest
        for opcode, payload in frames:
            if payload == dialect.ping:
                os.write(descriptor, dialect.pong)
            elif opcode == PING:
                os.write(descriptor, frame(payload, _PONG))
            elif opcode == CLOSE or dialect.refuses(payload):
                raise ConnectionError(f"the server refuses a listener: {payload[:100]!r}")
            elif descriptor in plans:
                if plans[descriptor]:
                    os.write(descriptor, plans[descriptor].pop(0))
                else:
                    del plans[descriptor]

    # Probing

    def probe(self, probe: Probe) -> Outcome:
        """Publish at a rate, hear everything, and sum up."""
        self._outcome = outcome = Outcome(seconds=probe.seconds)
        self._buckets = array.array("Q", bytes(8 * (_BUCKETS + 1)))
        gap, cpu = int(1e9 / probe.rate), time.process_time()
        due = self._began = began = time.monotonic_ns() + gap
        self._timed_from = began + int(probe.warm_up * 1e9)
        end = self._timed_from + int(probe.seconds * 1e9)
        late = end + int(_LATE * 1e9)
        while True:
            now = time.monotonic_ns()
            while due <= now and due < end:
                self._publish(due)
                due += gap
            if (due >= end and outcome.delivered >= outcome.expected) or now > late or outcome.troubles:
                break
            for descriptor, _ in self._poll.poll(0.0, _EVENTS):
                self._hear(descriptor)
            time.sleep(_NAP)
        outcome.cpu = (time.process_time() - cpu) / max(1e-9, (time.monotonic_ns() - began) / 1e9)
        histogram = HdrHistogram(1, _BUCKETS * _STEP_US * 10, 3)
        for bucket, count in enumerate(self._buckets):
            if count:
                histogram.record_value((bucket + 1) * _STEP_US, count)
        outcome.p50, outcome.p99 = (histogram.get_value_at_percentile(percent) / 1000 for percent in (50, 99))
        outcome.longest = histogram.get_max_value() / 1000
        return outcome

    def _publish(self, due: int) -> None:
        entry, outcome, number = self._entry, self._outcome, self._number
        self._number += 1
        message = {"number": number, "due": due, "text": _TEXT}
        turn = number % len(self._publishers)
        room, publisher = turn % entry.rooms, self._publishers[turn]
        unsent = self._unsent.pop(publisher, b"") + entry.dialect.publication(room, message)
        outcome.published += 1
        outcome.expected += entry.listeners
        with contextlib.suppress(BlockingIOError):
            unsent = unsent[os.write(publisher, unsent) :]
        if unsent:
            self._unsent[publisher] = unsent

    def _hear(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, _AT_ONCE)
        except OSError as error:
            data = b""
            self._outcome.troubles.append(str(error))
        if not data:
            self._outcome.troubles.append("the server hung up")
            self._poll.unregister(descriptor)
            return
        found = None if descriptor in self._rest else self._known.get(data)
        if found is not None:
            self._count(descriptor, found)
            return
        stream = self._rest.pop(descriptor, b"") + data
        frames, rest = split(stream)
        if rest:
            self._rest[descriptor] = rest
        heard: list[tuple[int, int]] = []
        is_repeated = not rest and len(stream) == len(data)
        for opcode, payload in frames:
            for line in payload.split(b"\n") if opcode == TEXT else (payload,):
                if opcode == TEXT and line != self._entry.dialect.ping:
                    heard += self._read(line)
                else:
                    self._answer(descriptor, opcode, line)
                    is_repeated = False
        self._count(descriptor, heard)
        if heard and is_repeated:
            self._remember(data, heard)

    def _read(self, line: bytes) -> list[tuple[int, int]]:
        """The number of the message in it and when that was due; nothing for what is no message."""
        found = self._known.get(line)
        if found is not None:
            return found
        at, due = line.find(b'"number":'), line.find(b'"due":')
        if at < 0:
            if self._entry.dialect.refuses(line):
                self._outcome.troubles.append(f"refused: {line[:120]!r}")
            return []
        found = [(int(line[at + 9 : line.index(b",", at)]), int(line[due + 6 : line.index(b",", due)]))]
        self._remember(line, found)
        return found

    def _remember(self, data: bytes, messages: list[tuple[int, int]]) -> None:
        """The same bytes come to every listener: they are read once."""
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        self._known[data] = messages

    def _count(self, descriptor: int, messages: list[tuple[int, int]]) -> None:
        """Count messages, each once. In which order a server takes those of different clients is its own affair."""
        now, outcome, step = time.monotonic_ns(), self._outcome, self._entry.rooms
        due_next = self._due_next[descriptor]
        for number, due in messages:
            if number == due_next:
                due_next += step
            elif number > due_next:
                self._skipped.setdefault(descriptor, set()).update(range(due_next, number, step))
                due_next = number + step
            elif number in self._skipped.get(descriptor, ()):
                self._skipped[descriptor].remove(number)
            else:
                outcome.doubled += 1
                continue
            if due < self._began:
                continue  # of a probe that was given up
            outcome.delivered += 1
            if due >= self._timed_from:
                self._buckets[min((now - due) // 100_000, _BUCKETS)] += 1
        self._due_next[descriptor] = due_next

    def _answer(self, descriptor: int, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            os.write(descriptor, self._entry.dialect.pong)
        elif opcode == PING:
            os.write(descriptor, frame(payload, _PONG))
        elif opcode == CLOSE:
            self._outcome.troubles.append(f"dismissed: {payload[:80]!r}")


def main() -> None:
    """Enter, and probe until the orders end."""
    import bench.fanout.audience as named  # the classes under their importable name, for pickle

    orders, answers = sys.stdin.buffer, sys.stdout.buffer
    audience = named.Audience(pickle.load(orders))
    gc.disable()
    gc.freeze()
    _say(answers, None)
    while True:
        try:
            order = pickle.load(orders)
        except EOFError:
            return
        _say(answers, audience.probe(order))
        gc.collect()


def _say(answers: BinaryIO, value: object) -> None:
    pickle.dump(value, answers)
    answers.flush()


if __name__ == "__main__":
    main()
