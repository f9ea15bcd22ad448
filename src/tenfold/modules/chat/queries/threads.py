"""Statements about threads: the answers under one message, and up to where somebody has read them."""

from tenfold.modules.chat.queries.fragments import sql
from tenfold.modules.chat.shapes import Message
from tenfold.platform.db import many, maybe, one

list_thread = many(
    Message,
    sql("""
select {message answer} from every_message answer
 where answer.conversation_id = :conversation_id and answer.thread_root = :seq and answer.thread_root >= {first}
   and answer.seq > :after
 order by answer.seq limit :limit"""),
)

find_thread_read = maybe(
    int,
    """
select read_seq from thread_reads
 where conversation_id = :conversation_id and user_id = :user_id and thread_root = :seq""",
)

# A marker only moves forward, whichever device is late.
read_thread = one(
    int,
    """
insert into thread_reads (conversation_id, user_id, thread_root, read_seq)
values (:conversation_id, :user_id, :thread_root, :seq)
    on conflict (conversation_id, user_id, thread_root) do update
       set read_seq = greatest(thread_reads.read_seq, excluded.read_seq)
returning read_seq""",
)
