"""Who is in a conversation: come, go, invite, remove, give a role. Done twice is done once.

Each deed holds the member's row, then the conversation, as sending does; only those who come to a channel or go hold
nothing but themselves, since there may be many of them at a time. Whoever invites holds the pair of people before.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.modules.chat import rules
from tenfold.modules.chat.actions.held import give_notice, save
from tenfold.modules.chat.errors import (
    ConversationIsFull,
    ConversationNotFound,
    LastOwner,
    MemberNotFound,
    TooManyConversations,
    TooManyInvitations,
)
from tenfold.modules.chat.events import GroupOutgrown, MemberInvited, MemberJoined, MemberLeft
from tenfold.modules.chat.queries import conversations, members
from tenfold.modules.chat.shapes import Change, ChatPolicy, ConversationRow, MemberRole, MemberRow, MemberState
from tenfold.modules.chat.telling import (
    PlaceNews,
    PlaceTurn,
    channel_of,
    end_listening,
    tell_change,
    tell_person,
)
from tenfold.modules.chat.ties import Ties
from tenfold.modules.identity import UserNotFound, find_card
from tenfold.platform.db import Write
from tenfold.platform.realtime import Realtime

_NEWS: dict[MemberState, PlaceTurn] = {
    "joined": "conversation.joined",
    "invited": "conversation.invited",
    "left": "conversation.left",
    "removed": "conversation.left",
}
_MARKERS = ("shown_seq", "delivered_seq")


async def join(tx: Write, actor: Actor, conversation_id: UUID, *, policy: ChatPolicy) -> None:
    """Come in where everybody may, or where one is invited; who comes to where nobody is becomes its owner.

    A request waits while there is a block. Raises `ConversationNotFound`, `ConversationIsFull`, `TooManyConversations`.
    """
    here, me, role = await _come(tx, conversation_id, actor.id)
    if me is not None and me.state == "joined":
        return
    is_invited = me is not None and me.state == "invited"
    if here.is_blocked or not (is_invited or (here.access == "open" and (me is None or me.state != "removed"))):
        raise ConversationNotFound
    await must_have_room(tx, actor.id, policy)
    if here.kind == "group":
        await _must_have_a_seat(tx, here, policy, is_invited=is_invited)
    await settle(tx, here, me, _as(me, tx, actor.id, state="joined", role=role))
    if here.kind == "group" and here.member_count == policy.acquainted_in:
        tx.publish(GroupOutgrown(conversation_id=here.id))


async def accept(tx: Write, actor: Actor, conversation_id: UUID, *, policy: ChatPolicy) -> None:
    """Let a stranger's direct conversation in, which answering does as well; or come back to one that was declined.

    Raises `TooManyConversations`.
    """
    here, me = await _look(tx, conversation_id, actor.id)
    if me is not None and me.state in ("invited", "left") and here.kind == "direct":
        await must_have_room(tx, actor.id, policy)
        await settle(tx, here, me, _as(me, tx, actor.id, state="joined"))


async def leave(tx: Write, actor: Actor, conversation_id: UUID, *, live: Realtime) -> None:
    """Go, or decline. Raises `LastOwner` for who leaves others behind without an owner, `ThisIsDirect`."""
    here, me = await _look(tx, conversation_id, actor.id)
    if me is None or me.state not in ("joined", "invited"):
        raise ConversationNotFound
    if me.state == "joined":
        rules.must_not_be_direct(here)
        alone = here.kind == "group" and here.member_count == 1
        if me.role == "owner" and not alone:
            await _must_leave_an_owner(tx, conversation_id, actor.id)
    await settle(tx, here, me, _as(me, tx, actor.id, state="left"))
    end_listening(tx, actor.id, channel_of(conversation_id), live)


async def withdraw(tx: Write, conversation_id: UUID, user_id: UUID, *, inviter_id: UUID) -> None:
    """Take back what somebody was asked by somebody else, and has not answered; nothing happens when there is none."""
    person = await members.hold_member(tx, conversation_id=conversation_id, user_id=user_id)
    if person is not None and person.state == "invited" and person.inviter_id == inviter_id:
        here = await _hold(tx, conversation_id)
        await settle(tx, here, person, _as(person, tx, user_id, state="left"))


async def invite(
    tx: Write, actor: Actor, conversation_id: UUID, user_id: UUID, *, policy: ChatPolicy, ties: Ties
) -> None:
    """Ask somebody in; who is in or asked already stays as they are. Admins ask, and anybody where all may come.

    Raises `UserNotFound`, also across a block, `ConversationIsFull`, `TooManyInvitations`.
    """
    tie = await ties.hold(tx, actor.id, user_id)
    here, person = await _look(tx, conversation_id, user_id)
    role = rules.must_be_in(await members.find_standing(tx, conversation_id=conversation_id, user_id=actor.id))
    rules.must_not_be_direct(here)
    if here.access != "open" or (person is not None and person.state == "removed"):
        rules.must_be_admin(role)
    if tie.is_blocked or await find_card(tx, user_id) is None:
        raise UserNotFound
    if person is not None and person.state in ("joined", "invited"):
        return
    waiting = await members.count_invited(tx, conversation_id=conversation_id, limit=policy.invitations_cap)
    rules.must_have_seats(here.kind, here.member_count or 0, waiting + 1, policy)
    await must_take_invitations(tx, [user_id], policy)
    await settle(tx, here, person, _as(None, tx, user_id, state="invited", inviter_id=actor.id))


async def remove(tx: Write, actor: Actor, conversation_id: UUID, user_id: UUID, *, live: Realtime) -> None:
    """Send a member away, or take an invitation back; they return only when invited. Admins, and only lower ranks.

    Owners may send each other away, and themselves. Raises `LastOwner` when nobody would be one.
    """
    here, person = await _look(tx, conversation_id, user_id)
    role = rules.must_be_in(await members.find_standing(tx, conversation_id=conversation_id, user_id=actor.id))
    rules.must_not_be_direct(here)
    if person is None or person.state not in ("joined", "invited"):
        raise MemberNotFound
    rules.must_outrank(role, person.role)
    if person.role == "owner":
        await _must_leave_an_owner(tx, conversation_id, user_id)
    await settle(tx, here, person, _as(person, tx, user_id, state="removed", role="member"), actor_id=actor.id)
    end_listening(tx, user_id, channel_of(conversation_id), live)


async def set_role(tx: Write, actor: Actor, conversation_id: UUID, user_id: UUID, *, role: MemberRole) -> None:
    """Give a member another role. Owners make and unmake owners and admins; somebody always is an owner."""
    here, person = await _look(tx, conversation_id, user_id)
    mine = rules.must_be_in(await members.find_standing(tx, conversation_id=conversation_id, user_id=actor.id))
    rules.must_not_be_direct(here)
    if person is None or person.state != "joined":
        raise MemberNotFound
    rules.must_be_owner(mine)
    if person.role == role:
        return
    here = await _hold(tx, conversation_id)
    if person.role == "owner":
        await _must_leave_an_owner(tx, conversation_id, user_id)
    await settle(tx, here, person, msgspec.structs.replace(person, role=role))


async def must_have_room(tx: Write, user_id: UUID, policy: ChatPolicy) -> None:
    """Raise `TooManyConversations` for who is in as many as one may be."""
    if not await has_room(tx, user_id, policy):
        raise TooManyConversations(limit=policy.conversations_cap)


async def has_room(tx: Write, user_id: UUID, policy: ChatPolicy) -> bool:
    """Whether somebody may be in one conversation more."""
    cap = policy.conversations_cap
    return await conversations.count_my_places(tx, user_id=user_id, limit=cap) < cap


async def must_take_invitations(tx: Write, user_ids: Sequence[UUID], policy: ChatPolicy) -> None:
    """Raise `TooManyInvitations` when for one of these people as many wait as may."""
    cap = policy.invitations_cap
    if await conversations.list_sought_after(tx, user_ids=user_ids, limit=cap):
        raise TooManyInvitations(limit=cap)


async def _come(
    tx: Write, conversation_id: UUID, user_id: UUID
) -> tuple[ConversationRow, MemberRow | None, MemberRole]:
    """What `_look` finds for somebody who comes, and what they would be.

    Who is left without an owner gets one: whoever is in already comes first. A channel is held for that.
    """
    at = {"conversation_id": conversation_id, "user_id": user_id}
    here, me = await _look(tx, conversation_id, user_id)
    if here.kind == "direct" or await members.has_another_owner(tx, **at):
        return here, me, "member"
    if here.kind == "channel":
        here, me = await _look(tx, conversation_id, user_id, must_hold=True)
        if await members.has_another_owner(tx, **at):
            return here, me, "member"
    heir = await members.find_heir(tx, conversation_id=conversation_id)
    if heir is None:
        return here, me, "owner"
    return await make_owner(tx, here, heir), me, "member"


async def make_owner(tx: Write, here: ConversationRow, heir: MemberRow) -> ConversationRow:
    """Give a held conversation whose owner is gone to one of its members."""
    return await settle(tx, here, heir, msgspec.structs.replace(heir, role="owner"))


async def _must_have_a_seat(tx: Write, here: ConversationRow, policy: ChatPolicy, *, is_invited: bool) -> None:
    """There is one for everybody who was asked in, as long as they have not answered."""
    cap = policy.group_cap
    taken = here.member_count or 0
    if not is_invited:
        taken += await members.count_invited(tx, conversation_id=here.id, limit=cap)
    if taken >= cap:
        raise ConversationIsFull(limit=cap)


async def _look(
    tx: Write, conversation_id: UUID, user_id: UUID, *, must_hold: bool = False
) -> tuple[ConversationRow, MemberRow | None]:
    """A member's row, and their conversation, both held; a channel is not, for a mere member, unless it must.

    Somebody without a row has none that could be held: they are looked at again when the conversation is.
    """
    at = {"conversation_id": conversation_id, "user_id": user_id}
    person = await members.hold_member(tx, **at)
    here = await conversations.find_conversation(tx, conversation_id=conversation_id)
    if here is None:
        raise ConversationNotFound
    if rules.is_unnoticed(here, person) and not must_hold:
        return here, person
    here = await _hold(tx, conversation_id)
    return here, person or await members.find_member(tx, **at)


async def _hold(tx: Write, conversation_id: UUID) -> ConversationRow:
    here = await conversations.hold_conversation(tx, conversation_id=conversation_id)
    if here is None:
        raise ConversationNotFound
    return here


async def _must_leave_an_owner(tx: Write, conversation_id: UUID, user_id: UUID) -> None:
    if not await members.has_another_owner(tx, conversation_id=conversation_id, user_id=user_id):
        raise LastOwner


def _as(
    before: MemberRow | None,
    tx: Write,
    user_id: UUID,
    *,
    state: MemberState,
    **changes: Any,
) -> MemberRow:
    """Somebody in a new state, from now on; who comes back is a mere member again."""
    if before is None or before.state in ("left", "removed"):
        before = MemberRow(user_id, state, "member", None, tx.now, 0, 0, 0)
    return msgspec.structs.replace(before, state=state, since=tx.now, **changes)


async def settle(
    tx: Write,
    here: ConversationRow,
    before: MemberRow | None,
    after: MemberRow,
    *,
    actor_id: UUID | None = None,
    is_noted: bool = True,
) -> ConversationRow:
    """Write a member's new state at both homes, and tell those whom it concerns.

    In a group it is a change of the conversation, with a notice among the messages when somebody came or went. In a
    channel a mere member comes and goes unnoticed, and a stranger's request is declined so. Who came to a channel
    meanwhile stays as they are.
    """
    was_in, is_in = before is not None and before.state == "joined", after.state == "joined"
    is_quiet = rules.is_unnoticed(here, before) and after.role == "member"
    is_quiet = is_quiet or (here.kind == "direct" and after.state == "left" and not was_in)
    change_no = here.last_change + 1
    if not is_quiet:
        after = msgspec.structs.replace(after, change_no=change_no)
    came = is_in and not was_in and here.kind != "direct"
    columns = {**rules.columns_of(after), "seq": here.last_seq if came or after.state == "invited" else 0}
    columns = {name: columns[name] for name in columns if name not in _MARKERS}
    if not await members.save_member(tx, conversation_id=here.id, **columns):
        return here
    await _settle_at_home(tx, here, after)
    if not is_quiet:
        count = None if here.member_count is None else here.member_count + is_in - was_in
        here = msgspec.structs.replace(here, last_change=change_no, change_no=change_no, member_count=count)
        await save(tx, here)
        tell_change(tx, here.id, Change(change_no=change_no, members=[after], conversation=here))
        if is_noted and here.kind == "group" and was_in is not is_in:
            kind = f"member.{after.state}"
            notice = {"type": kind, "user_id": str(after.user_id)}
            here = await give_notice(tx, here, actor_id or after.user_id, notice)
    _publish(tx, here.id, before, after)
    return here


def _publish(tx: Write, conversation_id: UUID, before: MemberRow | None, after: MemberRow) -> None:
    """Let what follows know that somebody came, went or is asked in; a new role is no such fact."""
    who = {"conversation_id": conversation_id, "user_id": after.user_id}
    if after.state in ("left", "removed"):
        tx.publish(MemberLeft(**who))
    elif after.state == "invited" and after.inviter_id is not None:
        tx.publish(MemberInvited(**who, inviter_id=after.inviter_id))
    elif after.state == "joined" and (before is None or before.state != "joined"):
        tx.publish(MemberJoined(**who))


async def _settle_at_home(tx: Write, here: ConversationRow, after: MemberRow) -> None:
    at_home = {"user_id": after.user_id, "conversation_id": here.id}
    if after.state in ("joined", "invited"):
        await members.save_membership(tx, **at_home, kind=here.kind, state=after.state)
    else:
        await members.delete_membership(tx, **at_home)
    tell_person(tx, after.user_id, PlaceNews(here.id, _NEWS[after.state]))
