"""How news leave a transaction: changes under their number, markers for the moment, hints to people."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Literal
from uuid import UUID

import msgspec

from tenfold.modules.chat.shapes import Change, Marker
from tenfold.platform.db import Tells, Write
from tenfold.platform.realtime import Realtime, user_channel


class Hint(msgspec.Struct, frozen=True):
    """Something has changed in one of the hearer's conversations, up to this message: look at it when it is shown."""

    conversation_id: UUID
    last_seq: int
    type: Literal["conversation.changed"] = "conversation.changed"


PlaceTurn = Literal["conversation.joined", "conversation.left", "conversation.invited", "conversation.settled"]


class PlaceNews(msgspec.Struct, frozen=True):
    """One's own place in a conversation is another: on other devices, or by an admin. Look at it anew."""

    conversation_id: UUID
    type: PlaceTurn


class MarkerNews(msgspec.Struct, frozen=True):
    """Somebody in the conversation has read or received more."""

    marker: Marker
    type: Literal["conversation.marker"] = "conversation.marker"


class ReadNews(msgspec.Struct, frozen=True):
    """One's own marker stands elsewhere now; for one's other devices."""

    conversation_id: UUID
    read_seq: int
    is_marked_unread: bool
    type: Literal["conversation.read"] = "conversation.read"


def channel_of(conversation_id: UUID) -> str:
    """Where a conversation is listened to."""
    return f"conversation:{conversation_id}"


def tell_change(out: Tells, conversation_id: UUID, change: Change) -> None:
    """Tell everybody who has the conversation open what a change has made of the rows that it touched."""
    out.tell(channel_of(conversation_id), change, offset=change.change_no)


def tell_marker(tx: Write, conversation_id: UUID, marker: Marker) -> None:
    """Tell everybody who has the conversation open right now how far somebody is."""
    tx.tell(channel_of(conversation_id), MarkerNews(marker), ephemeral=True)


def tell_person(out: Tells, user_id: UUID, news: Hint | PlaceNews | ReadNews) -> None:
    """Tell one person's devices."""
    out.tell(user_channel(user_id), news)


def end_listening(tx: Write, user_id: UUID, channel: str, live: Realtime) -> None:
    """Close a channel on every screen of one person, as soon as what ends their right to it holds."""
    tx.on_commit(lambda: _later(live.unsubscribe(user_id, channel)))


def _later(awaitable: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(awaitable)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


_tasks: set[asyncio.Task[None]] = set()
