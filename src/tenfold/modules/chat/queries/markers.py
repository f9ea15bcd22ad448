"""Statements about markers: each is "up to", moves forward only (except back to unread), and writes one row at most."""

from tenfold.modules.chat.queries.fragments import sql
from tenfold.modules.chat.rows import Marked
from tenfold.modules.chat.shapes import Marker
from tenfold.platform.db import many, maybe

# What a stranger wrote is read in private until it is accepted; in a channel everybody reads in private, and what has
# arrived is of interest to nobody.
_SHOWN = "(c.kind <> 'channel' and mine.state = 'joined' and not c.is_blocked)"


def _marking(statement: str) -> str:
    return sql(statement.replace("{shown}", _SHOWN))


# A private receipt moves the reader's own marker alone.
mark_read = maybe(
    Marked,
    _marking("""
update members mine
   set read_seq = greatest(mine.read_seq, least(:seq, c.last_seq)),
       shown_seq = case when :is_private::boolean or not {shown} then mine.shown_seq
                        else greatest(mine.shown_seq, least(:seq, c.last_seq)) end,
       delivered_seq = case when :is_private or not {shown} then mine.delivered_seq
                            else greatest(mine.delivered_seq, least(:seq, c.last_seq)) end,
       is_marked_unread = false
  from conversations c
 where c.conversation_id = :conversation_id and mine.conversation_id = :conversation_id and mine.user_id = :user_id
   and {reads} and (mine.read_seq < least(:seq, c.last_seq) or mine.is_marked_unread
                    or not :is_private and {shown} and mine.shown_seq < least(:seq, c.last_seq))
returning mine.read_seq, mine.shown_seq, mine.delivered_seq, mine.is_marked_unread, {shown} as is_shown"""),
)

mark_delivered = maybe(
    Marked,
    _marking("""
update members mine set delivered_seq = least(:seq, c.last_seq)
  from conversations c
 where c.conversation_id = :conversation_id and mine.conversation_id = :conversation_id and mine.user_id = :user_id
   and {shown} and mine.delivered_seq < least(:seq, c.last_seq)
returning mine.read_seq, mine.shown_seq, mine.delivered_seq, mine.is_marked_unread, {shown} as is_shown"""),
)

# What others were told stays told.
mark_unread = maybe(
    Marked,
    _marking("""
update members mine set read_seq = least(mine.read_seq, coalesce(:seq - 1, mine.read_seq)), is_marked_unread = true
  from conversations c
 where c.conversation_id = :conversation_id and mine.conversation_id = :conversation_id and mine.user_id = :user_id
   and {reads} and (not mine.is_marked_unread or :seq <= mine.read_seq)
returning mine.read_seq, mine.shown_seq, mine.delivered_seq, mine.is_marked_unread, {shown} as is_shown"""),
)

list_markers = many(
    Marker,
    sql("""
select person.user_id, person.shown_seq as read_seq, person.delivered_seq
  from members person
 where person.conversation_id = :conversation_id and person.state = 'joined'
   and (:after::uuid is null or person.user_id > :after)
   and exists (select from conversations c
                 join members mine on mine.conversation_id = c.conversation_id
                where c.conversation_id = :conversation_id and mine.user_id = :user_id and c.kind <> 'channel'
                  and {reads})
 order by person.user_id limit :limit"""),
)
