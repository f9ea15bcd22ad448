"""Mending: finds out that publications are missing, reads them, and gives them to the hub in order.

Three things lead here: a number that comes too early, a client that returns with a position, and the check of every
channel once in a while, of durable ones more often: a process that dies between its commit and its word tells nobody.
What is missing comes from the broker's history or from the channel's own source, the database.
"""

import asyncio
import sys
from collections.abc import Coroutine, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import structlog

from tenfold.kit.actors import Actor
from tenfold.kit.refusals import NotFound
from tenfold.platform.realtime import Channel, Replayed
from tenfold.platform.realtime.broker import History
from tenfold.platform.realtime.errand import AGAIN, AWAY
from tenfold.platform.realtime.protocol import Publication, StreamPosition, encode_data, encode_push, join_frames
from tenfold.platform.realtime.topics import Listener, Source, Topic

if TYPE_CHECKING:
    from tenfold.platform.realtime.hub import Hub

log = structlog.get_logger(__name__)

PATIENCE = 0.05
"""Seconds: a publication that seems to be missing is usually on its way."""
TRIES = 5
"""Reads in a row that bring nothing new; one that does may leave a newer gap, which has not been waited for yet."""
MOST_HELD = 1000
BATCH = 500
LARGE = 512 * 1024
"""Bytes of what was missed that are read before they are told: what a connection holds of a recovery, however long."""


class Part(NamedTuple):
    """Publications, all that there are up to an offset; and where the channel stood, which may be further on."""

    publications: Sequence[Publication]
    offset: int
    end: int


class Mender:
    """One per hub."""

    def __init__(self, hub: "Hub") -> None:
        self._hub = hub
        self._tasks: set[asyncio.Task[None]] = set()
        self._asked: dict[Channel, dict[UUID, asyncio.Future[int]]] = {}

    async def close(self) -> None:
        """Stop whatever is under way."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def suspect(self, topic: Topic, goal: int = 0) -> None:
        """Publications up to `goal`, or before those that are held, may be missing: read them if they do not come."""
        extra = topic.more()
        if goal:
            extra.goal = max(extra.goal, goal)
            extra.goals += 1
        if len(extra.held) > MOST_HELD:
            self._hub.lose(topic)
        elif not extra.is_mending:
            extra.is_mending = True
            self._start(self._mend(topic))

    def doubt(self, topic: Topic) -> None:
        """The stream may have begun anew: find out."""
        self.suspect(topic, sys.maxsize)

    async def position_of(self, source: Source) -> int:
        """Where a durable channel stands; all that are asked in an instant are one statement. Raises `NotFound`."""
        asked = self._asked.get(source.kind)
        if asked is None:
            asked = self._asked[source.kind] = {}
            self._start(self._ask(source.kind))
        future = asked.get(source.id)
        if future is None:
            future = asked[source.id] = asyncio.get_running_loop().create_future()
            future.add_done_callback(_retrieve)
        return await asyncio.shield(future)

    async def missed(self, topic: Topic, since: StreamPosition, actor: Actor | None) -> Part | None:
        """What came after a position until where the topic stands when this returns; None when that is not known.

        Of more than `LARGE` bytes it is the first part, which ends before that.
        """
        told, covered, is_much = list[Publication](), since.offset, False
        for _ in range(2 * TRIES):
            try:
                if since.epoch != topic.epoch or not await self._reaches(topic, covered):
                    return None
                if is_much or covered == topic.offset:
                    return Part(told, covered, topic.offset)
                part = await self._read(topic, covered, actor)
            except AWAY:
                return None
            if part is None or part.offset < covered:
                return None
            told += part.publications
            covered, is_much = part.offset, part.offset < part.end
        return None

    async def history(
        self,
        channel: str,
        since: StreamPosition | None = None,
        *,
        actor: Actor | None = None,
        limit: int = -1,
        reverse: bool = False,
    ) -> History | None:
        """What is remembered of a channel, as `Broker.history` says; a durable one is not read backwards (None).

        Of a durable channel a page is read at most.
        """
        source = self._hub.kinds.source_of(channel)
        if source is None:
            return await self._hub.broker.history(channel, since, limit=limit, reverse=reverse)
        epoch = self._hub.durable_epoch
        if reverse:
            return None
        if since is not None and since.epoch != epoch:
            return History(StreamPosition(epoch=epoch), None)
        position = StreamPosition(offset=await self.position_of(source), epoch=epoch)
        most = min(limit, BATCH) if limit >= 0 else BATCH
        start = since.offset if since is not None else 0
        page = await _page(source, start, actor, most) if most else Replayed((), start)
        return History(position, None if page is None else list(_publications(page)))

    def pursue(self, topic: Topic, listener: Listener, covered: int) -> None:
        """Have a listener who has the publications up to a number be given the rest, and then hear what is new.

        It is given as much as it takes at a time. Nobody else waits for it, and it holds no connection to the database.
        """
        pursuit = topic.more().behind[listener] = object()
        self._start(self._pursue(topic, listener, covered, pursuit))

    # Reading

    async def _pursue(self, topic: Topic, listener: Listener, covered: int, pursuit: object) -> None:
        def is_on() -> bool:
            return self._hub.is_current(topic) and topic.more().behind.get(listener) is pursuit

        try:
            while is_on():
                if not listener.is_ready:
                    await asyncio.sleep(PATIENCE)
                    continue
                since = StreamPosition(offset=covered, epoch=topic.epoch)
                part = await self.missed(topic, since, listener.actor)
                if part is None or not is_on():
                    break
                covered = part.offset
                if covered == topic.offset:
                    del topic.more().behind[listener]
                if part.publications:
                    # As one message: a connection takes that whatever its size, but not any number of them.
                    listener.deliver(join_frames(encode_push(topic.name, one) for one in part.publications))
        except Exception:
            log.exception("realtime.pursuit_failed", channel=topic.name)
        if is_on():
            listener.lose(topic.name)

    async def _read(self, topic: Topic, since: int, actor: Actor | None) -> Part | None:
        if topic.source is not None:
            recalled = topic.recall(since)
            if recalled is not None and since < topic.offset:
                return Part(recalled, topic.offset, topic.offset)
            return await _replay(topic.source, since, actor)
        epoch = topic.epoch
        found = await self._hub.broker.history(topic.name, StreamPosition(offset=since, epoch=epoch))
        if found.publications is None or found.position.epoch != epoch:
            return None
        return Part(found.publications, found.position.offset, found.position.offset)

    async def _catch_up(self, topic: Topic) -> bool:
        """Read what the topic has not had yet, a part of it if it is much, and have it delivered.

        False when that cannot be known completely.
        """
        extra = topic.more()
        goals = extra.goals
        part = await self._read(topic, topic.offset, None)
        if part is None or not self._hub.is_current(topic):
            return False
        self._hub.feed(topic, part.publications, part.offset)
        if part.offset < part.end:
            self.suspect(topic, part.end)
        elif topic.extra is extra and extra.goals == goals:
            # A goal that was set during the read may be of something newer.
            extra.goal = min(extra.goal, part.end)
        return True

    async def _reaches(self, topic: Topic, offset: int) -> bool:
        """Whether a topic has come as far as this, by reading on if need be."""
        while self._hub.is_current(topic):
            before = topic.offset
            if before >= offset:
                return True
            await self._catch_up(topic)
            if topic.offset == before:
                return False
        return False

    async def _mend(self, topic: Topic) -> None:
        try:
            pause, vain = PATIENCE, 0
            while vain < TRIES:
                await asyncio.sleep(pause)
                if topic.is_whole or not self._hub.is_current(topic):
                    return
                before, pause = topic.offset, PATIENCE
                try:
                    if not await self._catch_up(topic):
                        break
                except AWAY as error:
                    log.info("realtime.cannot_mend_yet", channel=topic.name, error=str(error))
                    if topic.source is None:
                        return  # the end of the broker's gap leads here again
                    pause = AGAIN
                else:
                    vain = vain + 1 if topic.offset == before else 0
            if not topic.is_whole and self._hub.is_current(topic):
                self._hub.lose(topic)
        except Exception:
            log.exception("realtime.mending_failed", channel=topic.name)
            self._hub.lose(topic)
        finally:
            topic.more().is_mending = False
            topic.rest()

    async def _ask(self, kind: Channel) -> None:
        await asyncio.sleep(0)
        asked = self._asked.pop(kind)
        assert kind.positions is not None
        try:
            found = await kind.positions(ids=list(asked))
        except Exception as error:  # a boundary: whoever asked gets it
            for future in asked.values():
                future.set_exception(error)
            return
        for id_, future in asked.items():
            if id_ in found:
                future.set_result(found[id_])
            else:
                future.set_exception(NotFound())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _replay(source: Source, since: int, actor: Actor | None) -> Part | None:
    """What a source knows after a number, page by page until it is much. A page may be short before the end."""
    told, size, upto = list[Publication](), 0, since
    while True:
        page = await _page(source, upto, actor, BATCH)
        if page is None:
            return None
        for publication in _publications(page):
            told.append(publication)
            upto, size = publication.offset, size + len(publication.data)
            if size >= LARGE:
                return Part(told, upto, max(upto, page.offset))
        if not page.publications or upto >= page.offset:
            return Part(told, page.offset, page.offset)


async def _page(source: Source, since: int, actor: Actor | None, limit: int) -> Replayed | None:
    assert source.kind.replay is not None
    values: dict[str, Any] = {source.name: source.id}
    return await source.kind.replay(actor=actor, since=since, limit=limit, **values)


def _publications(page: Replayed) -> Iterator[Publication]:
    return (Publication(data=encode_data(data), offset=offset) for offset, data in page.publications)


def _retrieve(future: asyncio.Future[int]) -> None:
    """Whoever asked may be gone by now; then nobody else looks at what went wrong."""
    if not future.cancelled():
        future.exception()
