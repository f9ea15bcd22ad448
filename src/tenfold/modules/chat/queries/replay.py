"""Statements that answer what somebody has missed: every row that changed after a change they know."""

from tenfold.modules.chat.queries.fragments import sql
from tenfold.modules.chat.shapes import MemberRow, Message
from tenfold.platform.db import many

# As many messages as there were changes since can be new at most, so the new ones are the end of the conversation, and
# the ones that changed have an index of their own. No two rows of one half have the same change, so with `limit` of
# each the first `limit` changes are whole: an answer in a thread and its root are touched by one change. Callers give
# `floor = last_seq - (last_change - since)`.
list_changed_messages = many(
    Message,
    sql("""
select {message said} from (
    (select * from messages
      where conversation_id = :conversation_id and seq > :floor and seq >= :first_seq and change_no > :since
        and revision = 0
      order by seq limit :limit)
     union all
    (select * from messages
      where conversation_id = :conversation_id and seq >= :first_seq and change_no > :since and revision > 0
      order by change_no limit :limit)) said"""),
)

# Messages that moved to the archive: looked for only when one of them has changed since.
list_changed_archived = many(
    Message,
    sql("""
select {message said} from archived_messages said
 where said.conversation_id = :conversation_id and said.change_no > :since and said.seq >= :first_seq
   and (select c.archived_change from conversations c where c.conversation_id = :conversation_id) > :since
 order by said.change_no limit :limit"""),
)

list_changed_members = many(
    MemberRow,
    sql("""
select {member person} from members person
 where person.conversation_id = :conversation_id and person.change_no > :since and person.change_no > 0
 order by person.change_no limit :limit"""),
)
