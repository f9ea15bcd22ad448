"""Doors of members: list them, invite, give a role, remove; and come or go oneself."""

from typing import Annotated
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.kit.pages import CursorText, Limit, Page, cut, from_cursor
from tenfold.modules.chat.actions import membership
from tenfold.modules.chat.actions.history import must_read
from tenfold.modules.chat.errors import (
    ConversationIsFull,
    ConversationNotFound,
    LastOwner,
    MemberNotFound,
    NeedsAnAdmin,
    NeedsAnOwner,
    ThisIsDirect,
    TooManyConversations,
    TooManyInvitations,
)
from tenfold.modules.chat.people import cards_of
from tenfold.modules.chat.queries import members
from tenfold.modules.chat.shapes import ChatPolicy, Member, MemberRole
from tenfold.modules.chat.ties import Ties
from tenfold.modules.identity import UserNotFound
from tenfold.platform.cache import Cache
from tenfold.platform.db import Database, Write
from tenfold.platform.http import door
from tenfold.platform.realtime import Realtime


class RoleChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The role that a member gets."""

    role: Annotated[MemberRole, msgspec.Meta(description="What the member may do from now on.")]


@door.get("/conversations/{conversation_id:uuid}/members", limit="read", refuses=[ConversationNotFound])
async def list_members(
    actor: Actor,
    conversation_id: UUID,
    *,
    db: Database,
    cache: Cache,
    limit: Limit = 20,
    cursor: CursorText | None = None,
) -> Page[Member]:
    """Who is in a conversation, and who is invited; somebody who cannot be seen at present is left out.

    A request that was declined looks as if it still waited.
    """
    after = from_cursor(cursor, UUID)
    async with db.read() as tx:
        rows = await members.list_members(
            tx,
            conversation_id=conversation_id,
            user_id=actor.id,
            states=["joined", "invited"],
            after=after,
            limit=limit + 1,
        )
        if not rows:
            await must_read(tx, actor, conversation_id)
    page = cut(rows, limit, lambda row: row.user_id)
    cards = await cards_of(db, cache, (row.user_id for row in page.items))
    shown = [
        Member(cards[row.user_id], row.state, row.role, row.since, row.shown_seq, row.delivered_seq)
        for row in page.items
        if row.user_id in cards
    ]
    return Page(shown, page.next)


@door.put(
    "/conversations/{conversation_id:uuid}/members/{user_id:uuid}",
    limit="write",
    refuses=[ConversationNotFound, ThisIsDirect, NeedsAnAdmin, UserNotFound, ConversationIsFull, TooManyInvitations],
)
async def invite_member(
    tx: Write, actor: Actor, conversation_id: UUID, user_id: UUID, *, policy: ChatPolicy, ties: Ties
) -> None:
    """Invite somebody into a group or channel."""
    await membership.invite(tx, actor, conversation_id, user_id, policy=policy, ties=ties)


@door.patch(
    "/conversations/{conversation_id:uuid}/members/{user_id:uuid}",
    limit="write",
    refuses=[ConversationNotFound, ThisIsDirect, MemberNotFound, NeedsAnOwner, LastOwner],
)
async def change_role(tx: Write, actor: Actor, conversation_id: UUID, user_id: UUID, *, data: RoleChange) -> None:
    """Give a member another role."""
    await membership.set_role(tx, actor, conversation_id, user_id, role=data.role)


@door.delete(
    "/conversations/{conversation_id:uuid}/members/{user_id:uuid}",
    limit="write",
    refuses=[ConversationNotFound, ThisIsDirect, MemberNotFound, NeedsAnAdmin, NeedsAnOwner, LastOwner],
)
async def remove_member(tx: Write, actor: Actor, conversation_id: UUID, user_id: UUID, *, live: Realtime) -> None:
    """Remove a member, or take an invitation back."""
    await membership.remove(tx, actor, conversation_id, user_id, live=live)


@door.put(
    "/conversations/{conversation_id:uuid}/membership",
    limit="write",
    refuses=[ConversationNotFound, ConversationIsFull, TooManyConversations],
)
async def join(tx: Write, actor: Actor, conversation_id: UUID, *, policy: ChatPolicy) -> None:
    """Accept an invitation or a request, or join what is open to all."""
    await membership.join(tx, actor, conversation_id, policy=policy)


@door.delete(
    "/conversations/{conversation_id:uuid}/membership",
    limit="write",
    refuses=[ConversationNotFound, LastOwner, ThisIsDirect],
)
async def leave(tx: Write, actor: Actor, conversation_id: UUID, *, live: Realtime) -> None:
    """Leave a group or channel, or decline an invitation or a request."""
    await membership.leave(tx, actor, conversation_id, live=live)
