"""`python -m bench.million`: opens a million connections to a real gateway, uses them, says what they cost."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from bench.machine import facts
from bench.million import floor, limits, messages, people, phases, report
from bench.million.board import Board
from bench.million.crew import Crew
from bench.million.phases import Scene
from bench.million.settings import SECRET, Run, options
from bench.sockets.servers import TENFOLD, Servers, ask_redis, free_port, takes_sockets

_PACKAGES = ("tenfold", "picows", "uvloop", "msgspec", "redis", "hiredis", "asyncpg", "hdrhistogram")
_FILES = 19_900  # that one process may need
_FIRST = -10  # the priority (nice) of Redis, as docs/operations/realtime.md advises
_PARTS = {
    "connect": (phases.connect, "Everybody connects ..."),
    "hold": (phases.hold, "All are held for one ping interval ..."),
    "single": (phases.tell_single_users, "Messages to single users ..."),
    "everyone": (phases.tell_everyone, "One message to everyone ..."),
    "loss": (phases.lose_a_process, "A gateway process is killed ..."),
    "reckoning": (phases.reckon, "Every message is accounted for ..."),
}


def measure(run: Run, folder: Path) -> dict[str, Any]:
    """Start the servers, the generators and the publisher, and go through the parts."""
    tokens = folder / "tokens"
    say(f"Access tokens of {run.connections} users ...")
    minting = people.mint(tokens, run.connections, os.cpu_count() or 1)
    say(f"  made in {minting:.1f} s.")
    board = Board(folder / "board", run.connections, run.generators)
    port, width = free_port(), people.width_of(tokens, run.connections)
    with Crew(run, board, tokens, width=width, port=port) as crew, Servers(folder) as servers:
        redis, address = servers.redis()
        redis_port = int(address.rpartition(":")[2])
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, redis.pid, _FIRST)
        environment = _environment(run, folder, address)
        publisher = _publisher(servers, board, environment)
        say(f"The gateway: {run.gateways} processes ...")
        command = [TENFOLD, "gateway", "--processes", str(run.gateways), "--port", str(port)]
        gateway = servers.start(command, environment, is_killed=True)
        servers.until(lambda: takes_sockets(port, messages.PATH), gateway, "tenfold gateway", 180)
        time.sleep(1 + run.gateways / 10)
        scene = Scene(run, board, crew, gateway.pid, publisher, redis, redis_port)
        found: dict[str, Any] = {}
        for name, (part, words) in _PARTS.items():
            say(words)
            found[name] = part(scene)
            say(f"  {json.dumps(found[name])}")
            if name == "connect" and not found[name]["connected"]:
                raise RuntimeError(f"nobody is connected: {servers.said()}")
        version = next(line for line in ask_redis(redis_port, "INFO", "server").splitlines() if "redis_version" in line)
        said = servers.said()
        return {
            "minting_s": minting,
            "parts": found,
            "redis": version.partition(":")[2],
            "redis_priority": os.getpriority(os.PRIO_PROCESS, redis.pid),
            "servers_said": said[-4000:],
        }


def _environment(run: Run, folder: Path, redis: str) -> Mapping[str, str]:
    return {
        "TENFOLD_DATA": str(folder / "data"),
        "TENFOLD_TOKENS__KEY": SECRET,
        "TENFOLD_LOG__LEVEL": "warning",
        "TENFOLD_REDIS__URL": redis,
        "TENFOLD_REALTIME__PING": f"{run.ping:g}s",
        "TENFOLD_REALTIME__PONG": f"{max(8.0, run.ping / 4):g}s",
    }


def _publisher(servers: Servers, board: Board, environment: Mapping[str, str]) -> "subprocess.Popen[Any]":
    shape = [str(board.path), str(board.users), str(board.generators)]
    command = [sys.executable, "-m", "bench.million.publisher", *shape]
    process = servers.start(command, environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    if not process.stdout.readline():
        raise RuntimeError(f"the publisher ended instead of beginning: {servers.said()}")
    return process


def main() -> None:
    """Check the limits, measure, print, and keep the result. Ended early, everything that was started ends as well."""
    signal.signal(signal.SIGTERM, _stop)
    run, allowed = options(), limits.read()
    machine = facts(_PACKAGES)
    say("The system allows: " + ", ".join(f"{name} = {value}" for name, value in allowed.items()))
    for complaint in limits.complaints(allowed, run.connections, min(_FILES, run.connections // run.gateways + 500)):
        say(f"  ! {complaint}")
    with tempfile.TemporaryDirectory(prefix="tenfold-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        document = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine,
            "limits": allowed,
            "run": asdict(run),
            **measure(run, folder),
        }
        if run.floor:
            say("Everybody connects to a bare listener ...")
            document["parts"]["floor"] = floor.connect(run, folder)
    say("")
    say(report.table(document))
    say(f"Kept in {report.keep(document)} and the .json beside it.")


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def _stop(*_: object) -> NoReturn:
    raise SystemExit("stopped before the end; nothing is kept")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit("stopped before the end; nothing is kept") from None
