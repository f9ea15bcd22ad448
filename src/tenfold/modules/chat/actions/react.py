"""React to a message and take it back, pin it and unpin it. Done twice is done once, and told once."""

from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.modules.chat import rules
from tenfold.modules.chat.actions.reach import change_message, hold, reach_message
from tenfold.modules.chat.emoji import tidy_emoji
from tenfold.modules.chat.errors import TooManyKindsOfReactions, TooManyPins
from tenfold.modules.chat.queries import pins, reactions
from tenfold.modules.chat.shapes import ChatPolicy, ConversationRow, MemberRole
from tenfold.platform.db import Write


async def react(tx: Write, actor: Actor, conversation_id: UUID, seq: int, *, emoji: str, policy: ChatPolicy) -> None:
    """Put one's reaction to a message. Raises `TooManyKindsOfReactions` where a new kind has no place any more."""
    kind = tidy_emoji(emoji)
    conversation, _ = await hold(tx, actor, conversation_id)
    message = await reach_message(tx, conversation, seq, user_id=actor.id)
    counts = message.reactions or {}
    if kind not in counts and len(counts) >= policy.reaction_kinds:
        raise TooManyKindsOfReactions(limit=policy.reaction_kinds)
    named = {"conversation_id": conversation_id, "seq": seq, "user_id": actor.id, "emoji": kind}
    if await reactions.insert_reaction(tx, **named, reaction_id=new_id()):
        await change_message(tx, conversation, message, reactions={**counts, kind: counts.get(kind, 0) + 1})


async def unreact(tx: Write, actor: Actor, conversation_id: UUID, seq: int, *, emoji: str) -> None:
    """Take one's reaction back; nothing happens when there is none."""
    kind = tidy_emoji(emoji)
    conversation, _ = await hold(tx, actor, conversation_id)
    message = await reach_message(tx, conversation, seq, user_id=actor.id)
    if await reactions.delete_reaction(tx, conversation_id=conversation_id, seq=seq, user_id=actor.id, emoji=kind):
        counts = {**(message.reactions or {})}
        counts[kind] = counts.get(kind, 1) - 1
        left = {emoji: count for emoji, count in counts.items() if count > 0}
        await change_message(tx, conversation, message, reactions=left or None)


async def pin(tx: Write, actor: Actor, conversation_id: UUID, seq: int, *, policy: ChatPolicy) -> None:
    """Pin a message for everybody in the conversation. Raises `TooManyPins`."""
    conversation, role = await hold(tx, actor, conversation_id)
    _must_be_able_to_pin(conversation, role)
    message = await reach_message(tx, conversation, seq, user_id=actor.id)
    if message.pinned_at is not None:
        return
    limit = policy.pins
    if len(await pins.list_pinned_seqs(tx, conversation_id=conversation_id, limit=limit)) >= limit:
        raise TooManyPins(limit=limit)
    await change_message(tx, conversation, message, pinned_at=tx.now, pinned_by=actor.id)


async def unpin(tx: Write, actor: Actor, conversation_id: UUID, seq: int) -> None:
    """Unpin a message, whoever pinned it; nothing happens when it is not pinned."""
    conversation, role = await hold(tx, actor, conversation_id)
    _must_be_able_to_pin(conversation, role)
    message = await reach_message(tx, conversation, seq, user_id=actor.id)
    if message.pinned_at is not None:
        await change_message(tx, conversation, message, pinned_at=None, pinned_by=None)


def _must_be_able_to_pin(conversation: ConversationRow, role: MemberRole) -> None:
    """Two people pin for each other; elsewhere whoever may write pins, in a channel its admins."""
    if conversation.kind == "channel" or conversation.posting == "admins":
        rules.must_be_admin(role)
