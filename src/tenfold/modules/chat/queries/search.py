"""Statements that find messages across one's conversations: by their words, and those that name oneself.

Ids come first, from the asker's home; then the rows of those conversations, in one statement that looks at them alone.
"""

from uuid import UUID

from tenfold.modules.chat.queries.fragments import sql
from tenfold.modules.chat.shapes import Message
from tenfold.platform.db import many

list_my_conversation_ids = many(
    UUID,
    "select conversation_id from memberships where user_id = :user_id and state = 'joined'",
)

# The latest of one's conversations, with what each of them still keeps.
_PLACES = """
with place as materialized (
    select c.conversation_id, c.first_seq from conversations c
      join members mine on mine.conversation_id = c.conversation_id and mine.user_id = :user_id
     where c.conversation_id = any (:ids::uuid[]) and {reads}
     order by c.last_message_at desc limit :reach
)"""

_BEFORE = """(:before_at::timestamptz is null
        or (said.created_at, said.conversation_id, said.seq) < (:before_at, :before_id::uuid, :before_seq::bigint))"""


def _across(statement: str) -> str:
    """A statement over the asker's places, newest message first."""
    return sql(statement.replace("{places}", _PLACES).replace("{before}", _BEFORE))


# The id of its conversation is a word of every message, so one index finds the words in these conversations. There is
# no other way to them: the planner takes reading them all for cheaper than it is.
search_messages = many(
    Message,
    _across("""{places}, hit as materialized (
    select * from every_message
     where (to_tsvector('simple', body) || array_to_tsvector(array[conversation_id::text]))
           @@ (websearch_to_tsquery('simple', :words)
               && (select string_agg(quote_literal(conversation_id::text), ' | ')::tsquery from place))
       and numnode(websearch_to_tsquery('simple', :words)) > 0
       and kind = 'text' and deleted_at is null
)
select {message said} from hit said
  join place on place.conversation_id = said.conversation_id
 where said.seq >= place.first_seq and {before}
 order by said.created_at desc, said.conversation_id desc, said.seq desc limit :limit"""),
)

list_mentions = many(
    Message,
    _across("""{places}
select {message said} from place
 cross join lateral (
    select said.* from mentions named
     cross join lateral (select * from every_message
                          where conversation_id = named.conversation_id and seq = named.seq limit 1) said
     where named.conversation_id = place.conversation_id and named.user_id = :user_id
       and named.seq >= place.first_seq and said.deleted_at is null and {before}
     order by named.seq desc limit :limit) said
 order by said.created_at desc, said.conversation_id desc, said.seq desc limit :limit"""),
)
