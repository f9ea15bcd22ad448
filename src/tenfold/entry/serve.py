"""`tenfold serve`: HTTP, realtime and background work in one process, on an embedded Postgres or on a named one."""

import asyncio
import contextlib
import gc
import resource
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog
import uvloop

from tenfold.assembly import House
from tenfold.assembly.policies import largest_message
from tenfold.entry.connect import database_of, house_of
from tenfold.platform.http.server import bind, serving
from tenfold.settings import Settings

log = structlog.get_logger("tenfold.serve")
Say = Callable[[str], None]
# Of Python's 700 new objects, one request makes a good part. With this and what `settle` freezes, p95 of sending fell
# from some 20 ms to 6 at 700 messages a second, and the server's processor time by a tenth.
_GC_THRESHOLDS = (10_000, 20, 10)


def allow_files() -> None:
    """Let this process open as many files as this user may have: each socket is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end on uvloop, with as many open files as there may be."""
    allow_files()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


def settle() -> None:
    """Have the garbage collector pass over what the start has made, for good, and look less often at what comes after.

    Those some hundred thousand objects are no garbage, and were looked through again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


async def serve(settings: Settings, say: Say) -> None:
    """Everything in one process, until SIGINT or SIGTERM; requests in flight and jobs that run are finished."""
    listener = bind(settings.http.host, settings.http.port)
    with contextlib.closing(listener):
        async with database_of(settings) as address:
            alone = settings.database.url is None
            house = House(_on(listener, settings), address.dsn, address.options, alone=alone)
            try:
                await house.open(migrate=True)
                async with answering(house, listener, say) as failed, working(house):
                    await stop_asked(failed)
            finally:
                await house.close()


async def web(settings: Settings, say: Say) -> None:
    """HTTP and realtime only; jobs are left to workers."""
    listener = bind(settings.http.host, settings.http.port)
    with contextlib.closing(listener):
        async with house_of(_on(listener, settings)) as house, answering(house, listener, say) as failed:
            await stop_asked(failed)


async def work(settings: Settings, say: Say) -> None:
    """Background work only."""
    async with house_of(settings) as house, working(house):
        say("Working. Stop with Ctrl+C.")
        await stop_asked()


def _on(listener: socket.socket, settings: Settings) -> Settings:
    """The settings with the port that was really taken: links in mails begin with it."""
    http = settings.http.model_copy(update={"port": listener.getsockname()[1]})
    return settings.model_copy(update={"http": http})


@asynccontextmanager
async def answering(house: House, listener: socket.socket, say: Say) -> AsyncIterator["asyncio.Task[None]"]:
    """Answer requests and sockets on a bound listener while the block runs."""
    sockets = house.socket()
    grace = house.settings.http.shutdown_grace.total_seconds()
    application = house.application(sockets)
    settle()
    largest = largest_message(house.settings)
    async with serving(application, listener, grace=grace, drain=sockets.drain, largest_message=largest) as task:
        host, port = listener.getsockname()[:2]
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        say(f"Tenfold answers on {address}\n  API reference  {address}/docs\n  Health         {address}/ready")
        log.info("answering", host=host, port=port)
        yield task
        say("Stopping: finishing what is in flight ...")


@asynccontextmanager
async def working(house: House) -> AsyncIterator[None]:
    """Run jobs while the block runs, and finish those that run at its end."""
    worker = house.worker()
    await worker.start()
    try:
        yield
    finally:
        await worker.stop()


async def stop_asked(failed: "asyncio.Task[None] | None" = None) -> None:
    """Wait for SIGINT or SIGTERM, or for a task to fail. A second signal ends the process at once."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()

    def ask() -> None:
        asked.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask)
    waiting = asyncio.create_task(asked.wait())
    tasks = {waiting} if failed is None else {waiting, failed}
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if failed is not None and failed.done():
        failed.result()
