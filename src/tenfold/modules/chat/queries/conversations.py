"""Statements about conversations: open, look at, hold, change; and the list of somebody's own, ids first."""

from uuid import UUID

from tenfold.modules.chat.queries.fragments import sql
from tenfold.modules.chat.rows import MyPlace, Position, SeenRow, UnreadRow
from tenfold.modules.chat.shapes import ConversationRow
from tenfold.platform.db import many, maybe, one, run

insert_conversation = run("""
insert into conversations (conversation_id, kind, title, topic, access, posting, creator_id, created_at, one_id,
                           other_id, member_count, last_message_at)
values (:conversation_id, :kind, :title, :topic, :access, :posting, :creator_id, :now, :one_id,
        :other_id, :member_count, :now)
on conflict (conversation_id) do nothing""")

find_conversation = maybe(
    ConversationRow,
    sql("select {conversation c} from conversations c where c.conversation_id = :conversation_id"),
)

# Whoever holds a conversation is the only one to change it: what they read after this statement stays as it is.
hold_conversation = maybe(
    ConversationRow,
    sql("""
select {conversation c} from conversations c where c.conversation_id = :conversation_id for update"""),
)

save_conversation = run("""
update conversations
   set title = :title, topic = :topic, access = :access, posting = :posting, slow_mode_seconds = :slow_mode_seconds,
       retention_days = :retention_days, member_count = coalesce(:member_count, member_count), first_seq = :first_seq,
       last_seq = :last_seq, last_change = :last_change, change_no = :change_no, last_message_at = :last_message_at,
       is_blocked = :is_blocked
 where conversation_id = :conversation_id""")

# No change of the conversation: who is blocked is not told so.
set_blocked = run("""
update conversations set is_blocked = :is_blocked
 where conversation_id = :conversation_id and kind = 'direct' and is_blocked <> :is_blocked""")

insert_notice = run("""
insert into messages (conversation_id, seq, sender_id, kind, body, notice, created_at, change_no)
values (:conversation_id, :seq, :sender_id, 'notice', '', :notice, :now, :change_no)""")

_PLACE = """
select conversation_id, state, is_muted and (muted_until is null or muted_until > :now) as is_muted,
       case when muted_until > :now then muted_until end as muted_until, is_archived, hidden_seq
  from memberships where user_id = :user_id"""

list_my_places = many(MyPlace, _PLACE)

find_my_place = maybe(MyPlace, _PLACE + " and conversation_id = :conversation_id")

_SEEN = """
select {conversation c}, mine.state, mine.role, mine.read_seq, mine.delivered_seq, mine.is_marked_unread,
       {unread} as unread, {mentioned} as mentions, {first unread} as first_unread,
       latest.seq as latest_seq, latest.sender_id as latest_sender_id, latest.kind as latest_kind,
       latest.body as latest_body, latest.notice as latest_notice, latest.deleted_at as latest_deleted_at
  from {some}
  left join members mine on mine.conversation_id = c.conversation_id and mine.user_id = :user_id
        and mine.state in ('joined', 'invited')
  left join messages latest on latest.conversation_id = c.conversation_id and latest.seq = c.last_seq and {reads}"""

# Of these conversations, a page by their latest message. One that was hidden is back when it has a later message.
list_by_latest = many(
    SeenRow,
    sql(
        """
with page as materialized (
    select c.conversation_id
      from unnest(:ids::uuid[], :hidden::bigint[]) as place(id, hidden_seq)
      join conversations c on c.conversation_id = place.id
     where (c.last_seq > place.hidden_seq) <> :is_hidden::boolean
       and (:before_at::timestamptz is null
            or (c.last_message_at, c.conversation_id) < (:before_at, :before_id::uuid))
     order by c.last_message_at desc, c.conversation_id desc limit :limit
){seen}
 order by c.last_message_at desc, c.conversation_id desc""".replace(
            "{seen}", _SEEN.replace("{some}", "page join conversations c on c.conversation_id = page.conversation_id")
        )
    ),
)

# One conversation; an open one is known to all.
find_seen = maybe(
    SeenRow,
    sql(
        _SEEN.replace("{some}", "conversations c")
        + " where c.conversation_id = :conversation_id and (c.access = 'open' or mine.state is not null)"
    ),
)

count_unread = many(
    UnreadRow,
    sql("""
select c.conversation_id, {unread}::bigint as unread, {mentioned} as mentions, mine.is_marked_unread
  from conversations c
  join members mine on mine.conversation_id = c.conversation_id and mine.user_id = :user_id
 where c.conversation_id = any (:ids::uuid[]) and mine.state = 'joined'
   and (c.last_seq > mine.read_seq or mine.is_marked_unread)"""),
)

list_positions = many(
    Position, "select conversation_id, last_change from conversations where conversation_id = any (:ids::uuid[])"
)

# What waits for somebody's answer.
list_my_invitations = many(
    UUID, "select conversation_id from memberships where user_id = :user_id and state = 'invited'"
)

# Those of these people for whom as many invitations wait as may; some more, when several are sent at one instant.
list_sought_after = many(
    UUID,
    """
select person.id from unnest(:user_ids::uuid[]) as person(id)
 where (select count(*) from (select from memberships where user_id = person.id and state = 'invited'
                               limit :limit) waiting) >= :limit""",
)

# Invitations take no place: others give them.
count_my_places = one(
    int,
    """
select count(*) from (
    select from memberships where user_id = :user_id and state = 'joined' limit :limit) place""",
)
