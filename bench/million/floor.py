"""The floor: how fast the same generators connect to a bare listener of picows, in as many processes, that only echoes.

Nobody is signed in or subscribed there, and nobody is led anywhere: what is left is the kernel's part, the handshake,
and the generators' own.
"""

import asyncio
import gc
import os
import resource
import signal
import socket
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.machine import has_ended
from bench.million import messages
from bench.million.board import Board
from bench.million.crew import Crew
from bench.million.generator import JOINING, Generator
from bench.million.settings import Run
from bench.sockets.frames import upgraded
from bench.sockets.servers import free_port, takes_sockets

_BACKLOG, _LISTENERS = 4096, 8
_READ_BUFFER = 256
_LONGEST = 300.0  # seconds
_MOST = 300_000  # connections: with more, what bare sockets keep in the kernel comes near the usual net.ipv4.tcp_mem


class Bare(Generator):
    """Says hello to a bare listener, and is connected when that comes back."""

    def _upgraded(self, descriptor: int, stream: bytes) -> bytes:
        at = upgraded(stream)
        if at:
            os.write(descriptor, messages.HELLO)
            self._stage[descriptor] = JOINING
        return stream[at:]

    def _take_frame(self, descriptor: int, payload: bytes, data: bytes) -> None:
        self._begins(descriptor, self._who[descriptor])


def connect(run: Run, folder: Path) -> dict[str, Any]:
    """Open as many connections as the run has, up to `_MOST`, and say at which rate."""
    run = replace(run, connections=min(run.connections, _MOST))
    port = free_port()
    board = Board(folder / "floor", run.connections, run.generators)
    with Crew(run, board, folder / "tokens", width=1, port=port, generator=Bare) as crew:
        pids: list[int] = []
        try:
            pids += (_fork(port) for _ in range(run.gateways))
            _wait_for(port)
            end = time.monotonic() + _LONGEST
            while board.total("live") < run.connections and time.monotonic() < end:
                crew.connect_in_turn()
                crew.must_live()
                time.sleep(0.02)
            seconds = (board.latest("last_live_ns") - board.earliest("first_live_ns")) / 1e9
            live = board.total("live")
            if any(map(has_ended, pids)):
                raise RuntimeError("a bare listener has ended before its time")
            failures = board.total("failures")
            return {"connected": live, "failures": failures, "per_second": round(live / seconds, 1) if seconds else 0.0}
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            for pid in pids:
                os.waitpid(pid, 0)


def _fork(port: int) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
            _serve(port)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    return pid


def _serve(port: int) -> None:
    import uvloop  # after the fork: the generators need neither
    from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

    class Echo(WSListener):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            transport.send(WSMsgType.TEXT, frame.get_payload_as_bytes())

    async def serve() -> None:
        gc.collect()
        gc.freeze()
        gc.disable()
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(_BACKLOG)
        servers = [
            await ws_create_server(
                lambda _: Echo(),
                sock=listener if number == 0 else listener.dup(),
                backlog=_BACKLOG,
                websocket_handshake_timeout=30,
                read_buffer_init_size=_READ_BUFFER,
                use_aiofastnet=False,  # its transports take longer to accept, and twice the memory
            )
            for number in range(_LISTENERS)
        ]
        await asyncio.gather(*(server.serve_forever() for server in servers))

    uvloop.run(serve())


def _wait_for(port: int) -> None:
    """Wait until somebody answers there, and a little longer, since each process begins by itself."""
    for _ in range(200):
        try:
            if takes_sockets(port, messages.PATH):
                break
        except OSError:
            pass
        time.sleep(0.05)
    else:
        raise RuntimeError("the bare listener does not answer")
    time.sleep(5)
