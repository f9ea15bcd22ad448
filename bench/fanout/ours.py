"""`python -m bench.fanout.ours PORT`: our gateway in one process, with rooms in which everybody may publish."""

import asyncio
import socket
import sys
import types
from uuid import UUID

import uvloop
from msgspec import Raw
from prometheus_client import generate_latest

from tenfold.assembly import MODULES
from tenfold.entry.connect import house_of
from tenfold.entry.serve import settle
from tenfold.kit.actors import Actor
from tenfold.platform.module import Module
from tenfold.platform.observe import metrics
from tenfold.platform.realtime import channel
from tenfold.settings import load, with_secrets

_CAPACITY = 19_000


async def may_publish(actor: Actor, data: Raw, room_id: UUID) -> Raw:
    """Everybody may, as it is."""
    return data


@channel("room:{room_id}", may_publish=may_publish)
async def room(actor: Actor, room_id: UUID) -> bool:
    """Everybody may listen."""
    return True


live = types.ModuleType("rooms")
live.room = room  # type: ignore[attr-defined]
module = Module(name="rooms", package="bench.fanout", live=live)


async def main() -> None:
    """Carry sockets until the end."""
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096)
    listener.setblocking(False)
    async with house_of(with_secrets(load()), migrate=True, modules=(*MODULES, module), alone=True) as house:
        gateway = house.gateway(_CAPACITY, lambda: generate_latest(metrics.registry))
        settle()
        await gateway.open(listener)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    uvloop.run(main())
