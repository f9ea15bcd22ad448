"""Statements about members: at the conversation's home who is in it, at each person's home what they are in."""

from uuid import UUID

from tenfold.modules.chat.queries.fragments import sql
from tenfold.modules.chat.rows import Standing
from tenfold.modules.chat.shapes import MemberRow
from tenfold.platform.db import many, maybe, one, run

# Before a conversation is held, the member who changes is: sending takes the two locks in this order.
hold_member = maybe(
    MemberRow,
    sql("""
select {member person} from members person
 where person.conversation_id = :conversation_id and person.user_id = :user_id for update"""),
)

# All of them, so of a direct conversation only.
hold_members = many(
    MemberRow,
    sql("""
select {member person} from members person
 where person.conversation_id = :conversation_id order by person.user_id for update"""),
)

find_member = maybe(
    MemberRow,
    sql("""
select {member person} from members person
 where person.conversation_id = :conversation_id and person.user_id = :user_id"""),
)

find_standing = maybe(
    Standing,
    "select state, role from members where conversation_id = :conversation_id and user_id = :user_id",
)

may_read = one(
    bool,
    sql("""
select exists (select from conversations c
                 join members mine on mine.conversation_id = c.conversation_id
                where c.conversation_id = :conversation_id and mine.user_id = :user_id and {reads})"""),
)

may_listen = one(
    bool,
    """
select exists (select from conversations c
                 join members mine on mine.conversation_id = c.conversation_id
                where c.conversation_id = :conversation_id and mine.user_id = :user_id and mine.state = 'joined'
                  and not c.is_blocked)""",
)

# Whoever comes anew has nothing to read yet: their markers stand where the conversation stands. A channel is not held
# by those who come: who has come meanwhile is neither invited nor brought in once more, and no row is written.
save_member = run("""
insert into members (conversation_id, user_id, state, role, inviter_id, since, read_seq, shown_seq, delivered_seq,
                     change_no)
values (:conversation_id, :user_id, :state, :role, :inviter_id, :since, :seq, :seq, :seq, :change_no)
on conflict (conversation_id, user_id) do update
   set state = excluded.state, role = excluded.role, inviter_id = excluded.inviter_id, since = excluded.since,
       read_seq = greatest(members.read_seq, excluded.read_seq),
       shown_seq = greatest(members.shown_seq, excluded.shown_seq),
       delivered_seq = greatest(members.delivered_seq, excluded.delivered_seq), change_no = excluded.change_no
 where members.state <> 'joined' or excluded.state in ('left', 'removed')
    or excluded.state = 'joined' and excluded.change_no > 0""")

insert_invited = run("""
insert into members (conversation_id, user_id, state, inviter_id, since)
select :conversation_id, person.id, 'invited', :inviter_id, :now from unnest(:user_ids::uuid[]) as person(id)""")

insert_invitations = run("""
insert into memberships (user_id, conversation_id, kind, state)
select person.id, :conversation_id, :kind, 'invited' from unnest(:user_ids::uuid[]) as person(id)""")

save_membership = run("""
insert into memberships (user_id, conversation_id, kind, state)
values (:user_id, :conversation_id, :kind, :state)
on conflict (user_id, conversation_id) do update set state = excluded.state""")

delete_membership = run("delete from memberships where user_id = :user_id and conversation_id = :conversation_id")

# To whoever sent a request it is an invitation, since the conversation was opened: that it was declined is not shown.
list_members = many(
    MemberRow,
    sql("""
select person.user_id, shown.state, person.role, person.inviter_id, shown.since, person.shown_seq,
       person.delivered_seq, person.change_no
  from members person
  join conversations c on c.conversation_id = person.conversation_id
  join members mine on mine.conversation_id = c.conversation_id and mine.user_id = :user_id and {reads}
 cross join lateral (
    select case when is_declined then 'invited' else person.state end as state,
           case when is_declined then c.created_at else person.since end as since
      from (select c.kind = 'direct' and person.state = 'left' as is_declined) request) shown
 where person.conversation_id = :conversation_id and shown.state = any (:states::text[])
   and (:after::uuid is null or person.user_id > :after)
 order by person.user_id limit :limit"""),
)

list_member_ids = many(
    UUID,
    """
select user_id from members where conversation_id = :conversation_id and state = 'joined'
 order by since, user_id limit :limit""",
)

has_another_owner = one(
    bool,
    """
select exists (select from members where conversation_id = :conversation_id and role = 'owner' and state = 'joined'
                  and user_id <> :user_id)""",
)

# Who becomes the owner where nobody is left to be one. They are held: who is just leaving a channel is not chosen.
find_heir = maybe(
    MemberRow,
    sql("""
select {member person} from members person
 where person.conversation_id = :conversation_id and person.state = 'joined'
   and not exists (select from members owner where owner.conversation_id = :conversation_id
                      and owner.state = 'joined' and owner.role = 'owner')
 order by person.role = 'admin' desc, person.since, person.user_id limit 1 for update of person"""),
)

count_invited = one(
    int,
    """
select count(*) from (
    select from members where conversation_id = :conversation_id and state = 'invited' limit :limit) waiting""",
)

list_invited_by = many(
    UUID,
    """
select conversation_id from members
 where conversation_id = any (:ids::uuid[]) and user_id = :user_id and state = 'invited' and inviter_id = :inviter_id
 order by conversation_id""",
)

mute_place = run("""
update memberships set is_muted = :is_muted, muted_until = :until
 where user_id = :user_id and conversation_id = :conversation_id""")

hide_place = run("""
update memberships set hidden_seq = :seq where user_id = :user_id and conversation_id = :conversation_id""")

archive_place = run("""
update memberships set is_archived = :is_archived
 where user_id = :user_id and conversation_id = :conversation_id""")
