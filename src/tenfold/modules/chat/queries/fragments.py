"""Pieces of SQL that several statements of chat share: the columns of each shape, what is unread, who may read.

A statement names a piece in braces: `{message said}` are the columns of a message called `said`, in the order of its
shape; the pieces about a reader speak of the conversation `c` and of its member `mine`.
"""

import re

_MESSAGE = (
    "conversation_id, seq, sender_id, kind, body, created_at, change_no, revision, client_msg_id, attachments, "
    "mentions, reply_to, thread_root, thread_size, thread_last_seq, reactions, notice, edited_at, deleted_at, "
    "pinned_at, pinned_by"
)
_MEMBER = "user_id, state, role, inviter_id, since, shown_seq, delivered_seq, change_no"
_CONVERSATION = (
    "conversation_id as id, kind, title, topic, access, posting, creator_id, created_at, last_message_at, last_seq, "
    "last_change, change_no, first_seq, member_count, one_id, other_id, slow_mode_seconds, retention_days, is_blocked"
)

# A direct message of a stranger can be read before it is accepted; into a group one must have come.
_READS = "(mine.state = 'joined' or mine.state = 'invited' and c.kind = 'direct')"

# The first message that a reader may have; none for whoever is no reader, so that nothing is found.
_FIRST = """
(select c.first_seq from conversations c
   join members mine on mine.conversation_id = c.conversation_id
  where c.conversation_id = :conversation_id and mine.user_id = :user_id and {reads})"""

# The last message that a reader has no business with: read already, or not kept any more.
_FLOOR = "greatest(mine.read_seq, c.first_seq - 1)"

# What others wrote after the marker, and did not delete: all numbers after it, without the messages that nobody has to
# read (they have an index of their own), and without one's own, which lie behind the marker unless it was set back.
_UNREAD = """
(greatest(c.last_seq - {floor}, 0)
 - (select count(*) from messages past where past.conversation_id = c.conversation_id and past.seq > {floor}
       and (past.kind = 'notice' or past.deleted_at is not null))
 - case when mine.sent_seq > {floor} then
      (select count(*) from messages own where own.conversation_id = c.conversation_id and own.seq > {floor}
          and own.seq <= mine.sent_seq and own.sender_id = mine.user_id and own.kind = 'text'
          and own.deleted_at is null) else 0 end
 - case when {floor} < c.archived_seq then
      (select count(*) from archived_messages old where old.conversation_id = c.conversation_id and old.seq > {floor}
          and old.sender_id = mine.user_id) else 0 end)::bigint"""

_MENTIONED = """
(select count(*) from mentions named where named.conversation_id = c.conversation_id
    and named.user_id = mine.user_id and named.seq > {floor})"""

# Looks into the archive only for a marker that stands there.
_FIRST_AFTER = """
(select later.seq from {table} later where later.conversation_id = c.conversation_id and later.seq > {floor}
    and later.kind = 'text' and later.deleted_at is null and later.sender_id is distinct from mine.user_id
  order by later.seq limit 1)"""

_FIRST_UNREAD = (
    "case when {floor} < c.archived_seq then"
    + _FIRST_AFTER.replace("{table}", "every_message")
    + " else"
    + _FIRST_AFTER.replace("{table}", "messages")
    + " end"
)

_PIECES = {
    "reads": _READS,
    "first": _FIRST,
    "unread": _UNREAD,
    "mentioned": _MENTIONED,
    "first unread": _FIRST_UNREAD,
    "floor": _FLOOR,
}
_COLUMNS = {"message": _MESSAGE, "member": _MEMBER, "conversation": _CONVERSATION}
_PIECE = re.compile(r"\{(\w+(?: \w+)?)\}")


def sql(statement: str) -> str:
    """A statement with the pieces that it names in their places."""
    while _PIECE.search(statement):
        statement = _PIECE.sub(lambda match: _piece(match[1]), statement)
    return statement


def message_columns(alias: str) -> str:
    """The columns of a message, in the order of its shape."""
    return _under(alias, _MESSAGE)


def _piece(name: str) -> str:
    if name in _PIECES:
        return _PIECES[name]
    shape, alias = name.split(" ")
    return _under(alias, _COLUMNS[shape])


def _under(alias: str, columns: str) -> str:
    return ", ".join(f"{alias}.{column}" for column in columns.split(", "))
