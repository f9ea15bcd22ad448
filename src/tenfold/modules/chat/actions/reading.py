"""What every list of messages has in common: the reader's own reactions beside those of everybody."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.modules.chat.queries import reactions
from tenfold.modules.chat.shapes import Message
from tenfold.platform.db import Read


async def with_mine(tx: Read, actor: Actor, messages: Sequence[Message]) -> list[Message]:
    """The messages of one conversation, each with the kinds of reactions that the reader gave it.

    Asks nothing when nobody reacted to any of them.
    """
    seqs = [message.seq for message in messages if message.reactions]
    if not seqs:
        return list(messages)
    mine: dict[int, list[str]] = {}
    conversation_id: UUID = messages[0].conversation_id
    for reaction in await reactions.list_my_reactions(tx, conversation_id=conversation_id, seqs=seqs, user_id=actor.id):
        mine.setdefault(reaction.seq, []).append(reaction.emoji)
    return [msgspec.structs.replace(message, mine=mine.get(message.seq)) for message in messages]
