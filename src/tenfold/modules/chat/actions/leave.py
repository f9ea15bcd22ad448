"""What happens to the traces of somebody who is erased, and the copy of them that anybody may take along."""

from uuid import UUID

import msgspec

from tenfold.modules.chat import rules
from tenfold.modules.chat.actions.membership import make_owner, settle, withdraw
from tenfold.modules.chat.queries import conversations, leave, members
from tenfold.modules.chat.shapes import Change, ConversationRow, MemberRow
from tenfold.modules.chat.telling import channel_of, end_listening, tell_change
from tenfold.platform.db import Read, Write
from tenfold.platform.realtime import Realtime

# Of more changes than so many only the last is told: clients find by its number that they are behind, and replay them.
_TOLD_AT_ONCE = 200


async def erase_person(tx: Write, user_id: UUID, *, live: Realtime) -> None:
    """Make everything they wrote tombstones of nobody, take back their reactions, and end their memberships."""
    await leave.erase_activity(tx, user_id=user_id)
    for conversation_id in await leave.list_places(tx, user_id=user_id):
        seen = await conversations.find_conversation(tx, conversation_id=conversation_id)
        if seen is not None and seen.kind == "direct":
            await members.hold_members(tx, conversation_id=conversation_id)
        person = await members.hold_member(tx, conversation_id=conversation_id, user_id=user_id)
        here = await conversations.hold_conversation(tx, conversation_id=conversation_id)
        if person is not None and here is not None:
            await _erase_in(tx, await _empty(tx, here, user_id), person, live=live)


async def export_chat(tx: Read, user_id: UUID) -> object:
    """Everything that a person has said and done in conversations, as plain values."""
    return {
        "conversations": await leave.export_conversations(tx, user_id=user_id),
        "messages": await leave.export_messages(tx, user_id=user_id),
        "reactions": await leave.export_reactions(tx, user_id=user_id),
    }


async def _empty(tx: Write, here: ConversationRow, user_id: UUID) -> ConversationRow:
    """Empty what the person wrote in a held conversation, and take back what they reacted."""
    at = {"conversation_id": here.id, "user_id": user_id}
    await leave.bring_all_back(tx, **at)
    touched = await leave.erase_messages(tx, **at, last_change=here.last_change, now=tx.now)
    emptied = [message.seq for message in touched if message.sender_id is None]
    await leave.erase_traces(tx, **at, seqs=emptied)
    touched.sort(key=lambda message: message.change_no)
    for message in touched if len(touched) <= _TOLD_AT_ONCE else touched[-1:]:
        tell_change(tx, here.id, Change(change_no=message.change_no, messages=[message]))
    return msgspec.structs.replace(here, last_change=here.last_change + len(touched))


async def _erase_in(tx: Write, here: ConversationRow, person: MemberRow, *, live: Realtime) -> None:
    """End the person's membership, and take back what they had asked of the other of a direct conversation.

    Who is left alone without an owner gets one: the eldest admin, or else member.
    """
    if person.state in ("left", "removed"):
        return
    gone = msgspec.structs.replace(person, state="left", role="member", since=tx.now)
    here = await settle(tx, here, person, gone, is_noted=False)
    end_listening(tx, person.user_id, channel_of(here.id), live)
    peer_id = rules.peer_of(here, person.user_id)
    if peer_id is not None:
        await withdraw(tx, here.id, peer_id, inviter_id=person.user_id)
    elif (heir := await members.find_heir(tx, conversation_id=here.id)) is not None:
        await make_owner(tx, here, heir)
