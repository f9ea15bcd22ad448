"""Conversations as one of their people sees them: one, a page of one's own by the latest message, what waits in all."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.modules.chat import rules
from tenfold.modules.chat.queries import conversations
from tenfold.modules.chat.rows import MyPlace, SeenRow
from tenfold.modules.chat.shapes import Conversation, Mine, Preview, Unread
from tenfold.modules.identity import UserCard
from tenfold.platform.db import Read

Shelf = Literal["active", "archived", "hidden", "requests"]


class Place(msgspec.Struct, frozen=True):
    """Where a page of conversations goes on: after the one with this latest message."""

    at: datetime
    id: UUID


class Seen(msgspec.Struct, frozen=True):
    """What the database has of a page of conversations, before the faces are put to it."""

    rows: Sequence[SeenRow]
    places: Mapping[UUID, MyPlace]


async def see_page(tx: Read, actor: Actor, shelf: Shelf, *, after: Place | None, limit: int) -> Seen:
    """A page of one's conversations: the ids come from one's own home, the rows from theirs."""
    found = await conversations.list_my_places(tx, user_id=actor.id, now=tx.now)
    places = {place.conversation_id: place for place in found if _is_on(place, shelf)}
    if not places:
        return Seen([], {})
    rows = await conversations.list_by_latest(
        tx,
        ids=list(places),
        hidden=[place.hidden_seq for place in places.values()],
        is_hidden=shelf == "hidden",
        before_at=after and after.at,
        before_id=after and after.id,
        user_id=actor.id,
        limit=limit,
    )
    return Seen(rows, places)


async def see_one(tx: Read, actor: Actor, conversation_id: UUID) -> Seen:
    """One conversation, none when there is none that the actor may know of."""
    row = await conversations.find_seen(tx, conversation_id=conversation_id, user_id=actor.id)
    if row is None:
        return Seen([], {})
    place = await conversations.find_my_place(tx, user_id=actor.id, conversation_id=conversation_id, now=tx.now)
    return Seen([row], {conversation_id: place} if place else {})


async def count_waiting(tx: Read, actor: Actor) -> Unread:
    """What waits in all one's conversations; the muted and the archived count for mentions alone."""
    places = await conversations.list_my_places(tx, user_id=actor.id, now=tx.now)
    joined = [place for place in places if place.state == "joined"]
    quiet = {place.conversation_id for place in joined if place.is_muted or place.is_archived}
    ids = [place.conversation_id for place in joined]
    rows = await conversations.count_unread(tx, ids=ids, user_id=actor.id) if ids else []
    loud = [row for row in rows if row.conversation_id not in quiet]
    return Unread(
        conversations=sum(bool(row.unread or row.is_marked_unread) for row in loud),
        messages=sum(row.unread for row in loud),
        mentions=sum(row.mentions for row in rows),
        requests=len(places) - len(joined),
    )


def people_in(seen: Seen, actor: Actor) -> set[UUID]:
    """Whose faces these conversations need: the peers of direct ones."""
    return {peer for row in seen.rows if (peer := rules.peer_of(row, actor.id)) is not None}


def to_conversations(seen: Seen, actor: Actor, cards: Mapping[UUID, UserCard]) -> list[Conversation]:
    """The conversations with their faces, in their order."""
    return [_conversation(row, seen.places.get(row.id), actor, cards) for row in seen.rows]


def _is_on(place: MyPlace, shelf: Shelf) -> bool:
    if shelf == "requests":
        return place.state == "invited"
    return place.state == "joined" and (shelf == "hidden" or place.is_archived == (shelf == "archived"))


def _conversation(row: SeenRow, place: MyPlace | None, actor: Actor, cards: Mapping[UUID, UserCard]) -> Conversation:
    peer = rules.peer_of(row, actor.id)
    shown = {name: getattr(row, name) for name in Conversation.__struct_fields__ if hasattr(row, name)}
    return Conversation(
        **shown,
        peer=cards.get(peer) if peer is not None else None,
        last_message=_preview(row),
        mine=_mine(row, place),
    )


def _preview(row: SeenRow) -> Preview | None:
    if row.latest_seq is None or row.latest_kind is None:
        return None
    return Preview(
        row.latest_seq,
        row.latest_sender_id,
        row.latest_kind,
        row.latest_body or "",
        row.latest_notice,
        row.latest_deleted_at,
    )


def _mine(row: SeenRow, place: MyPlace | None) -> Mine | None:
    if row.state is None or row.role is None:
        return None
    return Mine(
        state=row.state,
        role=row.role,
        read_seq=row.read_seq or 0,
        delivered_seq=row.delivered_seq or 0,
        is_marked_unread=bool(row.is_marked_unread),
        unread=row.unread or 0,
        mentions=row.mentions or 0,
        first_unread=row.first_unread if row.unread else None,
        is_muted=place is not None and place.is_muted,
        muted_until=place and place.muted_until,
        is_archived=place is not None and place.is_archived,
        is_hidden=place is not None and row.last_seq <= place.hidden_seq,
    )
