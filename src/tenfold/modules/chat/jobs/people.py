"""What follows when somebody goes: out of one conversation, or for good."""

from datetime import timedelta

from tenfold.modules.chat.actions.leave import erase_person
from tenfold.modules.chat.events import MemberLeft
from tenfold.modules.chat.queries import members
from tenfold.modules.chat.telling import channel_of
from tenfold.modules.identity import UserErased
from tenfold.platform.db import Write
from tenfold.platform.jobs import after
from tenfold.platform.realtime import Realtime


@after(MemberLeft, priority="high")
async def end_listening(tx: Write, fact: MemberLeft, *, live: Realtime) -> None:
    """Close the conversation on every screen of who is gone, should the process that saw them go not have done so."""
    standing = await members.find_standing(tx, conversation_id=fact.conversation_id, user_id=fact.user_id)
    if standing is None or standing.state != "joined":
        await live.unsubscribe(fact.user_id, channel_of(fact.conversation_id))


@after(UserErased, timeout=timedelta(minutes=10))
async def erase(tx: Write, fact: UserErased, *, live: Realtime) -> None:
    """Empty what an erased person wrote, take their name off it, and take them out of every conversation."""
    await erase_person(tx, fact.user_id, live=live)
