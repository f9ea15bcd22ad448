"""Statements about counters: read them exactly, fold pending deltas into the bases, and compare them with the rows."""

from uuid import UUID

from tenfold.modules.feed.queries.fragments import fill, meets
from tenfold.modules.feed.shapes import UserCounts
from tenfold.platform.db import many, maybe, one, run

# Folding and reconciling both change bases. One at a time: a reconciliation that waited for a fold's row would write
# what it counted before the fold.
lock_counts = run("select pg_advisory_xact_lock(7301150200)")

_COUNT_USER = """
select coalesce(base.posts, 0) + coalesce(pending.posts, 0) as posts,
       coalesce(base.followers, 0) + coalesce(pending.followers, 0) as followers,
       coalesce(base.following, 0) + coalesce(pending.following, 0) as following
  from (select sum(posts)::int as posts, sum(followers)::int as followers, sum(following)::int as following
          from user_count_deltas where user_id = :user_id) pending
  left join user_counts base on base.user_id = :user_id"""

count_user = one(UserCounts, _COUNT_USER)

# The same for somebody else to see: no row across a block, or for somebody hidden.
show_counts = maybe(
    UserCounts,
    fill("{count} where {meets}", count=_COUNT_USER, meets=meets("owner").replace("owner.author_id", ":user_id")),
)

# What a transaction has not committed yet is not seen, so not deleted: it waits for the next fold.
fold_post_counts = run("""
with due as materialized (
    select author_id, post_id, delta_id from post_count_deltas limit :limit
), folded as (
    delete from post_count_deltas delta using due
     where delta.author_id = due.author_id and delta.post_id = due.post_id and delta.delta_id = due.delta_id
    returning delta.*
)
insert into post_counts as base (author_id, post_id, likes, reposts, quotes, replies)
select author_id, post_id, sum(likes), sum(reposts), sum(quotes), sum(replies) from folded group by author_id, post_id
on conflict (author_id, post_id) do update
   set likes = base.likes + excluded.likes, reposts = base.reposts + excluded.reposts,
       quotes = base.quotes + excluded.quotes, replies = base.replies + excluded.replies""")

# Answers with those who have passed the threshold and are not pulled yet.
fold_user_counts = many(
    UUID,
    """
with due as materialized (
    select user_id, delta_id from user_count_deltas limit :limit
), folded as (
    delete from user_count_deltas delta using due where delta.user_id = due.user_id and delta.delta_id = due.delta_id
    returning delta.*
), summed as (
    insert into user_counts as base (user_id, posts, followers, following)
    select user_id, sum(posts), sum(followers), sum(following) from folded group by user_id
    on conflict (user_id) do update
       set posts = base.posts + excluded.posts, followers = base.followers + excluded.followers,
           following = base.following + excluded.following
    returning user_id, followers
)
select user_id from summed where followers >= :threshold
   and not exists (select 1 from pulled_authors where author_id = summed.user_id)""",
)

pull_authors = run("insert into pulled_authors (author_id) select unnest(:author_ids::uuid[]) on conflict do nothing")

# Authors in the order of their ids, so that a reconciliation walks through all of them in batches.
list_authors_after = many(
    UUID,
    """
select author_id from (
    (select user_id as author_id from user_counts where user_id > :after order by user_id limit :limit)
     union
    (select user_id from user_count_deltas where user_id > :after
      group by user_id order by user_id limit :limit)) people
 order by author_id limit :limit""",
)

# In one snapshot: base = rows - what is pending. Only bases that differ are written.
reconcile_posts = run("""
with marks as (
    select author_id, post_id, 1 as likes, 0 as reposts, 0 as quotes, 0 as replies from likes
     where author_id = any(:author_ids)
     union all select author_id, post_id, 0, 1, 0, 0 from reposts where author_id = any(:author_ids)
     union all select author_id, post_id, 0, 0, 1, 0 from quotes where author_id = any(:author_ids)
     union all select author_id, post_id, 0, 0, 0, 1 from replies where author_id = any(:author_ids)
     union all select author_id, post_id, -likes, -reposts, -quotes, -replies from post_count_deltas
     where author_id = any(:author_ids)
     union all select author_id, post_id, 0, 0, 0, 0 from post_counts where author_id = any(:author_ids)
), counted as (
    select author_id, post_id, sum(likes)::int as likes, sum(reposts)::int as reposts, sum(quotes)::int as quotes,
           sum(replies)::int as replies
      from marks group by author_id, post_id
)
insert into post_counts as base (author_id, post_id, likes, reposts, quotes, replies)
select * from counted where (likes, reposts, quotes, replies) is distinct from
       (select (base.likes, base.reposts, base.quotes, base.replies) from post_counts base
         where base.author_id = counted.author_id and base.post_id = counted.post_id)
on conflict (author_id, post_id) do update
   set likes = excluded.likes, reposts = excluded.reposts, quotes = excluded.quotes, replies = excluded.replies""")

reconcile_users = run("""
with marks as (
    select author_id as user_id, 1 as posts, 0 as followers, 0 as following from posts
     where author_id = any(:author_ids) and deleted_at is null
     union all select user_id, 0, 1, 0 from followers where user_id = any(:author_ids)
     union all select follower_id, 0, 0, 1 from follows where follower_id = any(:author_ids)
     union all select user_id, -posts, -followers, -following from user_count_deltas where user_id = any(:author_ids)
     union all select user_id, 0, 0, 0 from user_counts where user_id = any(:author_ids)
), counted as (
    select user_id, sum(posts)::int as posts, sum(followers)::int as followers, sum(following)::int as following
      from marks group by user_id
)
insert into user_counts as base (user_id, posts, followers, following)
select * from counted where (posts, followers, following) is distinct from
       (select (base.posts, base.followers, base.following) from user_counts base where base.user_id = counted.user_id)
on conflict (user_id) do update
   set posts = excluded.posts, followers = excluded.followers, following = excluded.following""")
