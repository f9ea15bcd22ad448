"""Statements about reactions. A message counts those of each kind; who reacted stands in rows beside it."""

from uuid import UUID

import msgspec

from tenfold.modules.chat.queries.fragments import sql
from tenfold.platform.db import many, run


class ReactorRow(msgspec.Struct, frozen=True):
    """Who reacted, and the place in the list."""

    id: UUID
    user_id: UUID


class MyReaction(msgspec.Struct, frozen=True):
    """One reaction of the asker's."""

    seq: int
    emoji: str


class KindCount(msgspec.Struct, frozen=True):
    """How many people reacted in one way."""

    emoji: str
    times: int


insert_reaction = run("""
insert into reactions (conversation_id, seq, user_id, emoji, reaction_id)
values (:conversation_id, :seq, :user_id, :emoji, :reaction_id) on conflict do nothing""")

delete_reaction = run("""
delete from reactions
 where conversation_id = :conversation_id and seq = :seq and user_id = :user_id and emoji = :emoji""")

# What people gave to a message on hold is kept for its release, and shown to nobody.
list_reactors = many(
    ReactorRow,
    sql("""
select reaction.reaction_id, reaction.user_id from reactions reaction
 where reaction.conversation_id = :conversation_id and reaction.seq = :seq and reaction.emoji = :emoji
   and reaction.seq >= {first} and (:after::uuid is null or reaction.reaction_id > :after)
   and not exists (select from messages gone where gone.conversation_id = :conversation_id and gone.seq = :seq
                      and gone.deleted_at is not null)
 order by reaction.reaction_id limit :limit"""),
)

count_reactions = many(
    KindCount,
    """
select emoji, count(*) as times from reactions
 where conversation_id = :conversation_id and seq = :seq group by emoji order by emoji""",
)

list_my_reactions = many(
    MyReaction,
    """
select seq, emoji from reactions
 where conversation_id = :conversation_id and seq = any(:seqs::bigint[]) and user_id = :user_id
 order by seq, reaction_id""",
)
