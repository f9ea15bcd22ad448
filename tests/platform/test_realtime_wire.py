"""The wire of the web process: what counts as waiting for a client that reads slowly."""

import asyncio
from typing import Any

from tenfold.platform.realtime import user_channel
from tenfold.platform.realtime.websocket import RealtimeEndpoint
from tests.platform.realtime_world import RealtimeWorld, person
from tests.waiting import until


async def test_what_the_server_cannot_get_rid_of_still_waits() -> None:
    """Else a client that takes nothing is given part after part of what it missed, each read from the database."""
    world, ana = RealtimeWorld(), person()
    reads = asyncio.Event()
    frames: list[str] = []
    events = asyncio.Queue[dict[str, Any]]()
    events.put_nowait({"type": "websocket.connect"})
    events.put_nowait({"type": "websocket.receive", "text": f'{{"id":1,"connect":{{"token":"{world.token(ana)}"}}}}'})

    async def send(event: dict[str, Any]) -> None:
        if event["type"] == "websocket.send":
            frames.append(event["text"])
            if len(frames) > 1:
                await reads.wait()

    endpoint = RealtimeEndpoint(world.lobby)
    carrying = asyncio.create_task(endpoint({"type": "websocket", "headers": []}, events.get, send))
    await until(lambda: len(frames) == 1)
    (listener,) = world.hub.topics[user_channel(ana.id)]
    await until(lambda: listener.is_ready)

    await world.hub.publish([user_channel(ana.id)], "long")
    await until(lambda: len(frames) == 2)
    assert not listener.is_ready
    reads.set()
    await until(lambda: listener.is_ready)

    events.put_nowait({"type": "websocket.disconnect"})
    await carrying
