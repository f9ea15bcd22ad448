"""Steering: who connects is led to the emptiest few of the processes that share a port, by a filter in the kernel.

A crowd that is spread over many more processes than there are cores finds each of them with cold caches, for a few
connections at a time. Where the processes are no more than the cores, or the system is not Linux, nothing is steered:
the kernel spreads who connects over all.
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

_CROWD = 1000
_ATTACH_FILTER = 51  # SO_ATTACH_REUSEPORT_CBPF of socket(7)
# Classic BPF, as linux/filter.h and linux/bpf_common.h have it: code, lines to skip if so, if not so, constant.
_LINE = struct.Struct("=HBBI")
_LOAD, _MODULO, _IS_EQUAL, _RETURN = 0x20, 0x94, 0x15, 0x06
_RANDOM = 0xFFFFF000 + 56
# struct tcp_info of linux/tcp.h: of a socket that listens, tcpi_unacked is how many wait to be accepted.
_INFO, _WAITING = 32, struct.Struct("=24xI4x")
log = structlog.get_logger("tenfold.gateway")


class Load(NamedTuple):
    """The connections that a process has, and those that wait for it to accept them."""

    held: int
    waiting: int

    @property
    def is_crowded(self) -> bool:
        """Whether it should first take in those who wait."""
        return self.waiting > _CROWD


class Steering:
    """Knows what each process holds, from memory that they share; make it before the fork.

    `listeners` are the sockets of the port, one per process, in the order in which they began to listen.
    """

    def __init__(self, listeners: Sequence[socket.socket], cores: int | None = None) -> None:
        self._listeners = listeners
        self._at_a_time = cores or os.cpu_count() or 1
        self._held = memoryview(mmap.mmap(-1, 8 * len(listeners))).cast("q")
        self._led: list[int] = []
        self.is_wanted = len(listeners) > self._at_a_time and sys.platform == "linux"
        for index in range(len(listeners)):
            self._held[index] = AWAY

    def seat(self, index: int) -> Seat:
        """Where a process keeps how many connections it has, one number. It is led to from its first writing on."""
        return self._held[index : index + 1]

    def left(self, index: int) -> None:
        """A process has ended: nobody is led to it until it is back."""
        self._held[index] = AWAY
        self.steer()

    def steer(self) -> None:
        """Lead whoever connects from now on to the emptiest processes, as many as there are cores."""
        if not self.is_wanted:
            return
        led = emptiest(self._loads(), self._at_a_time)
        if not led or led == self._led:
            return
        try:
            _attach(self._listeners[0], program(led))
            self._led = led
        except OSError as error:
            log.warning("gateway.cannot_steer", error=str(error))
            self.is_wanted = False

    def stop(self) -> None:
        """The listeners are about to be closed."""
        self.is_wanted = False

    def _loads(self) -> list[Load | None]:
        """What each process has to carry; None for one that is away."""
        pairs = zip(self._held, self._listeners, strict=True)
        return [None if held == AWAY else Load(held, _waiting(listener)) for held, listener in pairs]


def emptiest(loads: Sequence[Load | None], count: int) -> list[int]:
    """The places of the smallest loads, so many of those that are known, in their order.

    Whoever lets a crowd wait comes last: it may be stuck, and would else be sought out for ever.
    """
    known = [(load.is_crowded, load.held + load.waiting, place) for place, load in enumerate(loads) if load is not None]
    return sorted(place for _, _, place in sorted(known)[:count])


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
