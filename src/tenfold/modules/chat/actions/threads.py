"""Markers in threads: how far somebody has read the answers under one message."""

from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.modules.chat.actions.history import find_anywhere
from tenfold.modules.chat.queries import threads
from tenfold.platform.db import Read, Write


async def marker_of(tx: Read, actor: Actor, conversation_id: UUID, seq: int) -> int:
    """Up to where one has read a thread; 0 when one never did. Raises `MessageNotFound`."""
    await find_anywhere(tx, actor, conversation_id, seq)
    named = {"conversation_id": conversation_id, "user_id": actor.id, "seq": seq}
    return await threads.find_thread_read(tx, **named) or 0


async def mark_read(tx: Write, actor: Actor, conversation_id: UUID, seq: int, *, read_seq: int) -> int:
    """Move one's marker in a thread forward, to its last answer at most. Raises `MessageNotFound`."""
    root = await find_anywhere(tx, actor, conversation_id, seq)
    return await threads.read_thread(
        tx,
        conversation_id=conversation_id,
        user_id=actor.id,
        thread_root=seq,
        seq=min(read_seq, root.thread_last_seq or 0),
    )
