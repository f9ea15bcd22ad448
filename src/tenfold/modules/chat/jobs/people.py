"""What follows when somebody goes: out of one conversation, or for good; and when a group has become a crowd."""

from datetime import timedelta

from tenfold.modules.chat.actions.leave import erase_person
from tenfold.modules.chat.events import GroupOutgrown, MemberLeft
from tenfold.modules.chat.queries import conversations, members
from tenfold.modules.chat.shapes import ChatPolicy
from tenfold.modules.chat.telling import channel_of
from tenfold.modules.identity import UserErased
from tenfold.platform.db import Write
from tenfold.platform.jobs import after
from tenfold.platform.realtime import Realtime, presence_channel


@after(MemberLeft, priority="high")
async def end_listening(tx: Write, fact: MemberLeft, *, live: Realtime) -> None:
    """Close the conversation on every screen of who is gone, should the process that saw them go not have done so."""
    standing = await members.find_standing(tx, conversation_id=fact.conversation_id, user_id=fact.user_id)
    if standing is None or standing.state != "joined":
        await live.unsubscribe(fact.user_id, channel_of(fact.conversation_id))


@after(MemberLeft, priority="high")
async def part_from_group(tx: Write, fact: MemberLeft, policy: ChatPolicy, *, live: Realtime) -> None:
    """Have who is gone and who stays hear of each other's presence only if they know each other otherwise."""
    here = await conversations.find_conversation(tx, conversation_id=fact.conversation_id)
    # It may have been a little larger for a moment, and what follows that not have looked yet.
    most = 2 * policy.acquainted_in
    if here is None or here.kind != "group" or (here.member_count or 0) > most:
        return
    peers = await members.list_member_ids(tx, conversation_id=here.id, limit=most)
    await live.review([fact.user_id], [presence_channel(user_id) for user_id in peers])
    await live.review(peers, [presence_channel(fact.user_id)])


@after(GroupOutgrown, priority="high")
async def part_outgrown(tx: Write, fact: GroupOutgrown, policy: ChatPolicy, *, live: Realtime) -> None:
    """Have the members of a group that is too large hear of each other's presence only if they know each other."""
    # Others may have come since; they were known to nobody by this group.
    ids = await members.list_member_ids(tx, conversation_id=fact.conversation_id, limit=2 * policy.acquainted_in)
    await live.review(ids, [presence_channel(user_id) for user_id in ids])


@after(UserErased, timeout=timedelta(minutes=10))
async def erase(tx: Write, fact: UserErased, *, live: Realtime) -> None:
    """Empty what an erased person wrote, take their name off it, and take them out of every conversation."""
    await erase_person(tx, fact.user_id, live=live)
