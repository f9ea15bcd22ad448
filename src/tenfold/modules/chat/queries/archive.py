"""Statements that move old messages to the archive, and that delete what a conversation does not keep any longer."""

from datetime import datetime
from uuid import UUID

import msgspec

from tenfold.platform.db import many, maybe, one, run


class Aged(msgspec.Struct, frozen=True):
    """A message that is old enough to move."""

    seq: int
    created_at: datetime


class Keeping(msgspec.Struct, frozen=True):
    """A conversation that keeps its messages for so many days."""

    conversation_id: UUID
    retention_days: int


# What the counts of unread messages, the pins and the notices ask for stays where they look; so does a conversation's
# latest message, which its list shows.
_MOVES = "kind = 'text' and deleted_at is null and pinned_at is null"

list_aged_conversations = many(
    UUID,
    """
select distinct conversation_id from messages
 where created_at < :before and {moves} and conversation_id > :after
 order by conversation_id limit :limit""".replace("{moves}", _MOVES),
)

list_aged = many(
    Aged,
    """
select seq, created_at from messages
 where conversation_id = :conversation_id and created_at < :before and {moves}
   and seq < (select last_seq from conversations where conversation_id = :conversation_id)
 order by seq limit :limit""".replace("{moves}", _MOVES),
)

make_month = one(str, "select make_archive_month(:month::date)::text")

move_messages = run("""
with moved as (
    delete from messages where conversation_id = :conversation_id and seq = any(:seqs::bigint[]) returning *
), written as (
    insert into archived_messages select * from moved
), named as (
    insert into archived_sends
    select conversation_id, sender_id, client_msg_id, seq from moved
     where sender_id is not null and client_msg_id is not null
        on conflict do nothing
)
update conversations
   set archived_seq = greatest(archived_seq, last.seq), archived_change = greatest(archived_change, last.change_no)
  from (select max(seq) as seq, max(change_no) as change_no from moved) last
 where conversation_id = :conversation_id and last.seq is not null""")

list_keeping = many(
    Keeping,
    """
select conversation_id, retention_days from conversations
 where retention_days is not null and conversation_id > :after
 order by conversation_id limit :limit""",
)

# The end of the oldest stretch that is not to be kept, as far as one batch reaches.
find_last_expired = maybe(
    int,
    """
select seq from (
    select seq, bool_and(created_at < :before) over (order by seq) as is_expired from (
        select seq, created_at from every_message
         where conversation_id = :conversation_id and seq >= :first_seq order by seq limit :limit) oldest) stretch
 where is_expired order by seq desc limit 1""",
)

# Everything that hangs on messages before `first_seq`.
_CLEAR = """
delete from {table} where conversation_id = :conversation_id and {seq} < :first_seq"""

clear_messages = run(_CLEAR.replace("{table}", "messages").replace("{seq}", "seq"))
clear_archived = run(_CLEAR.replace("{table}", "archived_messages").replace("{seq}", "seq"))
clear_sends = run(_CLEAR.replace("{table}", "archived_sends").replace("{seq}", "seq"))
clear_edits = run(_CLEAR.replace("{table}", "message_edits").replace("{seq}", "seq"))
clear_reactions = run(_CLEAR.replace("{table}", "reactions").replace("{seq}", "seq"))
clear_mentions = run(_CLEAR.replace("{table}", "mentions").replace("{seq}", "seq"))
clear_thread_reads = run(_CLEAR.replace("{table}", "thread_reads").replace("{seq}", "thread_root"))
clear_held = run(_CLEAR.replace("{table}", "held_messages").replace("{seq}", "seq"))
# A report that still waits for a moderator has the words.
clear_reports = run(
    _CLEAR.replace("{table}", "message_reports").replace("{seq}", "seq") + " and settled_at is not null"
)
