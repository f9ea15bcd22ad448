"""Statements about pinned messages. They never leave for the archive, so the list is read from one index."""

from tenfold.modules.chat.queries.fragments import sql
from tenfold.modules.chat.shapes import Message
from tenfold.platform.db import many

list_pinned_seqs = many(
    int,
    """
select seq from messages where conversation_id = :conversation_id and pinned_at is not null
 order by pinned_at limit :limit""",
)

list_pins = many(
    Message,
    sql("""
select {message pinned} from messages pinned
 where pinned.conversation_id = :conversation_id and pinned.pinned_at is not null and pinned.deleted_at is null
   and pinned.seq >= {first}
   and (:before_at::timestamptz is null or (pinned.pinned_at, pinned.seq) < (:before_at, :before_seq::bigint))
 order by pinned.pinned_at desc, pinned.seq desc limit :limit"""),
)
