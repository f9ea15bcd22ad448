"""Steering: who connects is led to the emptiest few of the processes that share a port, by a filter in the kernel.

A crowd that is spread over many more processes than there are cores finds each of them with cold caches, for a few
connections at a time, and keeps whoever is connected there waiting. So it is led to few, and when one process is far
emptier than all others (it has just been started again) to that one alone: those it lost wait in its queues, which are
made long enough for them. Where the processes are no more than the cores, or the system is not Linux, nothing is
steered: the kernel spreads who connects over all.
"""

import ctypes
import mmap
import os
import socket
import struct
import sys
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from tenfold.platform.realtime.gateway import AWAY, Seat

EVERY = 0.5
"""Seconds for which those who connect are led to the same processes."""

QUEUES = 8
"""Listening sockets of a process: the kernel lets no more than `net.core.somaxconn` (4096) wait at each."""

_CROWD = 2048 * QUEUES  # that wait for one process: half of what its queues hold
_FAR = 2000  # connections by which a process is too much fuller than the emptiest to be led to beside it
_PATIENCE = 4  # looks in a row at which a process took in nobody of those who wait
_MOST = 128  # processes at a time: a filter has up to 4096 lines, and two for each of their sockets
_ATTACH_FILTER = 51  # SO_ATTACH_REUSEPORT_CBPF of socket(7)
# Classic BPF, as linux/filter.h and linux/bpf_common.h have it: code, lines to skip if so, if not so, constant.
_LINE = struct.Struct("=HBBI")
_LOAD, _MODULO, _IS_EQUAL, _RETURN = 0x20, 0x94, 0x15, 0x06
_RANDOM = 0xFFFFF000 + 56
# struct tcp_info of linux/tcp.h: of a socket that listens, tcpi_unacked is how many wait to be accepted.
_INFO, _WAITING = 32, struct.Struct("=24xI4x")
log = structlog.get_logger("tenfold.gateway")


class Load(NamedTuple):
    """The connections that a process has, and those that wait for it to accept them.

    `stalled` is how many times in a row somebody waited and its connections were as many as the time before.
    """

    held: int
    waiting: int
    stalled: int = 0

    @property
    def total(self) -> int:
        """What it has to carry."""
        return self.held + self.waiting

    @property
    def is_barred(self) -> bool:
        """Whether it should first take in those who wait: there are too many of them, or it may be stuck."""
        return self.waiting > _CROWD or self.stalled >= _PATIENCE


class Steering:
    """Knows what each process holds, from memory that they share; make it before the fork.

    `ports` are the sockets of the port, `QUEUES` of each process, all in the order in which they began to listen.
    """

    def __init__(self, ports: Sequence[Sequence[socket.socket]], cores: int | None = None) -> None:
        self._ports = ports
        self._at_a_time = min(cores or os.cpu_count() or 1, _MOST)
        self._held = memoryview(mmap.mmap(-1, 8 * len(ports))).cast("q")
        self._stalled = [(AWAY, 0)] * len(ports)
        self._led: list[int] = []
        self.is_wanted = len(ports) > self._at_a_time and sys.platform == "linux"
        for index in range(len(ports)):
            self._held[index] = AWAY

    def seat(self, index: int) -> Seat:
        """Where a process keeps how many connections it has, one number. It is led to from its first writing on."""
        return self._held[index : index + 1]

    def left(self, index: int, *, returns: bool) -> None:
        """A process has ended. When it is started again at once, who connects may wait for it; else it is left out."""
        self._held[index] = 0 if returns else AWAY
        self._stalled[index] = AWAY, 0
        self._lead()

    def steer(self) -> None:
        """Look at all of them, and lead whoever connects from now on to the emptiest, as many as there are cores."""
        if not self.is_wanted:
            return
        for index, held in enumerate(self._held):
            before, stalled = self._stalled[index]
            is_stuck = held == before != AWAY and self._waiting(index) > 0
            self._stalled[index] = held, stalled + 1 if is_stuck else 0
        self._lead()

    def _lead(self) -> None:
        if not self.is_wanted:
            return
        led = emptiest(self._loads(), self._at_a_time)
        if not led or led == self._led:
            return
        try:
            places = [index * QUEUES + number for index in led for number in range(QUEUES)]
            _attach(self._ports[0][0], program(places))
            self._led = led
        except OSError as error:
            log.warning("gateway.cannot_steer", error=str(error))
            self.is_wanted = False

    def stop(self) -> None:
        """The sockets are about to be closed."""
        self.is_wanted = False

    def _loads(self) -> list[Load | None]:
        """What each process has to carry; None for one that is away."""
        return [None if held == AWAY else self._load(index, held) for index, held in enumerate(self._held)]

    def _load(self, index: int, held: int) -> Load:
        return Load(held, self._waiting(index), self._stalled[index][1])

    def _waiting(self, index: int) -> int:
        return sum(map(_waiting, self._ports[index]))


def emptiest(loads: Sequence[Load | None], count: int) -> list[int]:
    """The indexes of the smallest loads, at most so many, none far above the least.

    Whoever lets a crowd wait, or takes nobody in, is only among them when all are like that: it may be stuck, and would
    else be sought out for ever.
    """
    known = sorted((load.is_barred, load.total, index) for index, load in enumerate(loads) if load is not None)
    if not known:
        return []
    is_barred, least, _ = known[0]
    return sorted(index for barred, total, index in known[:count] if barred is is_barred and total <= least + _FAR)


def program(places: Sequence[int]) -> bytes:
    """A filter that picks one of these sockets of a port at random, by their places in the order of listening."""
    lines = [(_LOAD, 0, 0, _RANDOM), (_MODULO, 0, 0, len(places))]
    for number, place in enumerate(places):
        lines += [(_IS_EQUAL, 0, 1, number), (_RETURN, 0, 0, place)]
    return b"".join(_LINE.pack(*line) for line in (*lines, (_RETURN, 0, 0, places[0])))


def _attach(listener: socket.socket, filter_: bytes) -> None:
    """Have the kernel ask a filter to which of the sockets of a port a connection goes; it replaces the one before."""
    kept = ctypes.create_string_buffer(filter_, len(filter_))
    count, address = len(filter_) // _LINE.size, ctypes.addressof(kept)
    listener.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HP", count, address))


def _waiting(listener: socket.socket) -> int:
    return _WAITING.unpack(listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO))[0]
