"""Statements about who follows, blocks and mutes whom. Both homes of a relation are written by one statement."""

from uuid import UUID

from tenfold.modules.feed.queries.fragments import fill, meets
from tenfold.modules.feed.shapes import OtherRow, PersonRow, Relationship
from tenfold.platform.db import many, one, run

# A follow and a block of the same two people, whoever starts it, must see each other: both take this lock first, and
# look in a later statement, whose snapshot then has what the other committed.
lock_pair = run(
    "select pg_advisory_xact_lock(hashtextextended(least(:one_id::uuid, :other_id::uuid)::text"
    " || greatest(:one_id::uuid, :other_id::uuid)::text, 0))"
)

find_relationship = one(
    Relationship,
    """
select (select true from follows where follower_id = :user_id and followee_id = :other_id) is true as following,
       (select true from followers where user_id = :user_id and follower_id = :other_id) is true as followed_by,
       (select true from blocks
         where user_id = :user_id and other_id = :other_id and side = 'out') is true as blocking,
       (select true from blocks
         where user_id = :user_id and other_id = :other_id and side = 'in') is true as blocked_by,
       mute.user_id is not null as muting, mute.until as muted_until
  from (select 1) nobody
  left join mutes mute on mute.user_id = :user_id and mute.muted_id = :other_id
       and (mute.until is null or mute.until > :now)""",
)

list_blocked_among = many(
    UUID, "select distinct other_id from blocks where user_id = :user_id and other_id = any (:other_ids::uuid[])"
)

insert_follow = run("""
with followed as (
    insert into follows (follower_id, followee_id, follow_id) values (:user_id, :other_id, :follow_id)
    on conflict do nothing returning follow_id
), mirrored as (
    insert into followers (user_id, follower_id, follow_id)
    select :other_id, :user_id, follow_id from followed
), stale as (
    update homes set stale = true from followed where homes.user_id = :user_id
), gained as (
    insert into user_count_deltas (user_id, delta_id, followers) select :other_id, follow_id, 1 from followed
)
insert into user_count_deltas (user_id, delta_id, following) select :user_id, follow_id, 1 from followed""")

delete_follow = run("""
with unfollowed as (
    delete from follows where follower_id = :user_id and followee_id = :other_id returning follow_id
), mirrored as (
    delete from followers using unfollowed where followers.user_id = :other_id and followers.follower_id = :user_id
), stale as (
    update homes set stale = true from unfollowed where homes.user_id = :user_id
), lost as (
    insert into user_count_deltas (user_id, delta_id, followers) select :other_id, :delta_id, -1 from unfollowed
)
insert into user_count_deltas (user_id, delta_id, following) select :user_id, :delta_id, -1 from unfollowed""")

insert_block = run("""
with blocked as (
    insert into blocks (user_id, other_id, side, created_at) values (:user_id, :other_id, 'out', :now)
    on conflict do nothing returning user_id
)
insert into blocks (user_id, other_id, side, created_at) select :other_id, :user_id, 'in', :now from blocked
on conflict do nothing""")

delete_block = run("""
with mirrored as (
    delete from blocks where user_id = :other_id and other_id = :user_id and side = 'in'
)
delete from blocks where user_id = :user_id and other_id = :other_id and side = 'out'""")

upsert_mute = run("""
insert into mutes (user_id, muted_id, until, created_at) values (:user_id, :other_id, :until, :now)
on conflict (user_id, muted_id) do update set until = excluded.until""")

delete_mute = run("delete from mutes where user_id = :user_id and muted_id = :other_id")

# Whose list it is: looked up once, since nothing in it depends on the row.
_MEETS_OWNER = meets("owner").replace("owner.author_id", ":user_id")

_PEOPLE = """
select person.follow_id as position, person.{other_id} as user_id
  from {table} person
 where person.{owner_id} = :user_id and person.follow_id < :before and {meets} and {meets_owner}
 order by person.follow_id desc limit :limit"""

list_followers = many(
    PersonRow,
    fill(
        _PEOPLE,
        table="followers",
        owner_id="user_id",
        other_id="follower_id",
        meets=meets("person").replace("person.author_id", "person.follower_id"),
        meets_owner=_MEETS_OWNER,
    ),
)

list_following = many(
    PersonRow,
    fill(
        _PEOPLE,
        table="follows",
        owner_id="follower_id",
        other_id="followee_id",
        meets=meets("person").replace("person.author_id", "person.followee_id"),
        meets_owner=_MEETS_OWNER,
    ),
)

list_blocks = many(
    OtherRow,
    """
select other_id as user_id, created_at as since, null::timestamptz as until from blocks
 where user_id = :user_id and side = 'out' and other_id > :after order by other_id limit :limit""",
)

list_mutes = many(
    OtherRow,
    """
select muted_id as user_id, created_at as since, until from mutes
 where user_id = :user_id and muted_id > :after and (until is null or until > :now) order by muted_id limit :limit""",
)
