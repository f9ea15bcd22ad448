"""The load generator: each process holds its part of the connections, under one epoll, without an object for any.

A connection is a descriptor and a few cells of arrays. What happens is counted on the board; latency goes into
histograms that are handed over when they are asked for.
"""

import gc
import heapq
import json
import mmap
import os
import random
import select
import time
from array import array
from pathlib import Path
from typing import Any, NoReturn

import msgspec
from hdrh.histogram import HdrHistogram

from bench.million import messages
from bench.million.board import COUNTERS, Board
from bench.million.messages import EVERYONE, Connected, Publication
from bench.million.people import channel_of, user_of
from bench.million.settings import Share
from bench.sockets.frames import CLOSE, TEXT, split, upgraded
from bench.sockets.frames import PING as WS_PING
from bench.sockets.opening import begin

_FILES = 20_100
_EPOCH = 40
LONGEST_US = 120_000_000
_AT_ONCE = 4096  # events
# Seconds between two looks of a generator that listens, though some of its users may come back just then: it takes
# together what has come, as a million clients on other machines would cost this one nothing at all. What it sees late
# counts as late. While others still connect there are only pings to see, which have time.
_NAP, _LONG_NAP = 0.02, 0.25
_PATIENCE = 30.0  # seconds that an attempt may take
_AGAIN = (0.1, 2.0)  # seconds within which a client that lost its connection comes back, drawn evenly
_IDLE, _OPENING, _UPGRADING, JOINING, _LIVE = range(5)
(
    N_LIVE,
    ATTEMPTS,
    FAILURES,
    LOST,
    DISMISSED,
    PINGS,
    RECEIVED,
    BROADCASTS,
    DOUBLED,
    MISSING,
    STRAYED,
    UNRECOVERED,
    RECOVERED,
    FIRST_LIVE,
    LAST_LIVE,
    LAST_BACK,
    FIRST_BROADCAST,
    LAST_BROADCAST,
) = range(len(COUNTERS))


class Generator:
    """One process of the load generator; it obeys lines of JSON from `orders` and answers on `answers`."""

    def __init__(self, share: Share, board: Board, tokens: Path, *, width: int) -> None:
        users = share.last - share.first
        self._share = share
        self._board = board
        self._row = board.row(share.number)
        self._live = board.live[share.first : share.last]
        self._seen = board.seen[share.first : share.last]
        with tokens.open("rb") as file:
            self._tokens, self._width = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), width
        self._who = array("i", [-1]) * _FILES
        self._stage = bytearray(_FILES)
        self._offsets = array("Q", bytes(8 * users))
        self._everyone = array("Q", bytes(8 * users))
        self._epochs = bytearray(_EPOCH * users)
        self._everyone_epoch = ""
        self._known = bytearray(users)  # 1: has positions to come back with
        self._came_back = bytearray(users)  # 1: has been away since the last mark
        self._pinged = bytearray(users)
        self._rest: dict[int, bytes] = {}
        self._under_way: dict[int, float] = {}
        self._due: list[tuple[float, int]] = []
        self._next = users
        self._users = users
        self._began = 0.0
        self._repeated, self._repeats = b"", Publication(messages.Message())
        self._codes: dict[str, int] = {}
        self._troubles: dict[str, int] = {}
        self._epoll = select.epoll()
        self._mark()
        self._nap = _LONG_NAP

    def run(self, orders: int, answers: int) -> NoReturn:
        """Obey until the orders end."""
        gc.disable()
        gc.freeze()
        self._epoll.register(orders, select.EPOLLIN)
        poll, clock = self._epoll.poll, time.monotonic
        checked = clock()
        while True:
            if self._next >= self._users:
                time.sleep(self._nap)
            elif not self._under_way:
                time.sleep(_NAP)
            for descriptor, event in poll(self._wait(), _AT_ONCE):
                if descriptor == orders:
                    self._obey(os.read(orders, 4096), answers)
                elif event & select.EPOLLOUT and self._stage[descriptor] == _OPENING:
                    self._opened(descriptor)
                else:
                    self._read(descriptor)
            now = clock()
            self._connect_more(now)
            if now - checked > 1:
                checked = now
                self._give_up_late_ones(now)

    # Orders

    def _obey(self, lines: bytes, answers: int) -> None:
        if not lines:
            os._exit(0)
        for line in lines.splitlines():
            if line == b"connect":
                self._next, self._began = 0, time.monotonic()
            elif line == b"mark":
                self._mark()
            elif line == b"report":
                os.write(answers, json.dumps(self._report()).encode() + b"\n")

    def _mark(self) -> None:
        """Begin to measure anew."""
        self._nap = _NAP
        self._latency = HdrHistogram(1, LONGEST_US, 3)
        self._broadcast = HdrHistogram(1, LONGEST_US, 3)
        self._pinged[:] = bytes(self._users)
        self._came_back[:] = bytes(self._users)
        self._codes, self._troubles = {}, {}

    def _report(self) -> dict[str, Any]:
        return {
            "latency": self._latency.encode().decode(),
            "broadcast": self._broadcast.encode().decode(),
            "unpinged": sum(1 for live, pinged in zip(self._live, self._pinged, strict=True) if live and not pinged),
            "codes": self._codes,
            "troubles": self._troubles,
        }

    # Connecting

    def _wait(self) -> float:
        if self._next < self._users and len(self._under_way) < self._share.at_a_time:
            return 0.002 if self._share.rate else 0.0
        if self._due and len(self._under_way) < self._share.again_at_a_time:
            return min(1.0, max(0.0, self._due[0][0] - time.monotonic()))
        return 1.0

    def _connect_more(self, now: float) -> None:
        while len(self._under_way) < self._share.again_at_a_time and self._due and self._due[0][0] <= now:
            self._attempt(heapq.heappop(self._due)[1], now)
        if self._next >= self._users:
            return
        room = self._share.at_a_time - len(self._under_way)
        if self._share.rate:
            room = min(room, int((now - self._began) * self._share.rate) - self._next)
        for user in range(self._next, min(self._users, self._next + max(0, room))):
            self._attempt(user, now)
            self._next = user + 1

    def _attempt(self, user: int, now: float) -> None:
        self._row[ATTEMPTS] += 1
        try:
            descriptor = begin(self._share.address, self._share.first + user)
        except OSError as error:
            self._failed(user, f"connect: {error.strerror}")
            return
        self._who[descriptor] = user
        self._stage[descriptor] = _OPENING
        self._under_way[descriptor] = now
        self._upgrade(descriptor)
        # On this machine nearly every connection stands by now; the others are told when they do.
        if self._stage[descriptor] == _UPGRADING:
            self._epoll.register(descriptor, select.EPOLLIN)
        elif self._stage[descriptor] == _OPENING:
            self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLOUT)

    def _opened(self, descriptor: int) -> None:
        self._epoll.modify(descriptor, select.EPOLLIN)
        self._upgrade(descriptor)

    def _upgrade(self, descriptor: int) -> None:
        try:
            os.write(descriptor, messages.UPGRADE)
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(descriptor, f"upgrade: {error.strerror}")
            return
        self._stage[descriptor] = _UPGRADING

    def _upgraded(self, descriptor: int, stream: bytes) -> bytes:
        """Sign in once the upgrade is granted; what is left of the stream."""
        at = upgraded(stream)
        if not at:
            return stream
        user = self._who[descriptor]
        token = self._token_of(self._share.first + user)
        if self._known[user]:
            epoch = self._epochs[_EPOCH * user : _EPOCH * (user + 1)].rstrip(b"\0").decode()
            own, everyone = (epoch, self._offsets[user]), (self._everyone_epoch, self._everyone[user])
            os.write(descriptor, messages.reconnect(token, self._share.first + user, own, everyone))
        else:
            os.write(descriptor, messages.connect(token))
        self._stage[descriptor] = JOINING
        return stream[at:]

    def _token_of(self, person: int) -> bytes:
        return self._tokens[person * self._width : (person + 1) * self._width]

    def _joined(self, descriptor: int, connected: Connected) -> None:
        """The server has signed the connection in, with everything that was missed if it had been here before."""
        user = self._who[descriptor]
        own, everyone = map(connected.subs.get, (channel_of(self._share.first + user), EVERYONE))
        if own is None or everyone is None:
            self._lost(descriptor, "connect: a subscription is missing")
            return
        if self._known[user]:
            self._row[UNRECOVERED] += not own.recovered or not everyone.recovered
            for publication in own.publications:
                self._row[RECOVERED] += self._take(user, publication)
            self._row[MISSING] += max(0, own.offset - self._offsets[user])
            self._row[BROADCASTS] += len(everyone.publications)
            self._row[LAST_BACK] = time.monotonic_ns()
        epoch = own.epoch.encode()
        if len(epoch) > _EPOCH:
            raise ValueError(f"an epoch of {len(epoch)} characters")
        self._epochs[_EPOCH * user : _EPOCH * (user + 1)] = epoch.ljust(_EPOCH, b"\0")
        self._everyone_epoch = everyone.epoch
        self._offsets[user], self._everyone[user] = own.offset, everyone.offset
        self._begins(descriptor, user)

    def _begins(self, descriptor: int, user: int) -> None:
        """A connection stands, for the first time or again."""
        if not self._known[user]:
            self._row[LAST_LIVE] = time.monotonic_ns()
            self._row[FIRST_LIVE] = self._row[FIRST_LIVE] or self._row[LAST_LIVE]
        self._stage[descriptor] = _LIVE
        self._known[user] = self._live[user] = 1
        self._row[N_LIVE] += 1
        del self._under_way[descriptor]

    def _give_up_late_ones(self, now: float) -> None:
        for descriptor in [one for one, began in self._under_way.items() if now - began > _PATIENCE]:
            self._lost(descriptor, "no answer in time")

    def _lost(self, descriptor: int, why: str) -> None:
        """A connection or an attempt has ended; its user comes back soon."""
        user, was_live = self._who[descriptor], self._stage[descriptor] == _LIVE
        os.close(descriptor)
        self._who[descriptor] = -1
        self._stage[descriptor] = _IDLE
        self._rest.pop(descriptor, None)
        self._under_way.pop(descriptor, None)
        if not was_live:
            self._failed(user, why)
            return
        self._row[N_LIVE] -= 1
        self._live[user] = 0
        self._came_back[user] = 1
        self._again(user)

    def _failed(self, user: int, why: str) -> None:
        self._row[FAILURES] += 1
        self._troubles[why] = self._troubles.get(why, 0) + 1
        self._again(user)

    def _again(self, user: int) -> None:
        heapq.heappush(self._due, (time.monotonic() + random.uniform(*_AGAIN), user))

    # Reading

    def _read(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        stage = self._stage[descriptor]
        if not data:
            self._row[LOST] += stage == _LIVE
            self._lost(descriptor, "the server hung up")
        elif stage == _LIVE and data == messages.PING:
            self._pong(descriptor)
        elif stage == _LIVE and data == self._repeated and descriptor not in self._rest:
            self._broadcast_to(self._who[descriptor], self._repeats)
        else:
            self._take_stream(descriptor, data)

    def _take_stream(self, descriptor: int, data: bytes) -> None:
        stream = self._rest.pop(descriptor, b"") + data
        try:
            if self._stage[descriptor] == _UPGRADING:
                stream = self._upgraded(descriptor, stream)
                if self._stage[descriptor] == _UPGRADING:
                    self._rest[descriptor] = stream
                    return
            frames, rest = split(stream)
        except OSError as error:
            self._lost(descriptor, str(error))
            return
        if rest:
            self._rest[descriptor] = rest
        for opcode, payload in frames:
            if opcode == TEXT:
                self._take_frame(descriptor, payload, data)
            elif opcode == CLOSE:
                self._dismissed(descriptor, payload)
            elif opcode == WS_PING:
                raise ValueError("a ping of the WebSocket's own is not expected")
            if self._who[descriptor] < 0:
                return

    def _take_frame(self, descriptor: int, payload: bytes, data: bytes) -> None:
        if payload == b"{}":
            self._pong(descriptor)
            return
        try:
            replies = messages.decode(payload)
        except msgspec.DecodeError as error:
            self._lost(descriptor, f"not understood: {error}: {payload[:80]!r}")
            return
        for reply in replies:
            if self._stage[descriptor] == JOINING:
                if reply.connect is None:
                    self._lost(descriptor, f"connect: {payload[:120].decode()}")
                    return
                self._joined(descriptor, reply.connect)
            elif reply.push is None:
                self._pong(descriptor)
            elif reply.push.pub is not None:
                self._pushed(self._who[descriptor], reply.push.channel, reply.push.pub)
                if reply.push.channel == EVERYONE and len(replies) == 1 and len(data) - len(payload) <= 4:
                    self._repeated, self._repeats = data, reply.push.pub

    def _pong(self, descriptor: int) -> None:
        user = self._who[descriptor]
        self._row[PINGS] += 1
        self._pinged[user] = 1
        try:
            os.write(descriptor, messages.PONG)
        except OSError as error:
            self._lost(descriptor, f"pong: {error.strerror}")

    def _dismissed(self, descriptor: int, payload: bytes) -> None:
        code = f"{int.from_bytes(payload[:2], 'big')} {payload[2:].decode()}"
        self._codes[code] = self._codes.get(code, 0) + 1
        self._row[DISMISSED] += self._stage[descriptor] == _LIVE
        self._lost(descriptor, f"dismissed: {code}")

    # Messages

    def _pushed(self, user: int, channel: str, publication: Publication) -> None:
        if channel == EVERYONE:
            self._broadcast_to(user, publication)
        elif user_of(channel) != self._share.first + user:
            self._row[STRAYED] += 1
        elif self._take(user, publication) and not self._came_back[user]:
            self._latency.record_value((time.monotonic_ns() - publication.data.due) // 1000)

    def _take(self, user: int, publication: Publication) -> bool:
        """Count a message to one user by its offset; whether it was the next one."""
        ahead = publication.offset - self._offsets[user]
        if ahead <= 0:
            self._row[DOUBLED] += 1
            return False
        self._row[STRAYED] += publication.data.to != self._share.first + user
        self._row[MISSING] += ahead - 1
        self._offsets[user] = publication.offset
        self._seen[user] += 1
        self._row[RECEIVED] += 1
        return True

    def _broadcast_to(self, user: int, publication: Publication) -> None:
        ahead = publication.offset - self._everyone[user]
        if ahead <= 0:
            self._row[DOUBLED] += 1
            return
        now = time.monotonic_ns()
        self._row[MISSING] += ahead - 1
        self._everyone[user] = publication.offset
        self._row[BROADCASTS] += 1
        self._row[FIRST_BROADCAST] = self._row[FIRST_BROADCAST] or now
        self._row[LAST_BROADCAST] = now
        self._broadcast.record_value((now - publication.data.due) // 1000)
