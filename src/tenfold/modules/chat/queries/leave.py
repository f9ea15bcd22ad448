"""Statements for who leaves for good: what they were in, what they wrote, and the copy that they may take along."""

from uuid import UUID

from tenfold.modules.chat.queries.fragments import sql
from tenfold.modules.chat.rows import KeptConversation, KeptMessage, KeptReaction
from tenfold.modules.chat.shapes import Message
from tenfold.platform.db import many, run

# At the person's home stands only what they are in now. Where they were once is found by looking at all members, which
# happens once in a life.
list_places = many(UUID, "select conversation_id from members where user_id = :user_id order by 1")

bring_all_back = run("""
with back as (
    delete from archived_messages old
     where old.conversation_id = :conversation_id
       and (:user_id in (old.sender_id, old.pinned_by)
            or old.seq in (select seq from reactions
                            where reactions.conversation_id = :conversation_id and reactions.user_id = :user_id))
    returning *
)
insert into messages select * from back""")

# For whoever holds the conversation, whose latest change is `last_change`: every message of the person becomes a
# tombstone of nobody, every one that they reacted to counts one less, and what they pinned was pinned by nobody, each
# by a change of its own.
erase_messages = many(
    Message,
    sql("""
with seqs as (
    select seq from messages where conversation_id = :conversation_id and sender_id = :user_id
     union select seq from reactions where conversation_id = :conversation_id and user_id = :user_id
     union select seq from messages
            where conversation_id = :conversation_id and pinned_at is not null and pinned_by = :user_id
), touched as (
    select seq, row_number() over (order by seq) as turn from seqs
), conv as (
    update conversations set last_change = :last_change::bigint + (select count(*) from touched)
     where conversation_id = :conversation_id
)
update messages said
   set change_no = :last_change + touched.turn, revision = said.revision + 1,
       sender_id = nullif(said.sender_id, :user_id),
       client_msg_id = case when mine.is_so then null else said.client_msg_id end,
       body = case when mine.is_so then '' else said.body end,
       attachments = case when mine.is_so then null else said.attachments end,
       mentions = case when mine.is_so then null else said.mentions end,
       notice = case when mine.is_so then null else said.notice end,
       pinned_at = case when mine.is_so then null else said.pinned_at end,
       pinned_by = case when mine.is_so then null else nullif(said.pinned_by, :user_id) end,
       deleted_at = case when mine.is_so then coalesce(said.deleted_at, :now) else said.deleted_at end,
       reactions = case when not mine.is_so and said.deleted_at is null then (
           select jsonb_object_agg(emoji, times) from (
               select emoji, count(*) as times from reactions other
                where other.conversation_id = :conversation_id and other.seq = touched.seq and other.user_id <> :user_id
                group by emoji) left_over) end
  from touched
 cross join lateral (select exists (select from messages own where own.conversation_id = :conversation_id
                                       and own.seq = touched.seq and own.sender_id = :user_id) as is_so) mine
 where said.conversation_id = :conversation_id and said.seq = touched.seq
returning {message said}"""),
)

erase_traces = run("""
with named as (
    delete from mentions where conversation_id = :conversation_id
       and (user_id = :user_id or seq = any (:seqs::bigint[]))
), threads as (
    delete from thread_reads where conversation_id = :conversation_id and user_id = :user_id
), edits as (
    delete from message_edits where conversation_id = :conversation_id and seq = any (:seqs::bigint[])
), sends as (
    delete from archived_sends where conversation_id = :conversation_id and sender_id = :user_id
), held as (
    delete from held_messages where conversation_id = :conversation_id and seq = any (:seqs::bigint[])
), pins as (
    update held_messages set pinned_by = null
     where conversation_id = :conversation_id and pinned_by = :user_id and seq <> all (:seqs::bigint[])
), reports as (
    delete from message_reports where conversation_id = :conversation_id
       and (:user_id in (reporter_id, sender_id) or seq = any (:seqs::bigint[]))
)
delete from reactions where conversation_id = :conversation_id
   and (user_id = :user_id or seq = any (:seqs::bigint[]))""")

erase_activity = run("delete from activity where user_id = :user_id")

export_conversations = many(
    KeptConversation,
    """
select c.conversation_id as id, c.kind, c.title, mine.state, mine.role, mine.since, mine.read_seq
  from members mine join conversations c on c.conversation_id = mine.conversation_id
 where mine.user_id = :user_id and mine.state in ('joined', 'invited') order by c.conversation_id""",
)

export_messages = many(
    KeptMessage,
    """
select said.conversation_id, said.seq, said.body, said.attachments, said.created_at, said.edited_at
  from members mine
  join every_message said on said.conversation_id = mine.conversation_id and said.sender_id = mine.user_id
 where mine.user_id = :user_id and said.kind = 'text' and said.deleted_at is null
 order by said.conversation_id, said.seq""",
)

export_reactions = many(
    KeptReaction, "select conversation_id, seq, emoji from reactions where user_id = :user_id order by reaction_id"
)
