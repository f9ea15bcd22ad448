"""Statements that answer who knows whom (by a direct conversation, or a smaller group), and who is awake."""

from datetime import datetime
from uuid import UUID

import msgspec

from tenfold.platform.db import many, run


class Active(msgspec.Struct, frozen=True):
    """The last sign of life of somebody."""

    user_id: UUID
    active_at: datetime


# A client that says it too often writes nothing.
touch = run("""
insert into activity (user_id, active_at) values (:user_id, :now)
    on conflict (user_id) do update set active_at = excluded.active_at
     where activity.active_at < excluded.active_at - interval '30 seconds'""")

list_active = many(Active, "select user_id, active_at from activity where user_id = any (:user_ids::uuid[])")

# Of these direct conversations, the other person of each that both have accepted.
list_direct_peers = many(
    UUID,
    """
select case when c.one_id = :user_id then c.other_id else c.one_id end as user_id
  from conversations c
 where c.conversation_id = any (:ids::uuid[]) and not c.is_blocked
   and :user_id in (c.one_id, c.other_id)
   and not exists (select from members person where person.conversation_id = c.conversation_id
                      and person.state <> 'joined')""",
)

list_my_groups = many(
    UUID,
    """
select conversation_id from memberships
 where user_id = :user_id and kind = 'group' and state = 'joined' order by conversation_id limit :limit""",
)

list_moderate = many(
    UUID,
    """
select c.conversation_id from conversations c
 where c.conversation_id = any (:ids::uuid[]) and c.member_count <= :size""",
)

list_group_peers = many(
    UUID,
    """
select distinct user_id from members
 where conversation_id = any (:ids::uuid[]) and user_id = any (:user_ids::uuid[]) and state = 'joined'""",
)
