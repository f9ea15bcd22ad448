"""Statements about messages: a stretch of history in either direction, one by its number, a change of one, its past."""

from tenfold.modules.chat.queries.fragments import sql
from tenfold.modules.chat.shapes import EarlierBody, Message
from tenfold.platform.db import many, maybe, run

# Where the archive has a part in it, both are asked at once: between two statements a message may move from one to the
# other, and be read twice or not at all.
_BEFORE = """
select {message said} from {table} said
 where said.conversation_id = :conversation_id and said.seq < :before and said.seq >= {first}
 order by said.seq desc limit :limit"""
_AFTER = """
select {message said} from {table} said
 where said.conversation_id = :conversation_id and said.seq > :after and said.seq >= {first}
 order by said.seq limit :limit"""
_ONE = """
select {message said} from {table} said
 where said.conversation_id = :conversation_id and said.seq = :seq and said.seq >= {first}"""


def _of(table: str, statement: str) -> str:
    return sql(statement.replace("{table}", table))


list_before = many(Message, _of("messages", _BEFORE))
list_every_before = many(Message, _of("every_message", _BEFORE))
list_after = many(Message, _of("messages", _AFTER))
list_every_after = many(Message, _of("every_message", _AFTER))
find_message = maybe(Message, _of("messages", _ONE))
find_in_every = maybe(Message, _of("every_message", _ONE))

# For whoever holds the conversation: everything that can change in a message, and the number of the change.
save_message = run("""
with conv as (
    update conversations set last_change = :change_no where conversation_id = :conversation_id
)
update messages
   set sender_id = :sender_id, body = :body, attachments = :attachments, mentions = :mentions, reactions = :reactions,
       thread_size = :thread_size, thread_last_seq = :thread_last_seq, edited_at = :edited_at,
       deleted_at = :deleted_at, pinned_at = :pinned_at, pinned_by = :pinned_by, change_no = :change_no,
       revision = :revision
 where conversation_id = :conversation_id and seq = :seq""")

insert_edit = run("""
insert into message_edits (conversation_id, seq, edit_id, body, written_at)
values (:conversation_id, :seq, :edit_id, :body, :written_at)""")

# What a message on hold said before is kept as well, and not shown either.
list_edits = many(
    EarlierBody,
    sql("""
select edit.edit_id as id, edit.body, edit.written_at from message_edits edit
 where edit.conversation_id = :conversation_id and edit.seq = :seq and edit.seq >= {first}
   and (:before::uuid is null or edit.edit_id < :before)
   and not exists (select from messages gone where gone.conversation_id = :conversation_id and gone.seq = :seq
                      and gone.deleted_at is not null)
 order by edit.edit_id desc limit :limit"""),
)

# What hangs on a message and goes with it.
clear_message = run("""
with edits as (
    delete from message_edits where conversation_id = :conversation_id and seq = :seq
), named as (
    delete from mentions where conversation_id = :conversation_id and seq = :seq
)
delete from reactions where conversation_id = :conversation_id and seq = :seq""")

replace_mentions = run("""
with gone as (
    delete from mentions where conversation_id = :conversation_id and seq = :seq
       and user_id <> all (:mentions::uuid[])
)
insert into mentions (conversation_id, user_id, seq)
select person.conversation_id, person.user_id, :seq from members person
 where person.conversation_id = :conversation_id and person.user_id = any (:mentions::uuid[])
   and person.user_id <> :sender_id and person.state = 'joined'
on conflict do nothing""")
