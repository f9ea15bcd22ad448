"""Presence of an installation of several processes without a server for it: each keeps the whole table, and relays.

What a process writes goes over the bus to the others. One that hears of a node it has no entries of (it has just
started, or something was lost) asks it for all of them; so every table is right a few seconds after any mishap.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from tenfold.platform.bus import Bus
from tenfold.platform.realtime.company import Company
from tenfold.platform.realtime.memory import MemoryPresence
from tenfold.platform.realtime.outlet import Message, Outlet
from tenfold.platform.realtime.presence import Present

TOPIC = "presence"
ENTRIES_PER_SIGNAL = 30
"""A bus carries little in one signal at ease (Postgres: 8000 bytes), and an entry takes about 230 of them."""

Entries = Sequence[tuple[str, Present]]


class _Said(Message, frozen=True, omit_defaults=True, kw_only=True):
    """What a node tells the others of itself; whatever it says renews its lease. With `asks`: tell all of that node."""

    node: str
    asks: str = ""
    releases: bool = False
    came: list[tuple[str, Present]] = msgspec.field(default_factory=list)
    left: list[tuple[str, Present]] = msgspec.field(default_factory=list)


class RelayedPresence(MemoryPresence):
    """One per process. It writes and answers from its own table; while the bus is away the others lag behind.

    It notes whoever is heard as company, and says nothing while there is none.
    """

    def __init__(self, bus: Bus, company: Company | None = None, **memory: Any) -> None:
        """Listens to the bus, so build it before the bus is opened."""
        super().__init__(**memory)
        self._outlet = Outlet(bus, TOPIC)
        self._company = company or Company()
        # What is said of a client must not be overtaken by what is said of it later.
        self._speaking = asyncio.Lock()
        self._own = ""
        self._doubted: set[str] = set()
        bus.listen(TOPIC, self._hear)
        bus.on_gap(self._doubt)
        bus.on_gap(self._company.note)

    async def enter(self, entries: Entries) -> None:
        """Write entries here and elsewhere."""
        async with self._speaking:
            await super().enter(entries)
            for part in _parts(entries):
                await self._say(came=part)

    async def leave(self, entries: Entries) -> None:
        """Remove entries here and elsewhere."""
        async with self._speaking:
            await super().leave(entries)
            for part in _parts(entries):
                await self._say(left=part)

    async def renew(self, node: str) -> bool:
        """Hold the lease of this process's node, here and elsewhere."""
        self._own = node
        was_held = await super().renew(node)
        await self._say()
        return was_held

    async def release(self, node: str) -> None:
        """Give up the lease of this process's node and its entries, here and elsewhere."""
        async with self._speaking:
            await super().release(node)
            await self._say(releases=True)

    async def _say(self, **content: Any) -> bool:
        """Whether it has left; without company nothing does."""
        if not self._company.is_here:
            self._outlet.lose()
            return False
        return await self._outlet.send(_Said(node=self._own, **content))

    async def _hear(self, payload: Any) -> None:
        said = msgspec.convert(payload, _Said)
        if said.node == self._own:
            return
        await self._company.note()
        if said.missed:
            self._doubted.add(said.node)
        if said.asks == self._own:
            await self._tell_all()
        elif said.releases:
            await super().release(said.node)
        elif said.node:
            await self._learn(said)

    async def _tell_all(self) -> None:
        for part in _parts(self.entries_of(self._own)):
            async with self._speaking:
                # Who has left since has been told of already.
                if still_here := [(channel, entry) for channel, entry in part if self.has(channel, entry.client)]:
                    await self._say(came=still_here)

    async def _learn(self, said: _Said) -> None:
        """Do in this table what another node did in its own; ask for everything when that may not be enough."""
        if not await super().renew(said.node):
            self._doubted.add(said.node)
        if said.node in self._doubted and await self._say(asks=said.node):
            self._doubted.discard(said.node)
            self.drop(said.node)
        await super().leave(said.left)
        await super().enter(said.came)

    def _doubt(self) -> None:
        """Signals were lost: ask every other node for all that it has when it next says something.

        One of them may have asked this one, and hears from its next word that it must ask again.
        """
        self._doubted.update(self.nodes)
        self._outlet.lose()


def _parts(entries: Entries) -> list[Entries]:
    return [entries[start : start + ENTRIES_PER_SIGNAL] for start in range(0, len(entries), ENTRIES_PER_SIGNAL)]
