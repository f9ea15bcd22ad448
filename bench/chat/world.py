"""The stored world as plain numbers: who talks with whom, how much and when; the same for the same seed.

Conversations stand in the order of their ids, which is the order of their rows. Sizes follow a power law: a few have
thousands of messages, most have a handful.
"""

import random
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from uuid import UUID

from tenfold.entry.sample.bulk import ids_of_people
from tenfold.entry.sample.world import DAY, World
from tenfold.modules.chat.rules import direct_id

GROUP_SHARE = 0.15
_GROUP = 4  # the kind of thing, in the ids of the sample world
_BODIES = 8_192
_STEEPNESS = 0.6
_LARGEST_GROUP = 60
_SPAN = 27 * DAY  # nothing is so old that it belongs into the archive
_MASK = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation: its people by their places in the list, the number of its messages, and when it ran.

    `start` and `step` are in microseconds since 1970: message `seq` was sent at `start + seq * step`.
    """

    number: int
    id: bytes
    people: tuple[int, ...]
    messages: int
    start: int
    step: int

    @property
    def is_direct(self) -> bool:
        """Whether it is between two people for good."""
        return len(self.people) == 2

    def sender(self, seq: int) -> int:
        """The place among `people` of who wrote a message: turns are taken in no order."""
        luck = (seq * 0x9E3779B1 ^ self.number * 0x85EBCA6B) & _MASK
        return ((luck ^ luck >> 15) * 0x2C1B3C6D >> 7 & _MASK) % len(self.people)

    def sent_seqs(self) -> list[int]:
        """The latest message of each of its people, 0 for those who never wrote."""
        latest, missing = [0] * len(self.people), len(self.people)
        for seq in range(self.messages, 0, -1):
            place = self.sender(seq)
            if not latest[place]:
                latest[place] = seq
                missing -= 1
                if not missing:
                    break
        return latest

    def read_seqs(self, sent: list[int]) -> list[int]:
        """Up to where each has read: all of it, or a few messages less; never less than what they wrote."""
        luck = self.number * 0x45D9F3B & _MASK
        return [max(sent[place], self.messages - (luck >> place % 24 & 3)) for place in range(len(self.people))]

    def at(self, seq: int) -> int:
        """When a message was sent, in microseconds since 1970."""
        return self.start + seq * self.step


class ChatWorld:
    """So many people, conversations and messages, ending at `until` (Unix milliseconds)."""

    def __init__(self, *, users: int, conversations: int, messages: int, seed: int, until: int) -> None:
        if messages < conversations:
            raise ValueError("each conversation needs a message at least")
        rng = random.Random(seed)
        self.sample = World(users=users, posts=_BODIES, seed=seed, until=until)
        self.ids = ids_of_people(self.sample)
        self.bodies = [self.sample.text(index) for index in range(_BODIES)]
        self._until = until
        self._rng = rng
        drawn = [*self._directs(conversations), *self._groups(conversations)]
        self.conversations = self._sized(sorted(drawn), messages)

    def memberships(self) -> Iterator[tuple[int, Conversation]]:
        """Each person's place with each of their conversations, in the order of both ids."""
        by_id = sorted(range(len(self.ids)), key=self.ids.__getitem__)
        rank = array("I", bytes(4 * len(by_id)))
        for place, person in enumerate(by_id):
            rank[person] = place
        width = len(self.conversations)
        keys = [rank[person] * width + number for number, c in enumerate(self.conversations) for person in c.people]
        keys.sort()
        for key in keys:
            place, number = divmod(key, width)
            yield by_id[place], self.conversations[number]

    def _directs(self, conversations: int) -> Iterator[tuple[bytes, tuple[int, ...]]]:
        rng, users, known = self._rng, len(self.ids), set[int]()
        wanted = conversations - int(conversations * GROUP_SHARE)
        if wanted > users * (users - 1) // 4:
            raise ValueError("too few people for so many direct conversations")
        while len(known) < wanted:
            one, other = sorted(rng.sample(range(users), 2))
            if one * users + other not in known:
                known.add(one * users + other)
                yield direct_id(self.ids[one], self.ids[other]).bytes, (one, other)

    def _groups(self, conversations: int) -> Iterator[tuple[bytes, tuple[int, ...]]]:
        rng, users = self._rng, len(self.ids)
        largest = min(_LARGEST_GROUP, users)
        for number in range(int(conversations * GROUP_SHARE)):
            size = min(largest, int(3 * rng.paretovariate(1.6)))
            born = self._until - int(_SPAN * rng.random()) - DAY
            yield self.sample.id_of(_GROUP, born, number).bytes, tuple(rng.sample(range(users), size))

    def _sized(self, drawn: list[tuple[bytes, tuple[int, ...]]], messages: int) -> list[Conversation]:
        """Share the messages out: each conversation has one, the rest goes by a shuffled rank."""
        rng, count = self._rng, len(drawn)
        ranks = list(range(1, count + 1))
        rng.shuffle(ranks)
        sums = list(accumulate(rank**-_STEEPNESS for rank in ranks))
        spare, before, made = messages - count, 0, list[Conversation]()
        for number, (id_, people) in enumerate(drawn):
            after = round(spare * sums[number] / sums[-1])
            size, before = 1 + after - before, after
            begun = UUID(bytes=id_).int >> 80 if len(people) > 2 else self._until - int(_SPAN * rng.random()) - DAY
            step = (self._until - begun) * 1_000 // (size + 1)
            made.append(Conversation(number, id_, people, size, begun * 1_000, step))
        return made
