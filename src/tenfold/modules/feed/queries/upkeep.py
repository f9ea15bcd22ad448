"""Statements that clear away: graves of deleted posts, everything of an erased person; and the copy one may take."""

from tenfold.modules.feed.shapes import Kept, OtherRow, PersonRow, Ref, Revised
from tenfold.platform.db import many, run

list_graves = many(
    Ref,
    """
select author_id, post_id from posts where deleted_at is not null and deleted_at < :before
 order by deleted_at limit :limit for update skip locked""",
)

# A deleted post's own row, what others did with it, and their reposts of it, which have nothing to show any more.
# Bookmarks at other homes stay; listing skips them.
clear_graves = run("""
with dead as materialized (
    select * from unnest(:author_ids::uuid[], :post_ids::uuid[]) as dead(author_id, post_id)
), unliked as (
    delete from likes mark using dead where mark.author_id = dead.author_id and mark.post_id = dead.post_id
    returning mark.user_id, mark.post_id
), likers as (
    delete from user_likes mine using unliked where mine.user_id = unliked.user_id and mine.post_id = unliked.post_id
), unanswered as (
    delete from replies mark using dead where mark.author_id = dead.author_id and mark.post_id = dead.post_id
), unquoted as (
    delete from quotes mark using dead where mark.author_id = dead.author_id and mark.post_id = dead.post_id
), unreposted as (
    delete from reposts mark using dead where mark.author_id = dead.author_id and mark.post_id = dead.post_id
    returning mark.reposter_id, mark.post_id, mark.repost_id
), reposters as (
    delete from user_reposts mine using unreposted
     where mine.user_id = unreposted.reposter_id and mine.post_id = unreposted.post_id
), repeated as (
    delete from posts copy using unreposted
     where copy.author_id = unreposted.reposter_id and copy.post_id = unreposted.repost_id
    returning copy.author_id
), lost as (
    insert into user_count_deltas (user_id, delta_id, posts)
    select author_id, :delta_id, -count(*) from repeated group by author_id
), pending as (
    delete from post_count_deltas delta using dead
     where delta.author_id = dead.author_id and delta.post_id = dead.post_id
), base as (
    delete from post_counts base using dead where base.author_id = dead.author_id and base.post_id = dead.post_id
)
delete from posts using dead where posts.author_id = dead.author_id and posts.post_id = dead.post_id""")

list_live_posts = many(
    Ref,
    """
select author_id, post_id from posts where author_id = :author_id and deleted_at is null
 order by post_id limit :limit""",
)

list_dead_posts = many(Ref, "select author_id, post_id from posts where author_id = :author_id limit :limit")

erase_likes = run("""
with mine as (
    delete from user_likes where user_id = :user_id returning author_id, post_id
), gone as (
    delete from likes mark using mine
     where mark.author_id = mine.author_id and mark.post_id = mine.post_id and mark.user_id = :user_id
    returning mark.author_id, mark.post_id
)
insert into post_count_deltas (author_id, post_id, delta_id, likes)
select author_id, post_id, :delta_id, -1 from gone""")

erase_following = run("""
with mine as (
    delete from follows where follower_id = :user_id returning followee_id
), gone as (
    delete from followers using mine where followers.user_id = mine.followee_id and followers.follower_id = :user_id
)
insert into user_count_deltas (user_id, delta_id, followers) select followee_id, :delta_id, -1 from mine""")

erase_followers = run("""
with mine as (
    delete from followers where user_id = :user_id returning follower_id
), gone as (
    delete from follows using mine where follows.follower_id = mine.follower_id and follows.followee_id = :user_id
)
insert into user_count_deltas (user_id, delta_id, following) select follower_id, :delta_id, -1 from mine""")

erase_blocks = run("""
with mine as (
    delete from blocks where user_id = :user_id returning other_id
)
delete from blocks using mine where blocks.user_id = mine.other_id and blocks.other_id = :user_id""")

erase_bookmarks = run("delete from bookmarks where user_id = :user_id")
erase_mutes = run("delete from mutes where user_id = :user_id")
erase_reposts = run("delete from user_reposts where user_id = :user_id")
erase_home = run("delete from homes where user_id = :user_id")
erase_entries = run("delete from home_entries where user_id = :user_id")
erase_counts = run("delete from user_counts where user_id = :user_id")
erase_deltas = run("delete from user_count_deltas where user_id = :user_id")
erase_public = run("delete from public_posts where author_id = :user_id")
erase_pulled = run("delete from pulled_authors where author_id = :user_id")

export_posts = many(
    Kept,
    """
select post_id, author_id, body, visibility, lang, reply_to_id as reply_to,
       repost_of_id as repost_of, quote_of_id as quote_of, created_at, edited_at
  from posts where author_id = :user_id and deleted_at is null order by post_id""",
)
export_edits = many(
    Revised,
    """
select post_id, edit_id, body, lang, written_at from post_edits where author_id = :user_id order by post_id, edit_id""",
)
export_likes = many(Ref, "select author_id, post_id from user_likes where user_id = :user_id order by like_id")
export_bookmarks = many(Ref, "select author_id, post_id from bookmarks where user_id = :user_id order by bookmark_id")
export_follows = many(
    PersonRow,
    "select follow_id as position, followee_id as user_id from follows where follower_id = :user_id order by follow_id",
)
export_blocks = many(
    OtherRow,
    """
select other_id as user_id, created_at as since, null::timestamptz as until from blocks
 where user_id = :user_id and side = 'out' order by other_id""",
)
export_mutes = many(
    OtherRow,
    "select muted_id as user_id, created_at as since, until from mutes where user_id = :user_id order by muted_id",
)
