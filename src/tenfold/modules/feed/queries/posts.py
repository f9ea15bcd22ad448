"""Statements about posts: one by its address, lists that hang on an author or a post, writing, editing, deleting."""

from tenfold.modules.feed.queries.fragments import columns, completed, fill, meets, original_visible, visible
from tenfold.modules.feed.shapes import Echo, Edit, PersonRow, PostRow
from tenfold.platform.db import many, one, run

# Most posts refer to no other: without the union this is planned and run in half the time.
find_plain_post = many(
    PostRow,
    completed(
        fill(
            """
with page as (
    select post.post_id as position, {columns} from posts post
     where post.author_id = :author_id and post.post_id = :post_id
       and post.repost_of_id is null and post.quote_of_id is null and {visible}
)""",
            columns=columns("post"),
            visible=visible("post"),
        ),
        order="",
        with_originals=False,
    ),
)

find_post = many(
    PostRow,
    completed(
        fill(
            """
with page as (
    select post.post_id as position, {columns} from posts post
     where post.author_id = :author_id and post.post_id = :post_id and {visible} and {original_visible}
)""",
            columns=columns("post"),
            visible=visible("post"),
            original_visible=original_visible("post"),
        ),
        order="",
    ),
)

list_profile = many(
    PostRow,
    completed(
        fill(
            """
with page as (
    select post.post_id as position, {columns} from posts post
     where post.author_id = :author_id and post.post_id < :before and {visible} and {original_visible}
     order by post.post_id desc limit :limit
)""",
            columns=columns("post"),
            visible=visible("post"),
            original_visible=original_visible("post"),
        )
    ),
)

_HANGING = """
with target as materialized (
    select post.post_id from posts post
     where post.author_id = :author_id and post.post_id = :post_id and {visible_target}
), page as (
    select post.post_id as position, {columns}
      from {table} hung
     cross join lateral (select * from posts where posts.author_id = hung.{writer} and posts.post_id = hung.{written}
                          limit 1) post
     where hung.author_id = :author_id and hung.post_id = (select post_id from target) and hung.{written} {past}
       and {visible}
     order by hung.{written} {order} limit :limit
)"""

list_replies = many(
    PostRow,
    completed(
        fill(
            _HANGING,
            table="replies",
            writer="replier_id",
            written="reply_id",
            past="> :after",
            order="asc",
            columns=columns("post"),
            visible=visible("post"),
            visible_target=visible("post"),
        ),
        order="order by shown.embedded, shown.position",
    ),
)

list_quotes = many(
    PostRow,
    completed(
        fill(
            _HANGING,
            table="quotes",
            writer="quoter_id",
            written="quote_id",
            past="< :before",
            order="desc",
            columns=columns("post"),
            visible=visible("post"),
            visible_target=visible("post"),
        )
    ),
)

_PEOPLE_OF_POST = """
with target as materialized (
    select post.post_id from posts post
     where post.author_id = :author_id and post.post_id = :post_id and {visible}
)
select person.{position} as position, person.{author_id} as user_id
  from {table} person
 where person.author_id = :author_id and person.post_id = (select post_id from target) and person.{position} < :before
   and {meets}
 order by person.{position} desc limit :limit"""

list_likes = many(
    PersonRow,
    fill(
        _PEOPLE_OF_POST,
        visible=visible("post"),
        table="likes",
        meets=meets("person").replace("person.author_id", "person.user_id"),
        position="like_id",
        author_id="user_id",
    ),
)

list_reposters = many(
    PersonRow,
    fill(
        _PEOPLE_OF_POST,
        visible=visible("post"),
        table="reposts",
        meets=meets("person").replace("person.author_id", "person.reposter_id"),
        position="repost_id",
        author_id="reposter_id",
    ),
)

# Reposts and quotes of a post, whoever may see them, in the order of their ids.
list_echoes = many(
    Echo,
    """
select author_id, post_id, is_repost from (
    (select reposter_id as author_id, repost_id as post_id, true as is_repost from reposts
      where author_id = :author_id and post_id = :post_id and repost_id > :after order by repost_id limit :limit)
     union all
    (select quoter_id, quote_id, false from quotes
      where author_id = :author_id and post_id = :post_id and quote_id > :after order by quote_id limit :limit)) echo
 order by post_id limit :limit""",
)

may_see_post = one(
    bool,
    fill(
        """
select (select true from posts post where post.author_id = :author_id and post.post_id = :post_id and {visible}
       ) is true""",
        visible=visible("post"),
    ),
)

list_edits = many(
    Edit,
    fill(
        """
select edit.edit_id, edit.body, edit.lang, edit.written_at
  from posts post
  join post_edits edit on edit.author_id = post.author_id and edit.post_id = post.post_id
 where post.author_id = :author_id and post.post_id = :post_id and {visible}
   and edit.edit_id < :before
 order by edit.edit_id desc limit :limit""",
        visible=visible("post"),
    ),
)

insert_post = run("""
with written as (
    insert into posts (author_id, post_id, body, visibility, lang, created_at)
    values (:author_id, :post_id, :body, :visibility, :lang, :now)
)
insert into user_count_deltas (user_id, delta_id, posts) values (:author_id, :post_id, 1)""")

# A post that refers to others also leaves a row and a delta at the home of each.
insert_linked_post = run("""
with written as (
    insert into posts (author_id, post_id, body, visibility, lang, reply_to_author_id, reply_to_id,
                       root_author_id, root_id, quote_of_author_id, quote_of_id, created_at)
    values (:author_id, :post_id, :body, :visibility, :lang, :reply_to_author_id, :reply_to_id,
            :root_author_id, :root_id, :quote_of_author_id, :quote_of_id, :now)
), answered as (
    insert into replies (author_id, post_id, reply_id, replier_id)
    select :reply_to_author_id, :reply_to_id, :post_id, :author_id where :reply_to_id::uuid is not null
    returning author_id, post_id, 0 as quotes, 1 as replies
), quoted as (
    insert into quotes (author_id, post_id, quote_id, quoter_id)
    select :quote_of_author_id, :quote_of_id, :post_id, :author_id where :quote_of_id::uuid is not null
    returning author_id, post_id, 1 as quotes, 0 as replies
), counted as (
    insert into post_count_deltas (author_id, post_id, delta_id, quotes, replies)
    select author_id, post_id, :post_id, sum(quotes), sum(replies)
      from (select * from answered union all select * from quoted) linked group by author_id, post_id
)
insert into user_count_deltas (user_id, delta_id, posts) values (:author_id, :post_id, 1)""")

# The version that is replaced goes into the history; an edit that changes nothing leaves no trace.
edit_post = run("""
with old as (
    select author_id, post_id, body, lang, coalesce(edited_at, created_at) as written_at from posts
     where author_id = :author_id and post_id = :post_id and deleted_at is null
       and (body, lang) is distinct from (:body::text, :lang::text)
       for update
), kept as (
    insert into post_edits (author_id, post_id, edit_id, body, lang, written_at)
    select author_id, post_id, :edit_id, body, lang, written_at from old
)
update posts set body = :body, lang = :lang, edited_at = :now
  from old where posts.author_id = :author_id and posts.post_id = :post_id""")

# Empty a post, forget its history, and take back every row and count that it left at the homes of others.
delete_post = run("""
with gone as (
    update posts set deleted_at = :now, body = '', lang = null
     where author_id = :author_id and post_id = :post_id and deleted_at is null
    returning author_id, post_id, reply_to_author_id, reply_to_id, repost_of_author_id, repost_of_id,
              quote_of_author_id, quote_of_id
), forgotten as (
    delete from post_edits where author_id = :author_id and post_id = :post_id
), unanswered as (
    delete from replies link using gone where link.author_id = gone.reply_to_author_id
       and link.post_id = gone.reply_to_id and link.reply_id = gone.post_id
    returning link.author_id, link.post_id, 0 as reposts, 0 as quotes, -1 as replies
), unquoted as (
    delete from quotes link using gone where link.author_id = gone.quote_of_author_id
       and link.post_id = gone.quote_of_id and link.quote_id = gone.post_id
    returning link.author_id, link.post_id, 0 as reposts, -1 as quotes, 0 as replies
), unreposted as (
    delete from reposts link using gone where link.author_id = gone.repost_of_author_id
       and link.post_id = gone.repost_of_id and link.repost_id = gone.post_id
    returning link.author_id, link.post_id, -1 as reposts, 0 as quotes, 0 as replies
), unmarked as (
    delete from user_reposts mine using gone where mine.user_id = gone.author_id and mine.post_id = gone.repost_of_id
), counted as (
    insert into post_count_deltas (author_id, post_id, delta_id, reposts, quotes, replies)
    select author_id, post_id, :delta_id, sum(reposts), sum(quotes), sum(replies)
      from (select * from unanswered union all select * from unquoted union all select * from unreposted) link
     group by author_id, post_id
)
insert into user_count_deltas (user_id, delta_id, posts) select author_id, :delta_id, -1 from gone""")
