"""The servers of a run: started one by one, watched, and ended by their ids, whatever happens."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.sockets.frames import upgrade

ROOT = Path(__file__).parents[2]
TENFOLD = str(Path(sys.executable).with_name("tenfold"))


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def children_of(pid: int) -> list[int]:
    """The processes that a process has started and that still run, with theirs."""
    try:
        found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return found + [grandchild for child in found for grandchild in children_of(child)]


class Servers:
    """Everything that was started; leaving the block ends it, the latest first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[tuple[subprocess.Popen[Any], bool]] = []

    def __enter__(self) -> "Servers":
        return self

    def __exit__(self, *_: object) -> None:
        for process, is_killed in reversed(self._started):
            _end(process, is_killed)

    def start(
        self,
        command: list[str],
        environment: Mapping[str, str] | None = None,
        *,
        is_killed: bool = False,
        **options: Any,
    ) -> subprocess.Popen[Any]:
        """Start a server; with `is_killed` it and its children are killed in the end: nobody waits for a drain."""
        errors = (self.folder / f"{Path(command[0]).name}-{len(self._started)}.log").open("wb")
        options = {"stdout": errors, "stderr": errors, **options}
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **(environment or {})}, start_new_session=True, **options
        )
        errors.close()
        self._started.append((process, is_killed))
        return process

    def redis(self) -> tuple[subprocess.Popen[Any], str]:
        """A Redis that keeps nothing on disk: its process and address."""
        program = shutil.which("redis-server")
        if program is None:
            raise RuntimeError("redis-server is not installed: `sh scripts/packages.sh redis-server`")
        port = free_port()
        options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(self.folder)]
        process = self.start([program, "--port", str(port), *options])
        self.until(lambda: ask_redis(port, "PING") == "PONG", process, "redis-server")
        return process, f"redis://127.0.0.1:{port}"

    def until(self, is_true: Callable[[], bool], process: subprocess.Popen[Any], name: str, limit: float = 120) -> None:
        """Wait for a server. Raises RuntimeError when it ends, or is not there in time."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended with {process.returncode}: {self.said()}")
            try:
                if is_true():
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise RuntimeError(f"{name} was not there within {limit:.0f} s: {self.said()}")

    def said(self) -> str:
        """The last that the servers said."""
        texts = [path.read_text(errors="replace").strip() for path in sorted(self.folder.glob("*.log"))]
        return "\n".join(text[-1500:] for text in texts if text)


def ask_redis(port: int, *words: str) -> str:
    """One command, and its answer as text."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        parts = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        connection.sendall(f"*{len(words)}\r\n{parts}".encode())
        file = connection.makefile("rb")
        head = file.readline().decode().strip()
        return file.read(int(head[1:])).decode() if head.startswith("$") else head[1:]


def takes_sockets(port: int, path: str) -> bool:
    """Whether a WebSocket can be opened there."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(upgrade("127.0.0.1", path))
        return connection.recv(64).startswith(b"HTTP/1.1 101 ")


def _end(process: subprocess.Popen[Any], is_killed: bool) -> None:
    if process.poll() is not None:
        return
    if is_killed:
        _kill([process.pid, *children_of(process.pid)])
    else:
        process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        _kill([process.pid, *children_of(process.pid)])
        process.wait(30)


def _kill(pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
