"""Checking: compares where channels stand with what was delivered here, now and then and after every gap.

What is found to be missing the mender reads. Durable channels are checked more often: a process that dies between its
commit and its word tells nobody.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import structlog

from tenfold.platform.bus.listeners import stop
from tenfold.platform.realtime import Channel
from tenfold.platform.realtime.broker import Unreached
from tenfold.platform.realtime.errand import AWAY, Errand
from tenfold.platform.realtime.topics import Topic

if TYPE_CHECKING:
    from tenfold.platform.realtime.hub import Hub

log = structlog.get_logger(__name__)

BATCH = 500
MOST_CHECKED = 100
"""Streams a second in one process: a million of them would else keep Redis busy with nothing. A loss in silence, which
the check is for, is rare: a connection that breaks is noticed at once."""
STEP = 5.0
"""Seconds between the parts of a check: a process with nothing else to do is cold each time that it is woken."""


class Checker:
    """One per hub. Every stream is checked once in `every` seconds, every durable channel in `durable_every`."""

    def __init__(self, hub: "Hub", *, every: float, durable_every: float) -> None:
        self._hub = hub
        self._every = every
        self._durable_every = durable_every
        self._streams_due = Errand(self._check_all_streams)
        self._durable_due = Errand(self._check_all_durable)
        self._begun: set[str] = set()
        self._begun_due = Errand(self._check_begun)
        self._keeping: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """Begin to check every channel now and then."""
        loop = asyncio.get_running_loop()
        self._keeping = [
            loop.create_task(self._keep_checking(self._every, self._check_streams_of, durable=False)),
            loop.create_task(self._keep_checking(self._durable_every, self._check_durable_of, durable=True)),
        ]

    async def close(self) -> None:
        """Check no more."""
        for errand in (self._streams_due, self._durable_due, self._begun_due):
            await errand.close()
        for task in self._keeping:
            await stop(task)

    def check_all(self) -> None:
        """After a gap: check everything at once, and what cannot be checked yet as soon as it can."""
        self._streams_due.do()
        self._durable_due.do()

    def check_begun(self, channels: Iterable[str] | None) -> None:
        """These streams (None: all) have begun anew: whoever listens to them here must come back."""
        if channels is None:
            self._streams_due.do()
        else:
            self._begun.update(channels)
            self._begun_due.do()

    async def _keep_checking(
        self, every: float, check: Callable[[Sequence[Topic]], Awaitable[None]], *, durable: bool
    ) -> None:
        """Check a kind of channels once in a span, some of them in each step; a new one within twice that span."""
        while True:
            # The durable ones are few: to look for them among all, every few seconds, would be most of the work.
            durables, everything = self._hub.durable_topics.values(), self._hub.topics.values()
            topics = list(durables) if durable else [topic for topic in everything if topic.source is None]
            span = every if durable else span_of(len(topics), every)
            steps = max(1, round(span / STEP))
            for step in range(steps):
                await asyncio.sleep(span / steps)
                try:
                    await check([topic for topic in topics[step::steps] if self._can_be_checked(topic)])
                except AWAY as error:
                    log.info("realtime.cannot_check_yet", error=str(error))
                except Exception:
                    log.exception("realtime.check_failed")

    async def _check_all_streams(self) -> None:
        everything = self._hub.topics.values()
        await self._check_streams([one for one in everything if one.source is None and self._can_be_checked(one)])

    async def _check_all_durable(self) -> None:
        await self._check_durable_of([one for one in self._hub.durable_topics.values() if self._can_be_checked(one)])

    async def _check_begun(self) -> None:
        begun, self._begun = self._begun, set()
        found = (self._hub.topics.get(name) for name in begun)
        with contextlib.suppress(*AWAY):  # they are checked with all the others
            await self._check_streams([topic for topic in found if topic is not None and self._can_be_checked(topic)])

    def _can_be_checked(self, topic: Topic) -> bool:
        return self._hub.is_current(topic) and not topic.is_opening

    async def _check_streams_of(self, topics: Sequence[Topic]) -> None:
        """Check streams, unless their broker loses nothing."""
        if not self._hub.broker.loses_nothing:
            await self._check_streams(topics)

    async def _check_streams(self, topics: Sequence[Topic]) -> None:
        """Compare where streams stand with what was delivered."""
        for start in range(0, len(topics), BATCH):
            await self._check_positions(topics[start : start + BATCH])

    async def _check_durable_of(self, topics: Sequence[Topic]) -> None:
        """Compare where durable channels stand with what was delivered, in one statement for many."""
        kinds: dict[Channel, list[Topic]] = {}
        for topic in topics:
            if topic.source is not None:
                kinds.setdefault(topic.source.kind, []).append(topic)
        for kind, of_kind in kinds.items():
            for start in range(0, len(of_kind), BATCH):
                await self._check_sources(kind, of_kind[start : start + BATCH])

    async def _check_positions(self, topics: Sequence[Topic]) -> None:
        before = [topic.offset for topic in topics]
        try:
            positions = await self._hub.broker.positions([topic.name for topic in topics])
        except Unreached as error:
            # The return of their server is a gap, and checks them; the others need not wait for it.
            missed = set(error.channels)
            reached = [topic for topic in topics if topic.name not in missed]
            if not reached or len(reached) == len(topics):
                raise
            await self._check_positions(reached)
            return
        for topic, known, position in zip(topics, before, positions, strict=True):
            if position.epoch != topic.epoch:
                self._lose(topic)
            elif position.offset < known:
                # The broker lost what it had numbered, and would give the same numbers again.
                await self._hub.broker.begin_anew([topic.name])
                self._lose(topic)
            elif position.offset > topic.offset:
                self._hub.mender.suspect(topic, position.offset)

    async def _check_sources(self, kind: Channel, topics: Sequence[Topic]) -> None:
        before = [topic.offset for topic in topics]
        assert kind.positions is not None
        positions = await kind.positions(ids=[topic.source.id for topic in topics if topic.source])
        for topic, known in zip(topics, before, strict=True):
            position = positions.get(topic.source.id) if topic.source else None
            if position is not None and position < known:
                self._lose(topic)
            elif position is not None and position > topic.offset:
                self._hub.mender.suspect(topic, position)

    def _lose(self, topic: Topic) -> None:
        if self._hub.is_current(topic):
            self._hub.lose(topic)


def span_of(streams: int, every: float) -> float:
    """Seconds in which so many streams are checked: longer than wanted when a process has very many."""
    return max(every, streams / MOST_CHECKED)
