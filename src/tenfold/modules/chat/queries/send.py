"""Sending: one statement that checks, numbers, writes and marks; and why it did not, should it not have."""

from tenfold.modules.chat.queries.fragments import sql
from tenfold.modules.chat.rows import NotSent, Sent, SentAmongOthers
from tenfold.modules.chat.shapes import Message
from tenfold.platform.db import batch_of, maybe, run

# The sender's own row is locked first, then the conversation's, as everywhere in chat: what they say is in the order in
# which they say it, slow mode cannot be outrun by sending twice at once, and who is removed meanwhile is not heard.
# Until a stranger's request is accepted it holds few messages: a direct conversation has one member then. Without a row
# in the answer nothing was written. `me` is the sender's row with what is to be sent.
_IS_ALLOWED = """
       (me.state = 'joined' or c.kind = 'direct') and not c.is_blocked
       and (c.kind <> 'direct' or c.member_count = 2 or me.state = 'invited' or c.last_seq < :request_messages)
       and (me.role <> 'member' or c.posting = 'members'
            and (c.slow_mode_seconds = 0 or me.last_sent_at is null
                 or me.last_sent_at + c.slow_mode_seconds * interval '1 second' <= :now))
       and not exists (select from messages known where known.conversation_id = me.conversation_id
                          and known.sender_id = me.user_id and known.client_msg_id = me.client_msg_id)
       and (c.archived_seq = 0
            or not exists (select from archived_sends known where known.conversation_id = me.conversation_id
                              and known.sender_id = me.user_id and known.client_msg_id = me.client_msg_id))"""

_MARKED = """
    update members
       set read_seq = conv.last_seq, shown_seq = conv.last_seq, delivered_seq = conv.last_seq,
           sent_seq = conv.last_seq, last_sent_at = :now, is_marked_unread = false
      from conv where members.conversation_id = conv.conversation_id and members.user_id = conv.user_id"""

# The two of a direct conversation who have to do with it; not one who declined, or who is gone.
_HEARERS = """(
        select array_agg(person.user_id) from members person
         where c.kind = 'direct' and person.conversation_id = c.conversation_id
           and person.state in ('joined', 'invited'))"""


def _filled(text: str, **parts: str) -> str:
    for name, part in {"allowed": _IS_ALLOWED, "marked": _MARKED, "hearers": _HEARERS, **parts}.items():
        text = text.replace(f"{{{name}}}", part)
    return text


# {checks}, {columns}, {values} and {more} are what few messages have.
_SEND = """
with me as materialized (
    select conversation_id, user_id, state, role, last_sent_at, :client_msg_id::text as client_msg_id from members
     where conversation_id = :conversation_id and user_id = :sender_id and state in ('joined', 'invited')
       for update
), conv as (
    update conversations c
       set last_seq = c.last_seq + 1, last_change = c.last_change + 1, last_message_at = :now
      from me
     where c.conversation_id = :conversation_id and {allowed}
       {checks}
    returning c.conversation_id, me.user_id, c.last_seq, c.last_change, c.kind, {hearers} as hearers
), marked as ({marked}
), written as (
    insert into messages (conversation_id, seq, sender_id, client_msg_id, body, attachments, created_at, change_no
                          {columns})
    select :conversation_id, last_seq, :sender_id, :client_msg_id, :body, :attachments, :now, last_change {values}
      from conv
){more}
select conv.last_seq, conv.last_change, conv.kind, conv.hearers, me.state from conv, me"""

send_plain = maybe(Sent, _filled(_SEND, checks="", columns="", values="", more=""))

# Messages of several conversations, one each, in one statement that is its own transaction: nothing but telling may
# have to follow, as accepting would. Rows that others hold are left alone, so that nobody waits for what a stranger
# does in another conversation, and two such statements never wait for each other.
send_together = batch_of(
    SentAmongOthers,
    _filled(
        """
with letter as materialized (
    select * from unnest(:conversation_id::uuid[], :sender_id::uuid[], :client_msg_id::text[], :body::text[],
                         :attachments::text[])
               as letter (conversation_id, user_id, client_msg_id, body, attachments)
), me as materialized (
    select letter.*, mine.state, mine.role, mine.last_sent_at
      from letter join members mine using (conversation_id, user_id)
     where mine.state = 'joined'
       for update of mine skip locked
), place as materialized (
    select me.* from me join conversations c on c.conversation_id = me.conversation_id
     where {allowed}
       for update of c skip locked
), conv as (
    update conversations c
       set last_seq = c.last_seq + 1, last_change = c.last_change + 1, last_message_at = :now
      from place where c.conversation_id = place.conversation_id
    returning c.last_seq, c.last_change, c.kind, {hearers} as hearers, place.*
), marked as ({marked}
), written as (
    insert into messages (conversation_id, seq, sender_id, client_msg_id, body, attachments, created_at, change_no)
    select conversation_id, last_seq, user_id, client_msg_id, body, attachments::jsonb, :now, last_change from conv
)
select last_seq, last_change, kind, hearers, state, conversation_id, :now::timestamptz as sent_at
  from conv"""
    ),
)

# What is answered must be there, and the root of a thread must not be an answer in another.
send_linked = maybe(
    Sent,
    _filled(
        _SEND,
        checks="""and (:reply_to::bigint is null or exists (
                select from messages quoted where quoted.conversation_id = :conversation_id
                   and quoted.seq = :reply_to and quoted.deleted_at is null))
       and (:thread_root::bigint is null or exists (
                select from messages root where root.conversation_id = :conversation_id
                   and root.seq = :thread_root and root.thread_root is null and root.deleted_at is null))""",
        columns=", mentions, reply_to, thread_root",
        values=", :mentions::uuid[], :reply_to::bigint, :thread_root::bigint",
        more=""", named as (
    insert into mentions (conversation_id, user_id, seq)
    select :conversation_id, person.user_id, conv.last_seq
      from conv cross join members person
     where person.conversation_id = :conversation_id and person.user_id = any (:mentions::uuid[])
       and person.user_id <> :sender_id and person.state = 'joined'
), root as (
    update messages
       set thread_size = thread_size + 1, thread_last_seq = conv.last_seq, change_no = conv.last_change,
           revision = revision + 1
      from conv where messages.conversation_id = :conversation_id and messages.seq = :thread_root
)""",
    ),
)

# As a linked message does to the root of its thread.
count_answer = run("""
update messages
   set thread_size = thread_size + 1, thread_last_seq = :answer_seq, change_no = :change_no, revision = revision + 1
 where conversation_id = :conversation_id and seq = :seq""")

# Who may not read there any more is told nothing of it.
find_sent = maybe(
    Message,
    sql("""
select {message said} from messages said
 where said.conversation_id = :conversation_id and said.sender_id = :user_id
   and said.client_msg_id = :client_msg_id and said.seq >= {first}"""),
)

# One that was in the archive, or still is.
find_sent_before = maybe(
    Message,
    sql("""
select {message said} from every_message said
 where said.conversation_id = :conversation_id and said.seq >= {first}
   and said.seq = (select known.seq from archived_sends known
                    where known.conversation_id = :conversation_id and known.sender_id = :user_id
                      and known.client_msg_id = :client_msg_id)"""),
)

find_why_not_sent = maybe(
    NotSent,
    """
select mine.state = 'invited' and c.kind <> 'direct' or c.is_blocked as is_outside,
       c.kind = 'direct' and c.member_count < 2 and mine.state = 'joined' and c.last_seq >= :request_messages
       as is_waiting,
       mine.role = 'member' and c.posting = 'admins' as is_silent,
       case when mine.role = 'member' and c.slow_mode_seconds > 0 and mine.last_sent_at is not null
            then extract(epoch from mine.last_sent_at + c.slow_mode_seconds * interval '1 second' - :now::timestamptz)
            else 0 end::float8 as wait
  from conversations c
  join members mine on mine.conversation_id = c.conversation_id and mine.user_id = :sender_id
 where c.conversation_id = :conversation_id and mine.state in ('joined', 'invited')""",
)
