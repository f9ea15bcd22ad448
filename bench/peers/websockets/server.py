"""`python -m bench.peers.websockets.server PORT`: whoever says `{"join": room}` hears what is published to the room.

`broadcast` is the library's own: it frames a message once and waits for nobody. Compression is off, as it costs memory.
"""

import asyncio
import json
import sys
from collections import defaultdict

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

_rooms: defaultdict[str, set[ServerConnection]] = defaultdict(set)


async def carry(connection: ServerConnection) -> None:
    """One connection, from its first message to its last."""
    joined: set[str] = set()
    try:
        async for text in connection:
            message = json.loads(text)
            if "join" in message:
                joined.add(message["join"])
                _rooms[message["join"]].add(connection)
                await connection.send('{"joined":true}')
            else:
                broadcast(_rooms[message["room"]], json.dumps({"message": message["message"]}))
    finally:
        for room in joined:
            _rooms[room].discard(connection)


async def main() -> None:
    """Serve until the end."""
    async with serve(carry, "127.0.0.1", int(sys.argv[1]), compression=None, backlog=4096):
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    uvloop.run(main())
