"""Statements that reach into the archive: to read a message there, or to bring back one that is about to change."""

from tenfold.modules.chat.queries.fragments import sql
from tenfold.modules.chat.shapes import Message
from tenfold.platform.db import maybe, run

find_archived = maybe(
    Message,
    sql("""
select {message said} from archived_messages said
 where said.conversation_id = :conversation_id and said.seq = :seq and said.seq >= {first}"""),
)

bring_back = run("""
with back as (
    delete from archived_messages where conversation_id = :conversation_id and seq = :seq returning *
)
insert into messages select * from back""")
