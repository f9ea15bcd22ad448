"""Open a conversation: a group or a channel by name, or the one that two people have; and change what it says."""

from typing import Any
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.modules.chat import rules
from tenfold.modules.chat.actions.held import give_notice, save
from tenfold.modules.chat.actions.membership import accept, has_room, must_have_room, must_take_invitations
from tenfold.modules.chat.actions.reach import hold
from tenfold.modules.chat.events import ConversationOpened, MemberInvited
from tenfold.modules.chat.queries import conversations, members
from tenfold.modules.chat.shapes import (
    Change,
    ChatPolicy,
    ConversationDraft,
    ConversationEdit,
    MemberState,
)
from tenfold.modules.chat.telling import PlaceNews, tell_change, tell_person
from tenfold.modules.chat.ties import Ties
from tenfold.modules.identity import UserNotFound, find_card, read_cards
from tenfold.platform.db import Write


async def open_conversation(
    tx: Write, actor: Actor, draft: ConversationDraft, *, policy: ChatPolicy, ties: Ties
) -> UUID:
    """Open a group or a channel as its owner, and invite people.

    Raises `UserNotFound`, also across a block, `ConversationIsFull`, `TooManyInvitations`, `TooManyConversations`.
    """
    await must_have_room(tx, actor.id, policy)
    invited = [user_id for user_id in dict.fromkeys(draft.members) if user_id != actor.id]
    if len(await read_cards(tx, invited)) < len(invited) or await ties.blocked_among(tx, actor.id, invited):
        raise UserNotFound
    rules.must_have_seats(draft.kind, 1, len(invited), policy)
    await must_take_invitations(tx, invited, policy)
    conversation_id = new_id()
    await conversations.insert_conversation(
        tx,
        conversation_id=conversation_id,
        kind=draft.kind,
        title=rules.tidy_title(draft.title),
        topic=None if draft.topic is None else rules.tidy(draft.topic, "body.topic"),
        access=draft.access,
        posting=draft.posting,
        creator_id=actor.id,
        now=tx.now,
        one_id=None,
        other_id=None,
        member_count=None if draft.kind == "channel" else 1,
    )
    await _put(tx, conversation_id, actor.id, kind=draft.kind, state="joined", role="owner")
    if invited:
        named = {"conversation_id": conversation_id, "user_ids": invited}
        await members.insert_invited(tx, **named, inviter_id=actor.id, now=tx.now)
        await members.insert_invitations(tx, **named, kind=draft.kind)
    tx.publish(ConversationOpened(conversation_id=conversation_id, kind=draft.kind, creator_id=actor.id))
    tell_person(tx, actor.id, PlaceNews(conversation_id, "conversation.joined"))
    for user_id in invited:
        tx.publish(MemberInvited(conversation_id=conversation_id, user_id=user_id, inviter_id=actor.id))
        tell_person(tx, user_id, PlaceNews(conversation_id, "conversation.invited"))
    return conversation_id


async def open_direct(tx: Write, actor: Actor, user_id: UUID, *, policy: ChatPolicy, ties: Ties) -> UUID:
    """The conversation with another person, opened if there is none yet; both may do so at the same instant.

    Whom the other follows is let in at once, if the other has room; else they wait in the other's requests. Raises
    `UserNotFound`, also across a block and of a conversation that there is, `TooManyConversations`,
    `TooManyInvitations`.
    """
    rules.must_be_another(actor.id, user_id)
    conversation_id = rules.direct_id(actor.id, user_id)
    tie = await ties.hold(tx, user_id, actor.id)
    if tie.is_blocked:
        raise UserNotFound
    if await members.find_standing(tx, conversation_id=conversation_id, user_id=actor.id) is not None:
        await accept(tx, actor, conversation_id, policy=policy)
        return conversation_id
    if await find_card(tx, user_id) is None:
        raise UserNotFound
    await must_have_room(tx, actor.id, policy)
    is_let_in = tie.follows and await has_room(tx, user_id, policy)
    if not is_let_in:
        await must_take_invitations(tx, [user_id], policy)
    one_id, other_id = sorted((actor.id, user_id), key=lambda id_: id_.int)
    await conversations.insert_conversation(
        tx,
        conversation_id=conversation_id,
        kind="direct",
        title=None,
        topic=None,
        access="invited",
        posting="members",
        creator_id=actor.id,
        now=tx.now,
        one_id=one_id,
        other_id=other_id,
        member_count=1 + is_let_in,
    )
    state: MemberState = "joined" if is_let_in else "invited"
    await _put(tx, conversation_id, actor.id, kind="direct", state="joined")
    await _put(tx, conversation_id, user_id, kind="direct", state=state, inviter_id=actor.id)
    tx.publish(ConversationOpened(conversation_id=conversation_id, kind="direct", creator_id=actor.id))
    if not is_let_in:
        tx.publish(MemberInvited(conversation_id=conversation_id, user_id=user_id, inviter_id=actor.id))
    tell_person(tx, actor.id, PlaceNews(conversation_id, "conversation.joined"))
    return conversation_id


async def edit_conversation(tx: Write, actor: Actor, conversation_id: UUID, edit: ConversationEdit) -> None:
    """Change title, topic and rules of a group or channel; a new title is noted among its messages. Admins only."""
    here, role = await hold(tx, actor, conversation_id)
    rules.must_not_be_direct(here)
    rules.must_be_admin(role)
    changes = _changes(edit)
    changed = msgspec.structs.replace(here, **changes)
    if changed == here:
        return
    number = here.last_change + 1
    changed = msgspec.structs.replace(changed, last_change=number, change_no=number)
    await save(tx, changed)
    tell_change(tx, conversation_id, Change(change_no=number, conversation=changed))
    if changed.title != here.title:
        await give_notice(tx, changed, actor.id, {"type": "conversation.titled", "title": changed.title})


def _changes(edit: ConversationEdit) -> dict[str, Any]:
    named = {name: getattr(edit, name) for name in edit.__struct_fields__}
    changes = {name: value for name, value in named.items() if value is not msgspec.UNSET}
    if "title" in changes:
        changes["title"] = rules.tidy_title(changes["title"])
    if changes.get("topic") is not None:
        changes["topic"] = rules.tidy(changes["topic"], "body.topic")
    return changes


async def _put(
    tx: Write,
    conversation_id: UUID,
    user_id: UUID,
    *,
    kind: str,
    state: MemberState,
    **more: Any,
) -> None:
    """Somebody in a conversation that is being opened, at both homes."""
    columns = {"role": "member", "inviter_id": None, "since": tx.now, "seq": 0, "change_no": 0, **more}
    await members.save_member(tx, conversation_id=conversation_id, user_id=user_id, state=state, **columns)
    await members.save_membership(tx, user_id=user_id, conversation_id=conversation_id, kind=kind, state=state)
