"""What follows a block between two people: while there is one, they neither write nor listen to each other.

Whether there is one is true until the transaction ends, so what is true counts, whichever fact came first.
"""

from uuid import UUID

from tenfold.modules.chat.actions.membership import withdraw
from tenfold.modules.chat.queries import conversations, members
from tenfold.modules.chat.rules import direct_id
from tenfold.modules.chat.telling import PlaceNews, channel_of, tell_person
from tenfold.modules.chat.ties import Ties
from tenfold.modules.identity import UserBlocked, UserUnblocked
from tenfold.platform.db import Database, Write
from tenfold.platform.jobs import after
from tenfold.platform.realtime import Realtime, presence_channel


@after(UserBlocked, priority="high")
async def close_direct(db: Database, fact: UserBlocked, ties: Ties, *, live: Realtime) -> None:
    """Let a direct conversation across a block take no messages, and show neither to the other.

    What waits there for whoever blocks is declined; what they had asked themselves waits on.
    """
    conversation_id = direct_id(fact.user_id, fact.other_id)

    async def close(tx: Write) -> bool:
        if not (await ties.hold(tx, fact.user_id, fact.other_id)).is_blocked:
            return False
        await members.hold_members(tx, conversation_id=conversation_id)
        await withdraw(tx, conversation_id, fact.user_id, inviter_id=fact.other_id)
        await conversations.set_blocked(tx, conversation_id=conversation_id, is_blocked=True)
        return True

    if not await db.transact(close):
        return
    # Should the process end before this, the job is done again.
    for user_id, other_id in ((fact.user_id, fact.other_id), (fact.other_id, fact.user_id)):
        for channel in (channel_of(conversation_id), presence_channel(other_id)):
            await live.unsubscribe(user_id, channel)


@after(UserBlocked)
async def withdraw_invitations(db: Database, fact: UserBlocked, ties: Ties) -> None:
    """Take back what somebody blocked has asked the other into, one in each transaction: each holds a conversation."""
    async with db.read() as tx:
        if not (await ties.between(tx, fact.user_id, fact.other_id)).is_blocked:
            return
        waiting = await conversations.list_my_invitations(tx, user_id=fact.user_id)
        ids = await members.list_invited_by(tx, ids=waiting, user_id=fact.user_id, inviter_id=fact.other_id)

    async def take_back(tx: Write, conversation_id: UUID) -> None:
        if (await ties.hold(tx, fact.user_id, fact.other_id)).is_blocked:
            await withdraw(tx, conversation_id, fact.user_id, inviter_id=fact.other_id)

    for conversation_id in ids:
        await db.transact(lambda tx, at=conversation_id: take_back(tx, at))


@after(UserUnblocked)
async def reopen_direct(tx: Write, fact: UserUnblocked, ties: Ties) -> None:
    """Let a direct conversation take messages again once nobody blocks the other; both may listen again."""
    if (await ties.hold(tx, fact.user_id, fact.other_id)).is_blocked:
        return
    conversation_id = direct_id(fact.user_id, fact.other_id)
    if await conversations.set_blocked(tx, conversation_id=conversation_id, is_blocked=False):
        for user_id in (fact.user_id, fact.other_id):
            tell_person(tx, user_id, PlaceNews(conversation_id, "conversation.settled"))
