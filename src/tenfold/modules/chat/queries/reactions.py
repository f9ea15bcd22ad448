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


insert_reaction = run("""
insert into reactions (conversation_id, seq, user_id, emoji, reaction_id)
values (:conversation_id, :seq, :user_id, :emoji, :reaction_id) on conflict do nothing""")

delete_reaction = run("""
delete from reactions
 where conversation_id = :conversation_id and seq = :seq and user_id = :user_id and emoji = :emoji""")

list_reactors = many(
    ReactorRow,
    sql("""
select reaction.reaction_id, reaction.user_id from reactions reaction
 where reaction.conversation_id = :conversation_id and reaction.seq = :seq and reaction.emoji = :emoji
   and reaction.seq >= {first} and (:after::uuid is null or reaction.reaction_id > :after)
 order by reaction.reaction_id limit :limit"""),
)

list_my_reactions = many(
    MyReaction,
    """
select seq, emoji from reactions
 where conversation_id = :conversation_id and seq = any(:seqs::bigint[]) and user_id = :user_id
 order by seq, reaction_id""",
)
