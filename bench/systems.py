"""The three systems: ours at stage 0, the peer and the floor; how each is started, asked and stopped."""

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold.platform.db.embedded import EmbeddedPostgres

SECRET = "a secret of the benchmark, and of nothing else"
_ROOT = Path(__file__).parents[1]
_PLENTY = "100000000"
_TENFOLD = str(Path(sys.executable).with_name("tenfold"))
_OURS = {
    "TENFOLD_TOKENS__KEY": SECRET,
    "TENFOLD_LOG__LEVEL": "warning",
    "TENFOLD_LOG__REQUESTS": "errors",
    "TENFOLD_LIMITS__ANONYMOUS": _PLENTY,
    "TENFOLD_LIMITS__ANONYMOUS_SIGN_IN": _PLENTY,
    "TENFOLD_LIMITS__TIERS": ",".join([_PLENTY] * 6),
    "TENFOLD_IDENTITY__SIGN_IN_TRIES": f"{_PLENTY}/1m",
}


@dataclass
class System:
    """A running server."""

    name: str
    port: int
    pid: int


@dataclass
class Answer:
    """What a server answered to one request."""

    status: int
    body: Any


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def ask(port: int, request: bytes) -> Answer:
    """Send one request on a connection of its own. Raises OSError when nobody answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b""
    except asyncio.IncompleteReadError as error:
        raise ConnectionError("the server closed the connection") from error
    finally:
        writer.close()
    return Answer(int(head[9:12]), json.loads(body) if body else None)


async def until_answered(port: int, process: asyncio.subprocess.Process) -> float:
    """Seconds until a new process answers the public timeline. Raises RuntimeError when it ends instead."""
    started = time.perf_counter()
    while time.perf_counter() - started < 60:
        if process.returncode is not None:
            raise RuntimeError(f"a server ended with {process.returncode} instead of answering")
        with contextlib.suppress(OSError):
            answer = await ask(port, b"GET /v1/timelines/public HTTP/1.1\r\nhost: bench\r\n\r\n")
            if answer.status == 200:
                return time.perf_counter() - started
        await asyncio.sleep(0.01)
    raise RuntimeError("a server did not answer within a minute")


@asynccontextmanager
async def running(name: str, command: list[str], environment: Mapping[str, str], port: int) -> AsyncIterator[System]:
    """A server process for as long as the block runs, once it answers."""
    async with _process(command, environment) as process:
        await until_answered(port, process)
        yield System(name, port, process.pid)


@asynccontextmanager
async def _process(command: list[str], environment: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=_ROOT,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            try:
                await asyncio.wait_for(process.wait(), 60)
            except TimeoutError:
                process.kill()
                await process.wait()


def ours(data: Path) -> tuple[list[str], dict[str, str], int]:
    """How `tenfold serve` is started at stage 0: its command, environment and port."""
    port = free_port()
    return [_TENFOLD, "serve", "--port", str(port)], {**_OURS, "TENFOLD_DATA": str(data)}, port


def rival(application: str, database: Mapping[str, Any]) -> tuple[list[str], dict[str, str], int]:
    """How an ASGI application is started under uvicorn: its command, environment and port."""
    port = free_port()
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    command = [sys.executable, "-m", "uvicorn", application, "--port", str(port), *options]
    return command, {"BENCH_DATABASE": json.dumps(dict(database)), "BENCH_SECRET": SECRET}, port


@asynccontextmanager
async def all_three(data: Path) -> AsyncIterator[tuple[list[System], Mapping[str, Any], int]]:
    """Ours, the peer and the floor side by side on the Postgres of ours; its address, and the id of its process."""
    async with contextlib.AsyncExitStack() as stack:
        systems = [await stack.enter_async_context(running("ours", *ours(data)))]
        postgres = EmbeddedPostgres(data)
        address = await postgres.start(join=True)
        stack.push_async_callback(postgres.stop)
        for name, application in (("peer", "bench.peers.fastapi_sqlalchemy.app:app"), ("floor", "bench.floor:app")):
            system = running(name, *rival(application, address.options))
            systems.append(await stack.enter_async_context(system))
        pid = int((data / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])
        yield systems, address.options, pid


async def sample(data: Path, users: int, posts: int) -> float | None:
    """Fill a data folder with the sample world, unless that was done before; the seconds it took."""
    mark = data / f"bench-{users}-{posts}-{_version()}"
    if mark.exists():
        return None
    shutil.rmtree(data, ignore_errors=True)
    started = time.perf_counter()
    command = [_TENFOLD, "sample", "--users", str(users), "--posts", str(posts), "--seed", "7"]
    async with _process(command, {**_OURS, "TENFOLD_DATA": str(data)}) as process:
        if await process.wait() != 0:
            raise RuntimeError("`tenfold sample` failed")
    mark.touch()
    return time.perf_counter() - started


def _version() -> str:
    """What the rows of a sample depend on: the schema, and how the sample is made."""
    source = _ROOT / "src" / "tenfold"
    files = [*source.rglob("migrations/*.sql"), *source.rglob("sample.py"), *source.rglob("entry/sample/*.py")]
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()[:12]


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[tuple[float, int]]:
    """A server of ours on a folder, idle: the seconds to its first answer, and its id."""
    command, environment, port = ours(folder)
    async with _process(command, environment) as process:
        yield await until_answered(port, process), process.pid


async def seconds_of_help(times: int) -> float:
    """The median time of `tenfold --help`."""
    taken: list[float] = []
    for _ in range(times):
        started = time.perf_counter()
        async with _process([_TENFOLD, "--help"], {}) as process:
            await process.wait()
        taken.append(time.perf_counter() - started)
    return sorted(taken)[len(taken) // 2]
