"""Statements that read timelines: home (pushed, pulled, and below the floor), public, bookmarks, likes of one's own."""

from tenfold.modules.feed.queries.fragments import columns, completed, fill, for_home, meets, unmuted, visible
from tenfold.modules.feed.shapes import HomeRow, PostRow
from tenfold.platform.db import many

# Everything from the floor up. `pushed` walks the entries, newest first, and stops at the limit; `bound` is where it
# stopped (or the floor), so that authors who are pulled are asked only for what is newer. Follows are checked again
# here: entries may outlive them. A home that is not fresh yields one row that says so. Scalar sub-selects on `home`
# become constants of the plan, which keeps the index order of the entries; a join would sort them all. `in (…) is true`
# stays a look-up in a hash of the few pulled authors.
list_home = many(
    HomeRow,
    completed(
        fill(
            """
with home as materialized (
    select active and not stale as fresh, floor_id, active_at from homes where user_id = :viewer_id
), pushed as materialized (
    select post.*
      from home_entries entry
     cross join lateral (select * from posts where posts.author_id = entry.author_id
                            and posts.post_id = entry.post_id limit 1) post
     where entry.user_id = :viewer_id and entry.post_id < :before
       and entry.post_id >= (select floor_id from home where fresh)
       and (select true from follows where follower_id = :viewer_id and followee_id = entry.author_id)
       and {meets_pushed} and {unmuted_pushed} and {for_home}
     order by entry.post_id desc limit :limit
), bound as materialized (
    select case when count(*) >= :limit then (array_agg(post_id order by post_id))[1]
                else (select floor_id from home where fresh) end as post_id
      from pushed
), pulled as materialized (
    select post.*
      from (select :viewer_id::uuid as author_id
             union all
            select follow.followee_id from follows follow
             where follow.follower_id = :viewer_id
               and (follow.followee_id in (select author_id from pulled_authors)) is true) source
     cross join lateral (
            select * from posts post
             where post.author_id = source.author_id and post.post_id < :before
               and post.post_id >= (select post_id from bound) and {for_home}
             order by post.post_id desc limit :limit) post
     where {meets_pulled} and {unmuted_pulled}
     order by post.post_id desc limit :limit
), page as materialized (
    select post.post_id as position, {columns}
      from (select * from pushed
             union all
            select * from pulled where post_id not in (select post_id from pushed)) post
     order by post.post_id desc limit :limit
)""",
            columns=columns("post"),
            for_home=for_home("post"),
            meets_pushed=meets("entry"),
            unmuted_pushed=unmuted("entry"),
            meets_pulled=meets("source"),
            unmuted_pulled=unmuted("source"),
        ),
        source="home left join shown on true",
        more=", home.fresh, home.floor_id, home.active_at",
        follows_author="(shown.author_id <> :viewer_id and (not shown.embedded or {follows}))",
        unmuted_only=True,
    ),
)

# What lies below the floor, or everything when `before` says so: asks each followed author.
list_home_by_pull = many(
    PostRow,
    completed(
        fill(
            """
with page as materialized (
    select post.post_id as position, {columns}
      from (select :viewer_id::uuid as author_id
             union all
            select followee_id from follows where follower_id = :viewer_id) source
     cross join lateral (
            select * from posts post
             where post.author_id = source.author_id and post.post_id < :before and {for_home}
             order by post.post_id desc limit :limit) post
     where {meets} and {unmuted}
     order by post.post_id desc limit :limit
)""",
            columns=columns("post"),
            for_home=for_home("post"),
            meets=meets("source"),
            unmuted=unmuted("source"),
        ),
        unmuted_only=True,
    ),
)

list_public = many(
    PostRow,
    completed(
        fill(
            """
with page as (
    select post.post_id as position, {columns}
      from public_posts newest
     cross join lateral (select * from posts where posts.author_id = newest.author_id
                            and posts.post_id = newest.post_id limit 1) post
     where newest.post_id < :before and post.visibility = 'public' and {visible} and {unmuted}
     order by newest.post_id desc limit :limit
)""",
            columns=columns("post"),
            visible=visible("post"),
            unmuted=unmuted("post"),
        ),
        unmuted_only=True,
    ),
)

_OF_MINE = """
with page as (
    select mine.{position} as position, {columns}
      from {table} mine
     cross join lateral (select * from posts where posts.author_id = mine.author_id
                            and posts.post_id = mine.post_id limit 1) post
     where mine.user_id = :viewer_id and mine.{position} < :before and {visible}
     order by mine.{position} desc limit :limit
)"""

list_bookmarks = many(
    PostRow,
    completed(
        fill(_OF_MINE, table="bookmarks", position="bookmark_id", columns=columns("post"), visible=visible("post"))
    ),
)

list_my_likes = many(
    PostRow,
    completed(fill(_OF_MINE, table="user_likes", position="like_id", columns=columns("post"), visible=visible("post"))),
)
