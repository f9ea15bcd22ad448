"""What somebody has missed: the rows with a change after the one they know, each in its present state."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from uuid import UUID

import msgspec

from tenfold.modules.chat.queries import conversations, replay
from tenfold.modules.chat.shapes import Change, ConversationRow, MemberRow, Message
from tenfold.platform.db import Read

Row = Message | MemberRow | ConversationRow


async def changes_since(
    tx: Read, conversation_id: UUID, since: int, *, limit: int
) -> tuple[Sequence[Change], int] | None:
    """At most `limit` changes after `since`, in order, and where the conversation stands. None when it is gone.

    A row that changed more than once comes under its latest change. All that there is up to the last one told is told,
    so that whoever replays on from there misses nothing. Call it in one snapshot.
    """
    here = await conversations.find_conversation(tx, conversation_id=conversation_id)
    if here is None:
        return None
    if since >= here.last_change:
        return [], here.last_change
    asked = {"conversation_id": conversation_id, "since": since, "limit": limit}
    kept = {**asked, "first_seq": here.first_seq}
    rows: list[Row] = []
    rows += await replay.list_changed_messages(tx, **kept, floor=here.last_seq - (here.last_change - since))
    rows += await replay.list_changed_archived(tx, **kept)
    rows += await replay.list_changed_members(tx, **asked)
    if here.change_no > since:
        rows.append(msgspec.structs.replace(here, is_blocked=False))  # nobody is told so
    return _in_order(rows, limit), here.last_change


async def positions_of(tx: Read, ids: Sequence[UUID]) -> dict[UUID, int]:
    """The number of the latest change of each of these conversations."""
    found = await conversations.list_positions(tx, ids=list(ids))
    return {position.conversation_id: position.last_change for position in found}


def _in_order(rows: list[Row], limit: int) -> list[Change]:
    rows.sort(key=_place)
    changes = [_change(number, touched) for number, touched in groupby(rows, key=_number)]
    return changes[:limit]


def _place(row: Row) -> tuple[int, int]:
    """By the change, then by the message, wherever it was kept."""
    return row.change_no, row.seq if isinstance(row, Message) else 0


def _number(row: Row) -> int:
    return row.change_no


def _change(number: int, rows: Iterable[Row]) -> Change:
    change = Change(change_no=number)
    for row in rows:
        if isinstance(row, Message):
            change = msgspec.structs.replace(change, messages=[*change.messages, row])
        elif isinstance(row, MemberRow):
            change = msgspec.structs.replace(change, members=[*change.members, row])
        else:
            change = msgspec.structs.replace(change, conversation=row)
    return change
