"""`python -m bench.million.publisher BOARD USERS GENERATORS`: publishes through our own `Realtime`, in a process apart.

It is in charge of the database for as long as it runs. It reads a line of JSON per order, and answers with one. Open
loop: a message is due at its instant whether or not those before it are through, and carries that instant.
"""

import asyncio
import json
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.million.board import Board
from bench.million.messages import EVERYONE
from bench.million.people import channel_of
from tenfold.entry.connect import house_of
from tenfold.entry.serve import settle
from tenfold.platform.observe import logs
from tenfold.platform.realtime import Realtime
from tenfold.settings import load, with_secrets

_TICK = 0.005  # seconds between two looks at what is due; what leaves late counts as late


@dataclass
class Tally:
    """What became of an order."""

    published: int = 0
    refused: int = 0
    to_absent: int = 0
    latest_us: int = 0  # by how much a message left after it was due, at worst
    seconds: float = 0.0
    troubles: dict[str, int] = field(default_factory=dict)


class Publisher:
    """Publishes to users drawn at random, to those who are away just now, or to everyone."""

    def __init__(self, realtime: Realtime, board: Board) -> None:
        self._realtime = realtime
        self._board = board
        self._rng = random.Random(7)
        self._number = 0
        self._absent = 0
        self._under_way: set[asyncio.Task[None]] = set()

    async def obey(self, order: dict[str, Any]) -> Tally:
        """Publish at a rate for some seconds, `absent` of it (0 to 1) to users who are away; or once to everyone."""
        began, tally = time.monotonic_ns(), Tally()
        if order.get("everyone"):
            await self._publish(EVERYONE, -1, began, tally)
        else:
            await self._stream(order["rate"], order["seconds"], order.get("absent", 0.0), tally)
        tally.seconds = (time.monotonic_ns() - began) / 1e9
        return tally

    async def _stream(self, rate: float, seconds: float, absent: float, tally: Tally) -> None:
        due, gap = time.monotonic_ns(), int(1e9 / rate)
        end = due + int(seconds * 1e9)
        while due < end:
            now = time.monotonic_ns()
            while due <= now and due < end:
                user = self._draw(absent, tally)
                task = asyncio.create_task(self._publish(channel_of(user), user, due, tally))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
                due += gap
            await asyncio.sleep(_TICK)
        while self._under_way:
            await asyncio.wait(self._under_way)

    def _draw(self, absent: float, tally: Tally) -> int:
        if absent and self._rng.random() < absent and self._board.total("live") < self._board.users:
            found = self._board.away(self._absent + 1)
            if found >= 0:
                self._absent = found
                tally.to_absent += 1
                return found
        return self._rng.randrange(self._board.users)

    async def _publish(self, channel: str, user: int, due: int, tally: Tally) -> None:
        number, self._number = self._number, self._number + 1
        tally.latest_us = max(tally.latest_us, (time.monotonic_ns() - due) // 1000)
        try:
            await self._realtime.publish([channel], {"number": number, "due": due, "to": user})
        except Exception as error:
            tally.refused += 1
            why = f"{type(error).__name__}: {error}"[:120]
            tally.troubles[why] = tally.troubles.get(why, 0) + 1
            return
        tally.published += 1
        if user >= 0:
            self._board.sent[user] += 1


async def main() -> None:
    """Open the house, and obey until the orders end."""
    logs.configure("json", "warning", descriptor=2)  # answers leave by the standard output
    path, users, generators = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    board = Board(path, users, generators)
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    async with house_of(with_secrets(load()), migrate=True) as house:
        publisher = Publisher(house.realtime, board)
        settle()  # as a web process does: else the collector would stop it for a good part of a second
        _answer({"ready": True})
        while line := await orders.readline():
            _answer((await publisher.obey(json.loads(line))).__dict__)


def _answer(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
