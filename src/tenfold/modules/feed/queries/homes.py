"""Statements that keep homes: wake, rebuild, trim, empty, and push a post into those of its author's followers."""

from uuid import UUID

from tenfold.modules.feed.queries.fragments import fill, follows, for_home, meets, unmuted, visible
from tenfold.modules.feed.shapes import Reader
from tenfold.platform.db import many, maybe, run

# A home that was not active is stale whatever it holds: nothing was pushed to it meanwhile.
wake_home = run("""
insert into homes as home (user_id, active, stale, floor_id, active_at) values (:user_id, true, true, :floor_id, :now)
on conflict (user_id) do update
   set stale = home.stale or not home.active, active = true, active_at = excluded.active_at""")

lock_stale_home = maybe(bool, "select true from homes where user_id = :user_id and active and stale for update")

touch_home = run("update homes set active_at = :now where user_id = :user_id and active")

empty_home = run("delete from home_entries where user_id = :user_id")

# The newest posts of everyone followed (pulled authors aside), `cap` at most, and at most `depth` of each: fewer where
# very many are followed, so that about 40,000 rows are the most that is looked at. The floor rises to the newest point
# at which a limit may have cut something off, so that what is kept has no gap; below it, readers pull.
rebuild_home = run("""
with reach as materialized (
    select least(:depth, greatest(5, 40000 / greatest(count(*), 1))) as depth from follows where follower_id = :user_id
), recent as materialized (
    select post.post_id, source.author_id, post.place
      from (select followee_id as author_id from follows
             where follower_id = :user_id
               and (followee_id in (select author_id from pulled_authors)) is not true) source
     cross join lateral (
            select post_id, row_number() over (order by post_id desc) as place from posts
             where posts.author_id = source.author_id and posts.deleted_at is null
             order by post_id desc limit (select depth from reach)) post
), newest as materialized (
    select post_id, author_id, row_number() over (order by post_id desc) as place
      from recent order by post_id desc limit :cap
), floor as materialized (
    select greatest((select post_id from newest where place = :cap),
                    (select post_id from recent where place = (select depth from reach) order by post_id desc limit 1),
                    :nil::uuid) as post_id
), kept as (
    insert into home_entries (user_id, post_id, author_id)
    select :user_id, newest.post_id, newest.author_id from newest
     where newest.post_id >= (select post_id from floor)
    on conflict do nothing
)
update homes set stale = false, floor_id = (select post_id from floor) where user_id = :user_id""")

# Nothing happens unless the home holds more than `twice`; then the newest `cap` stay.
trim_home = run("""
with cut as materialized (
    select post_id
      from (select post_id from home_entries where user_id = :user_id order by post_id desc limit :cap) kept
     where (select count(*) from (select 1 from home_entries where user_id = :user_id limit :twice + 1) held) > :twice
     order by post_id limit 1
), raised as (
    update homes set floor_id = greatest(floor_id, cut.post_id) from cut where user_id = :user_id
)
delete from home_entries using cut where user_id = :user_id and home_entries.post_id < cut.post_id""")

# Locked rows belong to a home that somebody is waking: it is not idle.
list_idle_homes = many(
    UUID,
    """
select user_id from homes where active and active_at < :before
 order by active_at limit :limit for update skip locked""",
)

put_to_sleep = run("""
with asleep as (
    update homes set active = false, stale = true where user_id = any(:user_ids)
)
delete from home_entries where user_id = any(:user_ids)""")

# One batch of followers, in the order of their ids. An author who is pulled is not pushed; this statement's snapshot
# decides, so that whoever reads later sees either the entry or the author among the pulled.
push_to_followers = many(
    UUID,
    """
with reached as materialized (
    select follower_id from followers where user_id = :author_id and follower_id > :after
     order by follower_id limit :limit
), pushed as (
    insert into home_entries (user_id, post_id, author_id)
    select reached.follower_id, :post_id, :author_id from reached
      join homes on homes.user_id = reached.follower_id
     where homes.active and not exists (select 1 from pulled_authors where author_id = :author_id)
    on conflict do nothing
)
select follower_id from reached order by follower_id""",
)

# Those of some readers to whose home a post belongs, asked as each of them; with `anywhere`, those who may see it in a
# repost or a quote.
list_readers = many(
    Reader,
    fill(
        """
select reader.user_id, {follows} is true as follows_author,
       (select true from posts original
         where original.author_id = coalesce(post.repost_of_author_id, post.quote_of_author_id)
           and original.post_id = coalesce(post.repost_of_id, post.quote_of_id)
           and {original_visible} and {original_unmuted}) is true as sees_original
  from posts post
 cross join unnest(:reader_ids::uuid[]) as reader(user_id)
 where post.author_id = :author_id and post.post_id = :post_id
   and {visible} and {unmuted} and (:anywhere::bool or ({for_home}))""",
        follows=follows("post"),
        original_visible=visible("original"),
        original_unmuted=unmuted("original"),
        visible=visible("post"),
        unmuted=unmuted("post"),
        for_home=for_home("post"),
    ).replace(":viewer_id", "reader.user_id"),
)

insert_public_post = run("""
insert into public_posts (post_id, author_id)
select post_id, author_id from posts
 where author_id = :author_id and post_id = :post_id and visibility = 'public' and deleted_at is null
   and reply_to_id is null and repost_of_id is null
on conflict do nothing""")

trim_public = run("""
delete from public_posts where post_id < (
    select post_id from (select post_id from public_posts order by post_id desc limit :cap) kept
     order by post_id limit 1)""")

lock_author = run("select pg_advisory_xact_lock(hashtextextended(:author_id::uuid::text, 7301150201))")

hide_author = run("insert into hidden_authors (author_id) values (:author_id) on conflict do nothing")

show_author = run("delete from hidden_authors where author_id = :author_id")

is_meetable = maybe(
    bool,
    fill("select true from (select :author_id::uuid as author_id) other where {meets}", meets=meets("other")),
)

list_followers_after = many(
    UUID,
    """
select follower_id from followers where user_id = :author_id and follower_id > :after
 order by follower_id limit :limit""",
)
