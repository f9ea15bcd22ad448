"""The hub of a process: who listens here to which channel, and everything that is delivered to them.

It stands on a broker, which numbers, keeps and carries publications between processes, and on presence. What the broker
brings is put in order, once each and without a gap, before anybody hears it (`mending.py`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from uuid import UUID

import msgspec
import structlog
from msgspec import Raw

from tenfold.kit.clock import Clock
from tenfold.kit.ids import new_id
from tenfold.kit.refusals import Unavailable
from tenfold.platform.observe import metrics
from tenfold.platform.realtime import EVERYONE, Realtime, user_channel
from tenfold.platform.realtime.broker import Broker, unreached
from tenfold.platform.realtime.checking import Checker
from tenfold.platform.realtime.codes import CONNECTION_EXPIRED
from tenfold.platform.realtime.debts import Debts
from tenfold.platform.realtime.errand import AWAY
from tenfold.platform.realtime.guests import Guests, Review, Signal, Spreader
from tenfold.platform.realtime.kinds import Kinds
from tenfold.platform.realtime.mending import Mender
from tenfold.platform.realtime.presence import Presence, Present
from tenfold.platform.realtime.protocol import (
    Publication,
    StreamPosition,
    encode_data,
    encode_news,
    encode_push,
    news_of,
)
from tenfold.platform.realtime.rights import Rights
from tenfold.platform.realtime.roll import Roll
from tenfold.platform.realtime.streams import new_epoch
from tenfold.platform.realtime.topics import Joined, Listener, Topic

log = structlog.get_logger(__name__)

DURABLE_EPOCH = "1"


class Hub(Realtime):
    """Built once per process. `open` connects it; what needs no other process works before that, too."""

    def __init__(
        self,
        broker: Broker,
        presence: Presence,
        *,
        kinds: Kinds | None = None,
        check_every: float = 30.0,
        check_durable_every: float = 5.0,
        durable_epoch: str = DURABLE_EPOCH,
        clock: Clock | None = None,
    ) -> None:
        """Every stream is checked for losses once in `check_every` seconds, every durable channel more often.

        `durable_epoch` names the database's data: after a restore from a backup it must be another.
        """
        self.broker = broker
        self.kinds = kinds or Kinds()
        self.node = new_id().hex
        self.durable_epoch = durable_epoch
        # Every channel that somebody here listens to or is about to; and those that the database numbers, once more.
        self.topics: dict[str, Topic] = {}
        self.durable_topics: dict[str, Topic] = {}
        self.guests = Guests(clock)
        self._spreader = Spreader(self.guests)
        self.mender = Mender(self)
        self.checker = Checker(self, every=check_every, durable_every=check_durable_every)
        self.roll = Roll(self, presence)
        self.rights = Rights(self)
        self.debts = Debts(broker, self.checker.check_begun)
        broker.attach(self)

    async def open(self) -> None:
        """Connect the broker and begin to check, to renew the lease and to tell of presence."""
        # Built before a fork, it is another node in each process.
        self.node = new_id().hex
        await self.broker.open()
        self.guests.endings.doubt()
        await self.roll.open()
        self.checker.open()

    async def close(self) -> None:
        """Let go of it all: what is owed is tried once more, and everybody here is taken out of presence."""
        await self.rights.close()
        await self.debts.close()
        await self.checker.close()
        await self.mender.close()
        await self.roll.close()
        await self.broker.close()

    # What the house asks: the promise

    async def publish(self, channels: Iterable[str], data: object) -> None:
        """Publish one message to each channel; it is encoded only when somebody may listen.

        While the broker is away, those who listen here hear it without an offset. When it is back, the streams of such
        channels begin anew, so that nobody believes to be complete who is not.
        """
        if not (names := self.broker.listening(channels)):
            return
        encoded = encode_data(data)
        metrics.publications.inc(len(names))
        try:
            await self.broker.publish(names, encoded)
        except AWAY as error:
            log.warning("realtime.published_here_only", error=str(error))
            missed, news = unreached(error, names), news_of(encoded)
            self.debts.owe_streams(missed)
            for name in missed:
                self.received(name, 0, "", news)

    async def publish_durable(self, channel: str, data: object, *, offset: int) -> None:
        """Publish what the database has numbered. While the broker is away, other processes find it by checking."""
        if not self.broker.listening([channel]):
            return
        encoded = encode_data(data)
        metrics.publications.inc()
        try:
            await self.broker.route([channel], encoded, offset=offset)
        except AWAY:
            self.received(channel, offset, "", encoded)

    async def publish_ephemeral(self, channels: Iterable[str], data: object) -> None:
        """Tell those who listen right now."""
        if names := self.broker.listening(channels):
            await self.say(names, news_of(encode_data(data)))

    async def say(self, channels: Sequence[str], news: Raw) -> None:
        """Have the listeners of these channels, in every process, hear a push that has no offset."""
        metrics.publications.inc(len(channels))
        try:
            await self.broker.route(channels, news)
        except AWAY as error:
            for channel in unreached(error, channels):
                self.received(channel, 0, "", news)

    def listening(self, channels: Iterable[str]) -> list[str]:
        """Those of the channels that it is worth to publish to."""
        return self.broker.listening(channels)

    async def disconnect(
        self, *, session_ids: Iterable[UUID] = (), user_ids: Iterable[UUID] = (), everywhere: bool = True
    ) -> None:
        """Close these connections with a final code, and those that are just being signed in."""
        signal = Signal(session_ids=list(session_ids), user_ids=list(user_ids))
        self.rights.obey(signal)
        if everywhere:
            await self._send(signal)

    def expire(self, user_ids: Iterable[UUID]) -> None:
        """Close the connections that these users have here, or are opening, as if their tokens had ended."""
        self.guests.outdate(user_ids := list(user_ids))
        for user_id in user_ids:
            for listener in tuple(self.topics.get(user_channel(user_id)) or ()):
                listener.end(CONNECTION_EXPIRED)

    async def unsubscribe(self, user_id: UUID, channel: str) -> None:
        """End a user's subscriptions to a channel in every process, and those that are just being opened."""
        signal = Signal(user_ids=[user_id], channel=channel)
        self.rights.obey(signal)
        await self._send(signal)

    async def review(self, user_ids: Iterable[UUID], channels: Iterable[str]) -> None:
        """Have every process ask again whether these users may listen to these channels."""
        signal = Signal(review=Review(list(user_ids), list(channels)))
        self.rights.obey(signal)
        await self._send(signal)

    async def present(self, channels: Sequence[str]) -> list[list[Present]]:
        """Who listens to each of these channels; nobody while that cannot be known."""
        return await self.roll.present(channels)

    async def last_active(self, user_ids: Sequence[UUID]) -> list[float | None]:
        """When each of these users was last seen to leave."""
        return await self.roll.last_active(user_ids)

    # What the broker calls

    def received(self, channel: str, offset: int, epoch: str, data: Raw) -> None:
        """Deliver a publication, if it is its turn; else hold or drop it."""
        topic = self.topics.get(channel)
        if topic is None:
            return
        if offset == 0:
            self._deliver_news(topic, data)
        elif epoch and topic.source is None and epoch != topic.epoch and not topic.is_opening:
            self.mender.doubt(topic)
        elif topic.is_opening or offset != topic.offset + 1:
            if topic.is_opening or offset > topic.offset:
                topic.hold(Publication(data=data, offset=offset))
            if not (topic.is_opening or topic.is_whole):
                self.mender.suspect(topic)
        else:
            self._deliver(topic, Publication(data=data, offset=offset))
            self.deliver_held(topic)

    def signalled(self, data: Raw) -> None:
        """Do what another process asked of all."""
        self.rights.obey(msgspec.json.decode(data, type=Signal))

    def gap(self) -> None:
        """The broker was away: begin anew what was published without it, and check everything at once."""
        self.guests.endings.doubt()
        self.debts.pay()
        self.checker.check_all()
        self.rights.ask_all()

    def channels(self) -> Iterable[str]:
        """Every channel that somebody here listens to."""
        return list(self.topics)

    def listens(self, channel: str) -> bool:
        """Whether somebody here listens to a channel."""
        return channel in self.topics

    # What sessions call

    async def join(
        self,
        listener: Listener,
        channel: str,
        since: StreamPosition | None = None,
        welcome: Callable[[], Awaitable[object]] | None = None,
    ) -> Joined:
        """Let a listener have everything from now on, and with `since` all that came after it, if that is known.

        Its last step is synchronous: who awaits it directly must tell the client before giving control back to the
        event loop. Raises `Unavailable` when it cannot be found out where a durable channel stands.
        """
        everyone = self.topics.get(EVERYONE)
        if channel == EVERYONE and everyone is not None and not everyone.is_opening and everyone.stands_at(since):
            return Joined(everyone.epoch, everyone.offset, since is not None, ())  # all come this way: quickly
        for _ in range(3):
            topic = await self._topic(channel)
            topic.joining += 1
            try:
                joined = await self._enter(topic, listener, since, welcome)
            finally:
                topic.joining -= 1
                self._close_if_idle(topic)
            if joined is not None:
                return joined
        raise Unavailable

    def leave(self, listener: Listener, channel: str) -> None:
        """Deliver nothing more of a channel to a listener."""
        topic = self.topics.get(channel)
        if topic is not None and topic.remove(listener):
            self.roll.left(topic, listener)
            self._close_if_idle(topic)

    # What the mender and the roll call

    def feed(self, topic: Topic, publications: Iterable[Publication], upto: int) -> None:
        """Deliver what was read of a topic's past, in order; whatever is known already is skipped."""
        for publication in publications:
            if publication.offset > topic.offset:
                self._deliver(topic, publication)
        topic.offset = max(topic.offset, upto)
        self.deliver_held(topic)

    def deliver_held(self, topic: Topic) -> None:
        """Deliver what was held and whose turn has come."""
        while (publication := topic.next_held()) is not None:
            self._deliver(topic, publication)

    def lose(self, topic: Topic) -> None:
        """What is missing cannot be had: everybody comes back, and recovers or is told that it cannot."""
        log.warning("realtime.lost_publications", channel=topic.name, listeners=len(topic))
        self._forget(topic)
        for listener in self.guests if topic.name == EVERYONE else topic:
            if topic.remove(listener):
                self.roll.left(topic, listener)  # there is no such topic any more that it could leave
            listener.lose(topic.name)

    def is_current(self, topic: Topic) -> bool:
        """Whether this is still the topic of its channel."""
        return self.topics.get(topic.name) is topic

    # What they share

    async def _topic(self, channel: str) -> Topic:
        while True:
            topic = self.topics.get(channel)
            if topic is None:
                return await self._open(channel)
            opening = topic.extra.opening if topic.extra is not None else None
            if opening is None:
                return topic
            await asyncio.shield(opening)

    async def _open(self, channel: str) -> Topic:
        topic = self.topics[channel] = Topic(channel, self.kinds.source_of(channel))
        if topic.source is not None:
            self.durable_topics[channel] = topic
        extra = topic.more()
        opening = extra.opening = asyncio.get_running_loop().create_future()
        try:
            await self._begin(topic)
        except BaseException:
            self._forget(topic)
            raise
        finally:
            extra.opening = None
            opening.set_result(None)
        self.deliver_held(topic)
        if not topic.is_whole:
            self.mender.suspect(topic)
        topic.rest()
        return topic

    async def _begin(self, topic: Topic) -> None:
        """Receive from now on, and learn where the channel stands. Without the broker: alone, until it is back."""
        try:
            if topic.source is None:
                position = await self.broker.enter(topic.name)
                topic.stand_at(position.offset, position.epoch)
            else:
                await self.broker.subscribe([topic.name])
        except AWAY as error:
            log.info("realtime.alone", channel=topic.name, error=str(error))
            if topic.source is None:
                topic.stand_at(0, new_epoch())
        if topic.source is not None:
            topic.stand_at(await self.mender.position_of(topic.source), self.durable_epoch)

    async def _enter(
        self,
        topic: Topic,
        listener: Listener,
        since: StreamPosition | None,
        welcome: Callable[[], Awaitable[object]] | None,
    ) -> Joined | None:
        part, data, heard = None, None, []
        if welcome is not None:
            topic.more().heard.append(heard)
        try:
            if welcome is not None:
                data = await welcome()
            if since is not None:
                part = await self.mender.missed(topic, since, listener.actor)
        finally:
            if welcome is not None:
                topic.more().heard = [other for other in topic.more().heard if other is not heard]
        if not self.is_current(topic):
            return None
        if topic.name != EVERYONE:
            topic.add(listener)
            self.roll.came(topic, listener)
        topic.rest()
        if part is None:
            return Joined(topic.epoch, topic.offset, False, (), data, heard)
        if part.offset < topic.offset:
            self.mender.pursue(topic, listener, part.offset)
        return Joined(topic.epoch, part.offset, True, part.publications or (), data, heard)

    def _deliver(self, topic: Topic, publication: Publication) -> None:
        topic.advance(publication)
        self._tell(topic, encode_push(topic.name, publication), topic.abreast)

    def _deliver_news(self, topic: Topic, news: Raw) -> None:
        frame = encode_news(topic.name, news)
        if topic.extra is not None:
            for heard in topic.extra.heard:
                heard.append(frame)
        self._tell(topic, frame, topic)

    def _tell(self, topic: Topic, frame: bytes, listeners: Iterable[Listener]) -> None:
        if topic.name == EVERYONE:
            self._spreader.tell(frame)
            return
        metrics.deliveries.inc(len(topic))
        for listener in listeners:
            listener.deliver(frame)

    def _close_if_idle(self, topic: Topic) -> None:
        if topic.listeners is None and not topic.joining and topic.name != EVERYONE:
            self._forget(topic)

    def _forget(self, topic: Topic) -> None:
        if self.is_current(topic):
            del self.topics[topic.name]
            self.durable_topics.pop(topic.name, None)
            self.broker.unsubscribe([topic.name])

    async def _send(self, signal: Signal) -> None:
        try:
            await self.broker.signal(encode_data(signal))
        except BaseException as error:
            self.debts.owe_signal(signal)
            if not isinstance(error, AWAY):
                raise
