"""What chat must know of people and cannot know itself: the assembly connects it with who follows and blocks."""

from collections.abc import Collection
from typing import NamedTuple, Protocol
from uuid import UUID

from tenfold.platform.db import Read, Write


class Tie(NamedTuple):
    """What one person is to another: whoever is followed is no stranger, and nobody writes across a block."""

    follows: bool
    is_blocked: bool


class Ties(Protocol):
    """Answers about one person and others, inside a transaction of the asker's."""

    async def between(self, tx: Read, user_id: UUID, other_id: UUID) -> Tie:
        """Whether `user_id` follows `other_id`, and whether either blocks the other."""
        ...

    async def hold(self, tx: Write, user_id: UUID, other_id: UUID) -> Tie:
        """The same, and it stays so until the transaction ends: ask before anything else is held."""
        ...

    async def blocked_among(self, tx: Read, user_id: UUID, other_ids: Collection[UUID]) -> set[UUID]:
        """Those of these people with whom there is a block, in whichever direction."""
        ...
