"""Rights: ends connections and subscriptions whose right is lost, at once or after asking its module again.

Every process is told, and does it for those who are connected to it.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from tenfold.kit.refusals import Unavailable
from tenfold.platform.realtime import EVERYONE, USER_CHANNELS, codes, user_channel
from tenfold.platform.realtime.errand import Errand
from tenfold.platform.realtime.guests import Signal
from tenfold.platform.realtime.topics import Listener, Topic

if TYPE_CHECKING:
    from tenfold.platform.realtime.hub import Hub

log = structlog.get_logger(__name__)

AT_ONCE = 8
"""Questions under way: one after the other, those of a large process take long; all at once, they are in the way."""


class Rights:
    """One per hub. Who cannot be answered about is asked about again until they are, or are gone."""

    def __init__(self, hub: "Hub") -> None:
        self._hub = hub
        self._reviews: set[asyncio.Task[None]] = set()
        self._doubted: dict[tuple[Topic, Listener], None] = {}
        self._asking = Errand(self._ask)

    async def close(self) -> None:
        """Stop asking."""
        reviews = tuple(self._reviews)
        for task in reviews:
            task.cancel()
        await asyncio.gather(*reviews, return_exceptions=True)
        await self._asking.close()

    def obey(self, signal: Signal) -> None:
        """Do what a process asked of all."""
        if signal.is_gap:
            self._hub.gap()
        elif signal.begun:
            self._hub.checker.check_begun(signal.begun)
        elif signal.review is not None:
            self._begin(set(signal.review.user_ids), set(signal.review.channels))
        elif signal.channel:
            self._revoke(set(signal.user_ids), signal.channel)
        else:
            self._disconnect(signal.session_ids, signal.user_ids)

    def ask_all(self) -> None:
        """A word that somebody lost a right may have been lost as well: ask for every subscription."""
        for topic in list(self._hub.topics.values()):
            if topic.name != EVERYONE and not topic.name.startswith(USER_CHANNELS):
                self._doubt(topic, None)

    def _disconnect(self, session_ids: Sequence[UUID], user_ids: Sequence[UUID]) -> None:
        found = self._hub.guests.cut(session_ids, user_ids)
        for user_id in user_ids:
            found += self._hub.topics.get(user_channel(user_id)) or ()
        for listener in found:
            listener.end(codes.FORCE_DISCONNECT)

    def _revoke(self, user_ids: Collection[UUID], channel: str) -> None:
        self._hub.guests.close_doors(user_ids, channel)
        for listener in self._hub.topics.get(channel) or ():
            if listener.actor is not None and listener.actor.id in user_ids:
                listener.expel(channel)

    def _begin(self, user_ids: Collection[UUID], channels: Collection[str]) -> None:
        for channel in channels:
            # A token from before is not taken at its word any more.
            self._hub.guests.endings.note(user_ids, channel)
        task = asyncio.get_running_loop().create_task(self._review(user_ids, channels))
        self._reviews.add(task)
        task.add_done_callback(self._reviews.discard)

    async def _review(self, user_ids: Collection[UUID], channels: Collection[str]) -> None:
        try:
            # Who is just subscribing was let in before, perhaps; they can be asked for once they listen.
            await self._hub.guests.outlast(user_ids, channels)
            for channel in channels:
                topic = self._hub.topics.get(channel)
                if topic is not None:
                    self._doubt(topic, user_ids)
        except Exception:
            log.exception("realtime.review_failed")

    def _doubt(self, topic: Topic, user_ids: Collection[UUID] | None) -> None:
        for listener in topic:
            if listener.actor is not None and (user_ids is None or listener.actor.id in user_ids):
                self._doubted[topic, listener] = None
        if self._doubted:
            self._asking.do()

    async def _ask(self) -> None:
        unanswered = list[tuple[Topic, Listener]]()
        await asyncio.gather(*(self._ask_in_turn(unanswered) for _ in range(AT_ONCE)))
        self._doubted |= dict.fromkeys(unanswered)
        if self._doubted:
            raise Unavailable(f"{len(self._doubted)} rights are not known.")

    async def _ask_in_turn(self, unanswered: list[tuple[Topic, Listener]]) -> None:
        while self._doubted:
            # The latest first: somebody whose right has just changed does not wait for all of those after a gap.
            topic, listener = self._doubted.popitem()[0]
            if listener.actor is None or listener not in topic:
                continue
            refusal = await self._hub.kinds.refuses_to_listen(listener.actor, topic.name)
            if refusal in (codes.PERMISSION_DENIED, codes.UNKNOWN_CHANNEL):
                if listener in topic:
                    listener.expel(topic.name)
            elif refusal is not None:
                unanswered.append((topic, listener))
