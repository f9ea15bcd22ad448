"""What follows a block between two people: their direct conversation takes no messages while there is one."""

from uuid import UUID

from tenfold.modules.chat.queries import conversations
from tenfold.modules.chat.rules import direct_id
from tenfold.modules.chat.ties import Ties
from tenfold.modules.identity import UserBlocked, UserUnblocked
from tenfold.platform.db import Write
from tenfold.platform.jobs import after


@after(UserBlocked, priority="high")
async def close_direct(tx: Write, fact: UserBlocked, ties: Ties) -> None:
    """Let a direct conversation across a block take no messages."""
    await _follow(tx, ties, fact.user_id, fact.other_id)


@after(UserUnblocked)
async def reopen_direct(tx: Write, fact: UserUnblocked, ties: Ties) -> None:
    """Let a direct conversation take messages again once nobody blocks the other."""
    await _follow(tx, ties, fact.user_id, fact.other_id)


async def _follow(tx: Write, ties: Ties, user_id: UUID, other_id: UUID) -> None:
    """What is true now counts, whichever fact came first: a late one undoes nothing."""
    tie = await ties.between(tx, user_id, other_id)
    await conversations.set_blocked(tx, conversation_id=direct_id(user_id, other_id), is_blocked=tie.is_blocked)
