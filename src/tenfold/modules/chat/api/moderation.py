"""Doors of moderation: report a message, and for moderators what was reported and what becomes of it."""

from datetime import datetime
from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.kit.pages import CursorText, Limit, Page, cut, from_cursor
from tenfold.modules.chat.actions import moderate
from tenfold.modules.chat.errors import ConversationNotFound, MessageNotFound
from tenfold.modules.chat.queries import moderation
from tenfold.modules.chat.reports import HeldMessage, Report, ReportDraft, Verdict
from tenfold.modules.identity import without_addresses
from tenfold.platform import audit
from tenfold.platform.db import Database, Write
from tenfold.platform.http import Client, door


@door.post(
    "/conversations/{conversation_id:uuid}/messages/{seq:int}/reports",
    limit="write",
    cost=5,
    status=204,
    refuses=[ConversationNotFound, MessageNotFound],
)
async def report_message(tx: Write, actor: Actor, conversation_id: UUID, seq: int, *, data: ReportDraft) -> None:
    """Tell the moderators what is wrong with a message. Nobody else learns of it."""
    await moderate.report_message(tx, actor, conversation_id, seq, draft=data)


@door.get("/admin/message-reports", limit="read", roles=["moderator", "admin"])
async def list_reports(
    actor: Actor, *, db: Database, limit: Limit = 20, cursor: CursorText | None = None
) -> Page[Report]:
    """Reports that wait for a moderator, the oldest first."""
    async with db.read() as tx:
        rows = await moderation.list_open_reports(tx, after=from_cursor(cursor, UUID), limit=limit + 1)
    return cut(rows, limit, lambda report: report.id)


@door.get("/admin/held-messages", limit="read", roles=["moderator", "admin"])
async def list_held_messages(
    actor: Actor, *, db: Database, limit: Limit = 20, cursor: CursorText | None = None
) -> Page[HeldMessage]:
    """Messages on hold, those that have been longest first."""
    at, id_, seq = from_cursor(cursor, tuple[datetime, UUID, int]) or (None, None, None)
    async with db.read() as tx:
        rows = await moderation.list_held_messages(tx, after_at=at, after_id=id_, after_seq=seq, limit=limit + 1)
    return cut(rows, limit, lambda held: (held.held_at, held.conversation_id, held.seq))


@door.put(
    "/admin/conversations/{conversation_id:uuid}/messages/{seq:int}/verdict",
    limit="write",
    roles=["moderator", "admin"],
    refuses=[MessageNotFound],
)
async def judge_message(
    tx: Write, actor: Actor, conversation_id: UUID, seq: int, *, data: Verdict, client: Client
) -> None:
    """Settle every report of a message: leave it, hold it back (for everybody else it is deleted), or delete it."""
    sender_id = await moderate.judge(tx, actor, conversation_id, seq, outcome=data.outcome)
    await audit.append(
        tx,
        f"chat.message_{data.outcome}",
        actor_id=actor.id,
        subject_id=sender_id,
        details={"conversation_id": str(conversation_id), "seq": seq, "reason": without_addresses(data.reason)},
        address=client.address,
    )
