"""Statements that like, bookmark and repost. Each looks at the post as its actor and acts in one round trip."""

from uuid import UUID

from tenfold.modules.feed.queries.fragments import fill, visible
from tenfold.modules.feed.shapes import Deed
from tenfold.platform.db import maybe, one, run

_TARGET = """
with target as materialized (
    select post.author_id, post.post_id, post.repost_of_author_id, post.repost_of_id from posts post
     where post.author_id = :author_id and post.post_id = :post_id and {visible}
)"""

like_post = one(
    Deed,
    fill(
        """{target}, liked as (
    insert into likes (author_id, post_id, user_id, like_id)
    select author_id, post_id, :viewer_id, :like_id from target where repost_of_id is null
    on conflict do nothing returning author_id, post_id
), mine as (
    insert into user_likes (user_id, post_id, author_id, like_id)
    select :viewer_id, post_id, author_id, :like_id from liked
), counted as (
    insert into post_count_deltas (author_id, post_id, delta_id, likes)
    select author_id, post_id, :like_id, 1 from liked
)
select exists (select 1 from target) as seen, exists (select 1 from liked) as changed,
       (select repost_of_author_id from target) as original_author_id,
       (select repost_of_id from target) as original_id""",
        target=fill(_TARGET, visible=visible("post")),
    ),
)

unlike_post = run("""
with unliked as (
    delete from likes where author_id = :author_id and post_id = :post_id and user_id = :user_id
    returning author_id, post_id
), mine as (
    delete from user_likes using unliked where user_likes.user_id = :user_id and user_likes.post_id = unliked.post_id
)
insert into post_count_deltas (author_id, post_id, delta_id, likes)
select author_id, post_id, :delta_id, -1 from unliked""")

bookmark_post = one(
    Deed,
    fill(
        """{target}, kept as (
    insert into bookmarks (user_id, post_id, author_id, bookmark_id)
    select :viewer_id, post_id, author_id, :bookmark_id from target where repost_of_id is null
    on conflict do nothing returning post_id
)
select exists (select 1 from target) as seen, exists (select 1 from kept) as changed,
       (select repost_of_author_id from target) as original_author_id,
       (select repost_of_id from target) as original_id""",
        target=fill(_TARGET, visible=visible("post")),
    ),
)

unbookmark_post = run(
    "delete from bookmarks where user_id = :user_id and post_id = :post_id and author_id = :author_id"
)

# The row at the reposter's home decides: it is there once, so a second repost of the same post writes nothing.
repost_post = run("""
with marked as (
    insert into user_reposts (user_id, post_id, author_id, repost_id)
    values (:user_id, :post_id, :author_id, :repost_id)
    on conflict do nothing returning repost_id
), written as (
    insert into posts (author_id, post_id, body, visibility, repost_of_author_id, repost_of_id, created_at)
    select :user_id, repost_id, '', 'public', :author_id, :post_id, :now from marked
), linked as (
    insert into reposts (author_id, post_id, repost_id, reposter_id)
    select :author_id, :post_id, repost_id, :user_id from marked
), counted as (
    insert into post_count_deltas (author_id, post_id, delta_id, reposts)
    select :author_id, :post_id, repost_id, 1 from marked
)
insert into user_count_deltas (user_id, delta_id, posts) select :user_id, repost_id, 1 from marked""")

find_repost = maybe(
    UUID,
    "select repost_id from user_reposts where user_id = :user_id and post_id = :post_id and author_id = :author_id",
)
