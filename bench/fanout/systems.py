"""The three servers, each started alone on a core of its own, and the audience that listens to it on another."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.fanout.audience import Entry, Outcome, Probe
from bench.fanout.dialects import Dialect, Ours, SocketIo, Websockets
from bench.million import people
from bench.million.settings import SECRET
from bench.sockets.servers import ROOT, Servers, free_port, takes_sockets

SERVER_CORE, AUDIENCE_CORE = 0, 1
SOCKETIO = ROOT / "bench" / "peers" / "socketio"
_PLENTY = "100000000/1m"


@dataclass(frozen=True)
class System:
    """How one server is started, given its port, and spoken to."""

    name: str
    command: Callable[[int], list[str]]
    dialect: Dialect


class Stage:
    """One server with its audience; leaving the block ends both."""

    def __init__(self, system: System, folder: Path, *, rooms: int, listeners: int) -> None:
        self._system = system
        self._servers = Servers(folder)
        self._entry = (rooms, listeners)
        self.pid = 0

    def __enter__(self) -> "Stage":
        try:
            port = free_port()
            server = self._servers.start(
                self._system.command(port), _environment(self._servers.folder), preexec_fn=on_core(SERVER_CORE)
            )
            self._servers.until(
                lambda: takes_sockets(port, self._system.dialect.path), server, self._system.name, limit=120
            )
            self.pid = server.pid
            self._audience = self._servers.start(
                [sys.executable, "-m", "bench.fanout.audience"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                preexec_fn=on_core(AUDIENCE_CORE),
            )
            rooms, listeners = self._entry
            self._ask(Entry(port, self._system.dialect, rooms, listeners))
        except BaseException:
            self._servers.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._servers.__exit__()

    def probe(self, rate: float, seconds: float, warm_up: float) -> Outcome:
        """Have the audience publish and listen."""
        return self._ask(Probe(rate, seconds, warm_up))

    def _ask(self, order: object) -> Any:
        assert self._audience.stdin is not None
        assert self._audience.stdout is not None
        try:
            pickle.dump(order, self._audience.stdin)
            self._audience.stdin.flush()
            return pickle.load(self._audience.stdout)
        except (EOFError, BrokenPipeError):
            raise RuntimeError(f"the audience of {self._system.name} has ended: {self._servers.said()}") from None


def on_core(core: int) -> Callable[[], None]:
    """What pins a process to a core before it begins."""
    return lambda: os.sched_setaffinity(0, {core})


def three(folder: Path, people_: int) -> list[System]:
    """Ours, Socket.IO and `websockets`; the tokens of so many people are made here, beforehand."""
    file = folder / "tokens"
    people.mint(file, people_, os.cpu_count() or 1)
    width, text = people.width_of(file, people_), file.read_bytes()
    tokens = [text[at : at + width] for at in range(0, len(text), width)]
    return [
        System("ours", lambda port: [sys.executable, "-m", "bench.fanout.ours", str(port)], Ours(tokens)),
        System("socket.io", lambda port: ["node", str(SOCKETIO / "server.js"), str(port)], SocketIo()),
        System(
            "websockets", lambda port: [sys.executable, "-m", "bench.peers.websockets.server", str(port)], Websockets()
        ),
    ]


def _environment(folder: Path) -> dict[str, str]:
    return {
        "TENFOLD_DATA": str(folder / "data"),
        "TENFOLD_TOKENS__KEY": SECRET,
        "TENFOLD_LOG__LEVEL": "warning",
        "TENFOLD_REALTIME__COMMANDS_PER_USER": _PLENTY,
        "NODE_ENV": "production",
    }
