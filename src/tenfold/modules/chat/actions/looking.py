"""Conversations as one of their people sees them: one, a page of one's own by the latest message, what waits in all."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.modules.chat import rules
from tenfold.modules.chat.queries import conversations, members
from tenfold.modules.chat.shapes import (
    Conversation,
    ConversationKind,
    ConversationRow,
    Message,
    Mine,
    MineRow,
    MyPlace,
    Unread,
)
from tenfold.modules.identity import UserCard
from tenfold.platform.db import Read

Shelf = Literal["active", "archived", "hidden", "requests"]


class Place(msgspec.Struct, frozen=True):
    """Where a page of conversations goes on: after the one with this latest message."""

    at: datetime
    id: UUID


class Seen(msgspec.Struct, frozen=True):
    """What the database has of a page of conversations, before the faces are put to it."""

    rows: Sequence[ConversationRow]
    mine: dict[UUID, MineRow]
    places: dict[UUID, MyPlace]
    latest: dict[UUID, Message]


async def see_page(tx: Read, actor: Actor, shelf: Shelf, *, after: Place | None, limit: int) -> Seen:
    """A page of one's conversations: the ids come from one's own home, the rows from theirs."""
    state = "invited" if shelf == "requests" else "joined"
    found = await conversations.list_my_places(tx, user_id=actor.id, state=state, now=tx.now)
    places = [place for place in found if _is_on(place, shelf)]
    if not places:
        return Seen([], {}, {}, {})
    rows = await conversations.list_by_latest(
        tx,
        ids=[place.conversation_id for place in places],
        hidden=[place.hidden_seq for place in places],
        is_hidden=shelf == "hidden",
        before_at=after and after.at,
        before_id=after and after.id,
        limit=limit,
    )
    return await _seen(tx, actor, rows, places)


async def see_one(tx: Read, actor: Actor, conversation_id: UUID) -> Seen:
    """One conversation, empty when there is none that the actor may know of; an open one is known to all."""
    here = await members.find_conversation_for(tx, conversation_id=conversation_id, user_id=actor.id)
    if here is None:
        return Seen([], {}, {}, {})
    place = await conversations.find_my_place(tx, user_id=actor.id, conversation_id=conversation_id, now=tx.now)
    return await _seen(tx, actor, [here], [place] if place else [])


async def count_waiting(tx: Read, actor: Actor) -> Unread:
    """What waits in all one's conversations; the muted and the archived count for mentions alone."""
    joined = await conversations.list_my_places(tx, user_id=actor.id, state="joined", now=tx.now)
    requests = await conversations.list_my_places(tx, user_id=actor.id, state="invited", now=tx.now)
    quiet = {place.conversation_id for place in joined if place.is_muted or place.is_archived}
    ids = [place.conversation_id for place in joined]
    rows = await conversations.count_unread(tx, ids=ids, user_id=actor.id) if ids else []
    loud = [row for row in rows if row.conversation_id not in quiet]
    return Unread(
        conversations=sum(bool(row.unread or row.is_marked_unread) for row in loud),
        messages=sum(row.unread for row in loud),
        mentions=sum(row.mentions for row in rows),
        requests=len(requests),
    )


def people_in(seen: Seen, actor: Actor) -> set[UUID]:
    """Whose faces these conversations need: the peers of direct ones."""
    return {peer for row in seen.rows if (peer := rules.peer_of(row, actor.id)) is not None}


def to_conversations(seen: Seen, actor: Actor, cards: dict[UUID, UserCard]) -> list[Conversation]:
    """The conversations with their faces, in their order."""
    return [_conversation(row, seen, actor, cards) for row in seen.rows]


def _is_on(place: MyPlace, shelf: Shelf) -> bool:
    return place.is_archived == (shelf == "archived") if shelf in ("active", "archived") else True


async def _seen(tx: Read, actor: Actor, rows: Sequence[ConversationRow], places: Sequence[MyPlace]) -> Seen:
    ids = [row.id for row in rows]
    if not ids:
        return Seen([], {}, {}, {})
    kinds: dict[UUID, ConversationKind] = {row.id: row.kind for row in rows}
    mine = await conversations.list_mine(tx, ids=ids, user_id=actor.id)
    known = {row.conversation_id for row in mine if rules.reads(row.state, kinds[row.conversation_id])}
    said = [row for row in rows if row.last_seq and row.id in known]
    latest = await conversations.list_latest_messages(
        tx, ids=[row.id for row in said], seqs=[row.last_seq for row in said]
    )
    return Seen(
        rows,
        {row.conversation_id: row for row in mine},
        {place.conversation_id: place for place in places},
        {message.conversation_id: message for message in latest},
    )


def _conversation(row: ConversationRow, seen: Seen, actor: Actor, cards: dict[UUID, UserCard]) -> Conversation:
    peer = rules.peer_of(row, actor.id)
    shown = {name: getattr(row, name) for name in Conversation.__struct_fields__ if hasattr(row, name)}
    return Conversation(
        **shown,
        peer=cards.get(peer) if peer is not None else None,
        last_message=seen.latest.get(row.id),
        mine=_mine(row, seen.mine.get(row.id), seen.places.get(row.id)),
    )


def _mine(row: ConversationRow, mine: MineRow | None, place: MyPlace | None) -> Mine | None:
    if mine is None:
        return None
    waits = bool(mine.unread)
    return Mine(
        state=mine.state,
        role=mine.role,
        read_seq=mine.read_seq,
        delivered_seq=mine.delivered_seq,
        is_marked_unread=mine.is_marked_unread,
        unread=mine.unread,
        mentions=mine.mentions,
        first_unread=mine.first_unread if waits else None,
        is_muted=place is not None and place.is_muted,
        muted_until=place and place.muted_until,
        is_archived=place is not None and place.is_archived,
        is_hidden=place is not None and row.last_seq <= place.hidden_seq,
    )
