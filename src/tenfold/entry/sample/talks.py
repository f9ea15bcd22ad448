"""A few conversations of a small sample world, built by the deeds that people do: pairs who write, groups who chat."""

import random
from uuid import UUID

from tenfold.entry.sample.bulk import ids_of_people
from tenfold.entry.sample.deeds import at
from tenfold.entry.sample.progress import Progress
from tenfold.entry.sample.words import REPLIES
from tenfold.entry.sample.world import DAY, World
from tenfold.kit.actors import Actor
from tenfold.modules.chat.actions.membership import join
from tenfold.modules.chat.actions.open import open_conversation, open_direct
from tenfold.modules.chat.actions.send import send_message
from tenfold.modules.chat.hints import Hints
from tenfold.modules.chat.shapes import ChatPolicy, ConversationDraft, MessageDraft
from tenfold.modules.chat.ties import Ties
from tenfold.platform.db import Write

_PAIRS = 30
_GROUPS = 6
_GROUP_SIZE = 8
_SPAN = 6 * DAY
_TITLES = ("Hiking on Sunday", "Book club", "The old office", "Neighbours", "Football", "Trip to the sea")


class Talks:
    """Lets some of the people of a world talk during its last week."""

    def __init__(self, world: World, *, policy: ChatPolicy, hints: Hints, ties: Ties) -> None:
        self._world = world
        self._people = ids_of_people(world)
        self._policy = policy
        self._hints = hints
        self._ties = ties
        self._chance = random.Random(world.seed + 3)  # noqa: S311 - a sample, not a secret

    async def write(self, tx: Write, progress: Progress) -> None:
        """Open the conversations and have them; the last messages of most wait to be read."""
        count = min(_PAIRS, self._world.users // 2)
        for pair in range(count):
            one, other = 2 * pair, 2 * pair + 1
            with at(tx, self._world.until - _SPAN - DAY) as then:
                conversation_id = await open_direct(
                    then, self._actor(one), self._people[other], policy=self._policy, ties=self._ties
                )
            # Whoever was written to answers, so nobody stays a stranger.
            await self._talk(tx, conversation_id, [one, other], self._chance.randint(4, 20))
            progress("conversations", 1, None)
        for number in range(min(_GROUPS, self._world.users // _GROUP_SIZE)):
            people = self._chance.sample(range(self._world.users), _GROUP_SIZE)
            await self._talk(tx, await self._open(tx, number, people), people, self._chance.randint(20, 60))
            progress("conversations", 1, None)

    async def _open(self, tx: Write, number: int, people: list[int]) -> UUID:
        """A group of these people; the first is its owner."""
        owner, *others = people
        draft = ConversationDraft(title=_TITLES[number], members=[self._people[other] for other in others])
        with at(tx, self._world.until - _SPAN - DAY) as then:
            conversation_id = await open_conversation(
                then, self._actor(owner), draft, policy=self._policy, ties=self._ties
            )
            for other in others:
                await join(then, self._actor(other), conversation_id, policy=self._policy)
        return conversation_id

    async def _talk(self, tx: Write, conversation_id: UUID, people: list[int], turns: int) -> None:
        """So many messages, in the order of time, by one after the other of them."""
        moments = sorted(self._world.until - int(self._chance.random() * _SPAN) for _ in range(turns))
        for turn, moment in enumerate(moments):
            person = people[turn % len(people)]
            words = REPLIES[self._world.language_of(person)]
            draft = MessageDraft(body=self._chance.choice(words))
            with at(tx, moment) as then:
                await send_message(
                    then, self._actor(person), conversation_id, draft, hints=self._hints, policy=self._policy
                )

    def _actor(self, person: int) -> Actor:
        return Actor(id=self._people[person], session_id=self._people[person], verified=True)
