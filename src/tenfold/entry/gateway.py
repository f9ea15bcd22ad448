"""`tenfold gateway`: sockets only, in several processes that share a port and the memory of what is imported."""

import asyncio
import functools
import gc
import itertools
import os
import random
import resource
import signal
import socket
from dataclasses import dataclass
from datetime import timedelta

import structlog

from tenfold.assembly import House
from tenfold.entry import steering
from tenfold.entry.connect import running_database
from tenfold.entry.prefork import Place, Prefork
from tenfold.entry.serve import Say, allow_files, run
from tenfold.entry.steering import QUEUES, Steering
from tenfold.entry.turns import take_long_turns
from tenfold.kit.refusals import CannotStart
from tenfold.platform.db.embedded import Address
from tenfold.platform.http.server import bind
from tenfold.platform.observe import logs
from tenfold.platform.observe.board import Board
from tenfold.platform.realtime.gateway import PATH
from tenfold.settings import Settings

FILES_KEPT = 512
"""Open files of a process that are not for sockets: databases, logs, and room to refuse whoever comes beyond."""

_BACKLOG = 4096
_TURN = 5.0
"""Seconds after which a process tells the others its metrics, for a scrape that they answer."""

_KEPT_EVERY = 6  # turns
# An idle connection is some twenty objects that are no garbage, and to look through all of a process takes a second
# when sixty of them share two cores. So only the youngest are looked through by the number of allocations; whatever was
# made since house was kept last, every half a minute; and everything every six hours, each process in its turn.
_GC_THRESHOLDS = (20_000, 1_000, 1_000_000)
_COLLECTED_EVERY = 720 * _KEPT_EVERY
_STOP_MARGIN = timedelta(seconds=20)
log = structlog.get_logger("tenfold.gateway")


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the processes share."""

    house: House
    ports: list[list[socket.socket]]
    """The listening sockets of each process, which share one address."""
    board: Board
    steering: Steering
    capacity: int

    def ended(self, index: int, returns: bool) -> None:
        """Forget what a process said that is no more."""
        self.board.erase(index)
        self.steering.left(index, returns=returns)


def gateway(settings: Settings, say: Say) -> int:
    """Carry sockets until SIGINT or SIGTERM, then tell their clients to reconnect. Returns the exit code.

    Raises `CannotStart` when the port is taken, the database is not to be had, or its schema is not this version's.
    """
    allow_files()  # the parent holds some for each process
    numbers = settings.gateway
    count = numbers.processes or os.cpu_count() or 1
    ports = share_port(numbers.host, numbers.port, count)
    settings = _lean(settings)
    address = asyncio.run(_checked(settings))
    house = House(settings, address.dsn, address.options)
    house.prepare()
    plan = _Plan(house, ports, Board(count), Steering(ports), _capacity(numbers.connections))
    processes = Prefork(
        functools.partial(_serve, plan),
        count,
        grace=(numbers.drain + _STOP_MARGIN).total_seconds(),
        on_ready=lambda: say(_greeting(ports[0][0], count, plan.capacity)),
        on_stopping=functools.partial(_close, plan, say),
        on_ended=plan.ended,
        on_tick=plan.steering.steer,
        tick=steering.EVERY,
    )
    return processes.run()


def share_port(host: str, port: int, count: int) -> list[list[socket.socket]]:
    """Sockets on one address for so many processes, among which the kernel spreads who connects. Raises `CannotStart`.

    The parent holds all of them, so that whoever connects while a process is started again waits instead of failing.
    One is bound alone first: others of the same user could share the port unnoticed.
    """
    with bind(host, port) as alone:
        family, address = alone.family, alone.getsockname()
    listeners: list[socket.socket] = []
    try:
        for _ in range(count * QUEUES):
            listener = socket.socket(family, socket.SOCK_STREAM)
            listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind(address)
            listener.setblocking(False)
        for listener in listeners:
            listener.listen(_BACKLOG)
    except OSError as error:
        for listener in listeners:
            listener.close()
        raise CannotStart(f"Cannot share {host}:{address[1]}: {error.strerror or error}.") from None
    return [listeners[index * QUEUES : (index + 1) * QUEUES] for index in range(count)]


def _lean(settings: Settings) -> Settings:
    """The settings with few database connections: there are many processes."""
    numbers = settings.gateway
    few = {"read_connections": numbers.read_connections, "write_connections": numbers.write_connections}
    return settings.model_copy(update={"database": settings.database.model_copy(update=few)})


async def _checked(settings: Settings) -> Address:
    """The address of a database that a house of this version can stand on."""
    address = await running_database(settings)
    house = House(settings, address.dsn, address.options)
    try:
        await house.open()
    finally:
        await house.close()
    return address


def _capacity(wanted: int) -> int:
    """How many connections a process may hold: as wanted, but no more than it may open files for."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = most - FILES_KEPT if most != resource.RLIM_INFINITY else 1_000_000
    if room < 1 or wanted > room:
        raise CannotStart(
            f"A process may open {most} files, too few for gateway.connections = {wanted or 1}; raise the limit "
            f"(`ulimit -n`, LimitNOFILE=), {FILES_KEPT} more than connections."
        )
    return wanted or room


def _greeting(listener: socket.socket, count: int, capacity: int) -> str:
    host, port = listener.getsockname()[:2]
    address = f"{f'[{host}]' if ':' in host else host}:{port}"
    return (
        f"Tenfold's gateway answers on ws://{address}{PATH.decode()}\n"
        f"  Processes      {count}, {capacity:,} connections each\n"
        f"  Health         http://{address}/health"
    )


def _close(plan: _Plan, say: Say) -> None:
    say("Stopping: telling clients to reconnect ...")
    plan.steering.stop()
    for listener in itertools.chain.from_iterable(plan.ports):
        listener.close()


def _serve(plan: _Plan, place: Place) -> None:
    """The life of one process."""
    for others in (*plan.ports[: place.index], *plan.ports[place.index + 1 :]):
        for listener in others:
            listener.close()
    gc.set_threshold(*_GC_THRESHOLDS)
    take_long_turns()
    run(_carry(plan, place))


async def _carry(plan: _Plan, place: Place) -> None:
    logs.bind(process=place.index)
    house = plan.house
    try:
        await house.open()
        gateway_ = house.gateway(
            plan.capacity, functools.partial(_metrics, plan.board, place.index), plan.steering.seat(place.index)
        )
        await gateway_.open(*plan.ports[place.index])
        try:
            place.ready()
            await _until_stopped(house, plan.board, place)
        finally:
            await gateway_.drain(house.settings.gateway.drain)
    finally:
        await house.close()


def _metrics(board: Board, index: int) -> bytes:
    board.write(index)
    return board.read()


async def _until_stopped(house: House, board: Board, place: Place) -> None:
    """Keep house by turns, until SIGTERM or the end of the parent. A second SIGTERM ends the process at once."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()

    def stop() -> None:
        loop.remove_reader(place.parent_gone)
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        stopped.set()

    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_reader(place.parent_gone, stop)
    for turn in itertools.count(place.index):
        if stopped.is_set():
            break
        try:
            board.write(place.index)
            if turn % _KEPT_EVERY == 0:
                gc.collect(2 if turn % _COLLECTED_EVERY == 0 else 1)
                await house.db.trim()
        except Exception:
            log.exception("gateway.housekeeping_failed")  # no reason to end everybody's connection
        # Begun together, they would all take their turns at once: each goes on after a part of one.
        part = random.random() if turn == place.index else 1.0  # noqa: S311 - no secret
        try:
            async with asyncio.timeout(part * _TURN):
                await stopped.wait()
        except TimeoutError:
            continue
