"""`tenfold gateway` as people run it, beside a server, and sockets to it."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.entry.running import Serving, started, until

_ESTABLISHED = "01"


@dataclass
class Carrying:
    """A gateway that answers."""

    process: "subprocess.Popen[str]"
    address: str
    log: Path

    @property
    def client(self) -> httpx2.Client:
        """For what it says over plain HTTP."""
        return httpx2.Client(base_url=f"http://{self.address}", timeout=10)

    def children(self) -> list[int]:
        """Its processes that are alive."""
        return sorted(pid for pid in _children_of(self.process.pid) if _is_alive(pid))

    def held(self) -> dict[int, int]:
        """How many connections each process has."""
        port = f":{int(self.address.rpartition(':')[2]):04X}"
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        sockets = {f"socket:[{line[9]}]" for line in lines if line[1].endswith(port) and line[3] == _ESTABLISHED}
        return {pid: len(sockets.intersection(_open_files(pid))) for pid in self.children()}

    def stop(self) -> int:
        """Ask it to end, and wait until it has: its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    @contextmanager
    def sockets(self, token: str, count: int) -> Iterator[list["Socket"]]:
        """So many connections of one person, who comes to the port with all of them at once."""
        host, _, port = self.address.rpartition(":")
        url = f"ws://{self.address}/connection/websocket"
        with ExitStack() as stack:
            raw = [stack.enter_context(socket.create_connection((host, int(port)), timeout=10)) for _ in range(count)]
            connections = [stack.enter_context(connect(url, sock=one, close_timeout=1)) for one in raw]
            yield [Socket(connection, token) for connection in connections]

    @contextmanager
    def sockets_everywhere(self, token: str) -> Iterator[list["Socket"]]:
        """Connections of one person to every process: four by four, until each process has some."""
        with ExitStack() as stack:
            found: list[Socket] = []

            def everywhere() -> bool:
                found.extend(stack.enter_context(self.sockets(token, 4)))
                return all(self.held().values())

            assert until(everywhere), self.held()
            yield found


class Socket:
    """One connection that speaks the client protocol."""

    def __init__(self, connection: ClientConnection, token: str) -> None:
        self.connection = connection
        self._number = 0
        self.client = self.ask(connect={"token": token})["client"]

    def ask(self, **command: Any) -> Any:
        """What a command is answered with."""
        self._number += 1
        self.connection.send(msgspec.json.encode({"id": self._number, **command}).decode())
        (method,) = command
        return msgspec.json.decode(self.connection.recv(timeout=10))[method]

    def hears(self, *wanted: tuple[str, str], within: float = 2) -> bool:
        """Whether all of these come within some seconds: the channel, and which kind of push it is."""
        missing, end = set(wanted), time.monotonic() + within
        with contextlib.suppress(TimeoutError):
            while missing:
                for line in str(self.connection.recv(timeout=max(0.0, end - time.monotonic()))).splitlines():
                    push = msgspec.json.decode(line).get("push", {})
                    missing.difference_update((push["channel"], kind) for kind in push if kind != "channel")
        return not missing

    def is_alive(self) -> bool:
        """Whether the other end answers."""
        try:
            return self.ask(ping={}) == {}
        except ConnectionClosed:
            return False

    def closing_code(self) -> int | None:
        """Read on until the server closes, and say how it did."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.connection.recv(timeout=10)
        return self.connection.close_code


@contextmanager
def carrying(server: Serving, processes: int = 3, *, nobody: bool = False, **environ: str) -> Iterator[Carrying]:
    """Start a gateway beside a server, and have it end with the block, however that ends."""
    log = server.data.with_name(f"{server.data.name}-gateway.log")
    arguments = ["gateway", "--data", str(server.data), "--processes", str(processes), "--port", "0"]
    with log.open("ab") as lines:
        process = started(arguments, nobody=nobody, stderr=lines, **{"TENFOLD_GATEWAY__DRAIN": "0.2s", **environ})
    try:
        yield Carrying(process, _address(process, log), log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        if process.stdout:
            process.stdout.close()


def _address(process: "subprocess.Popen[str]", log: Path) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"answers on ws://([^/]+)/", line)
        if found:
            return found[1]
    raise AssertionError(f"the gateway did not start: {log.read_text()[-3000:]}")


def _children_of(parent: int) -> list[int]:
    words = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(word) for word in words]


def _open_files(pid: int) -> Iterator[str]:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield str(link.readlink())


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
