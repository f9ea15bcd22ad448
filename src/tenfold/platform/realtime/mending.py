"""Mending: finds out that publications are missing, reads them, and gives them to the hub in order.

Three things lead here: a number that comes too early, a client that returns with a position, and the check of every
channel once in a while, of durable ones more often: a process that dies between its commit and its word tells nobody.
What is missing comes from the broker's history or from the channel's own source, the database.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import structlog

from tenfold.kit.actors import Actor
from tenfold.kit.refusals import NotFound, Unavailable
from tenfold.platform.realtime import EVERYONE, Channel, Replayed, codes
from tenfold.platform.realtime.broker import History
from tenfold.platform.realtime.protocol import Publication, StreamPosition, encode_data
from tenfold.platform.realtime.topics import Source, Topic

if TYPE_CHECKING:
    from tenfold.platform.realtime.hub import Hub

log = structlog.get_logger(__name__)

AWAY = (Unavailable, OSError)
"""What a call raises when the server behind it is gone; a timeout is an OSError."""
PATIENCE = 0.05
"""Seconds: a publication that seems to be missing is usually on its way."""
TRIES = 5
"""Reads in a row that bring nothing new; one that does may leave a newer gap, which has not been waited for yet."""
AGAIN = 1.0
"""Seconds until a source that was away is read again: nobody tells when a database is back."""
MOST_HELD = 1000
BATCH = 500
MOST_CHECKED = 100
"""Streams a second in one process: a million of them would else keep Redis busy with nothing. A loss in silence, which
the check is for, is rare: a connection that breaks is noticed at once."""
STEP = 5.0
"""Seconds between the parts of a check: a process with nothing else to do is cold each time that it is woken."""
MOST_REPLAYED = 10_000


class _Part(NamedTuple):
    publications: Sequence[Publication]
    offset: int


class Mender:
    """One per hub."""

    def __init__(self, hub: "Hub", *, check_every: float = 30.0, check_durable_every: float = 5.0) -> None:
        self._hub = hub
        self._check_every = check_every
        self._check_durable_every = check_durable_every
        self._tasks: set[asyncio.Task[None]] = set()
        self._asked: dict[Channel, dict[UUID, asyncio.Future[int]]] = {}

    def open(self) -> None:
        """Begin to check every channel now and then."""
        self._start(self._keep_checking(self._check_every, self._check_streams_of, durable=False))
        self._start(self._keep_checking(self._check_durable_every, self._check_durable_of, durable=True))

    async def close(self) -> None:
        """Stop whatever is under way."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def suspect(self, topic: Topic, goal: int = 0) -> None:
        """Publications up to `goal`, or before those that are held, may be missing: read them if they do not come."""
        extra = topic.more()
        extra.goal = max(extra.goal, goal)
        if len(extra.held) > MOST_HELD:
            self._hub.lose(topic)
        elif not extra.is_mending:
            extra.is_mending = True
            self._start(self._mend(topic))

    def doubt(self, topic: Topic) -> None:
        """The stream may have begun anew: find out."""
        self.suspect(topic, sys.maxsize)

    def check_all(self, unheard: Iterable[str] | None) -> None:
        """After a gap: streams that were published to without the broker (None: all) begin anew; check everything."""
        self._start(self._after_gap(None if unheard is None else list(unheard)))

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

    async def missed(self, topic: Topic, since: StreamPosition, actor: Actor | None) -> list[Publication] | None:
        """What came after a position until where the topic stands when this returns; None when that is not known."""
        told, covered = list[Publication](), since.offset
        for _ in range(2 * TRIES):
            if since.epoch != topic.epoch or not self._hub.is_current(topic):
                return None
            if covered == topic.offset:
                return told
            try:
                if covered > topic.offset:
                    before = topic.offset
                    await self._catch_up(topic)
                    if topic.offset == before:
                        return None
                    continue
                part = await self._read(topic, covered, actor)
            except AWAY:
                return None
            if part is None or part.offset < covered:
                return None
            told += part.publications
            covered = part.offset
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
        return History(position, None if page is None else _publications(page))

    # Reading

    async def _read(self, topic: Topic, since: int, actor: Actor | None) -> _Part | None:
        if topic.source is not None:
            recalled = topic.recall(since)
            if recalled is not None and since < topic.offset:
                return _Part(recalled, topic.offset)
            return await _replay(topic.source, since, actor)
        epoch = topic.epoch
        found = await self._hub.broker.history(topic.name, StreamPosition(offset=since, epoch=epoch))
        if found.publications is None or found.position.epoch != epoch:
            return None
        return _Part(found.publications, found.position.offset)

    async def _catch_up(self, topic: Topic) -> bool:
        """Read what the topic has not had yet, and have it delivered; False when that cannot be known completely."""
        part = await self._read(topic, topic.offset, None)
        if part is None or not self._hub.is_current(topic):
            return False
        self._hub.feed(topic, part.publications, part.offset)
        if topic.extra is not None:
            topic.extra.goal = min(topic.extra.goal, part.offset)
        return True

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

    # Checking

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

    async def _after_gap(self, unheard: list[str] | None) -> None:
        try:
            if unheard is None or unheard:
                await self._hub.broker.begin_anew(unheard)
            unheard = []
            topics = [topic for topic in self._hub.topics.values() if self._can_be_checked(topic)]
            await self._check_streams([topic for topic in topics if topic.source is None])
            await self._check_durable_of([topic for topic in topics if topic.source is not None])
            await self._check_rights()
        except AWAY:
            self._hub.note_unheard(unheard)
        except Exception:
            log.exception("realtime.check_failed")

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
        positions = await self._hub.broker.positions([topic.name for topic in topics])
        for topic, known, position in zip(topics, before, positions, strict=True):
            if position.epoch != topic.epoch:
                self._lose(topic)
            elif position.offset < known:
                # The broker lost what it had numbered, and would give the same numbers again.
                await self._hub.broker.begin_anew([topic.name])
                self._lose(topic)
            elif position.offset > topic.offset:
                self.suspect(topic, position.offset)

    async def _check_sources(self, kind: Channel, topics: Sequence[Topic]) -> None:
        before = [topic.offset for topic in topics]
        assert kind.positions is not None
        positions = await kind.positions(ids=[topic.source.id for topic in topics if topic.source])
        for topic, known in zip(topics, before, strict=True):
            position = positions.get(topic.source.id) if topic.source else None
            if position is not None and position < known:
                self._lose(topic)
            elif position is not None and position > topic.offset:
                self.suspect(topic, position)

    async def _check_rights(self) -> None:
        """A signal that somebody lost a right may have been lost as well: ask again."""
        for topic in list(self._hub.topics.values()):
            if topic.name == EVERYONE or topic.name.startswith("user:"):
                continue
            for listener in topic:
                if listener.actor is None:
                    continue
                refusal = await self._hub.kinds.refuses_to_listen(listener.actor, topic.name)
                if refusal in (codes.PERMISSION_DENIED, codes.UNKNOWN_CHANNEL):
                    listener.expel(topic.name)

    def _lose(self, topic: Topic) -> None:
        if self._hub.is_current(topic):
            self._hub.lose(topic)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def span_of(streams: int, every: float) -> float:
    """Seconds in which so many streams are checked: longer than wanted when a process has very many."""
    return max(every, streams / MOST_CHECKED)


async def _replay(source: Source, since: int, actor: Actor | None) -> _Part | None:
    """Everything that a source knows after a number, page by page. A page may be short before the end."""
    told, upto = list[Publication](), since
    while len(told) < MOST_REPLAYED:
        page = await _page(source, upto, actor, BATCH)
        if page is None:
            return None
        told += _publications(page)
        upto = page.publications[-1][0] if page.publications else page.offset
        if upto >= page.offset:
            return _Part(told, page.offset)
    return None


async def _page(source: Source, since: int, actor: Actor | None, limit: int) -> Replayed | None:
    assert source.kind.replay is not None
    values: dict[str, Any] = {source.name: source.id}
    return await source.kind.replay(actor=actor, since=since, limit=limit, **values)


def _publications(page: Replayed) -> list[Publication]:
    return [Publication(data=encode_data(data), offset=offset) for offset, data in page.publications]


def _retrieve(future: asyncio.Future[int]) -> None:
    """Whoever asked may be gone by now; then nobody else looks at what went wrong."""
    if not future.cancelled():
        future.exception()
