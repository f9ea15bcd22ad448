"""Pieces of SQL that several statements share: who may see a post, and how a page of posts is completed.

Look-ups are scalar sub-selects and laterals with a limit, never joins or EXISTS: the planner then has no join order to
get wrong, and cannot trade twenty index probes for one scan of everything that a reader ever liked. They are tested
with `is [not] true`: `is null` would be estimated to pass one row in 200, which turns ordered index scans into sorts.
"""

POST_COLUMNS = """~.author_id, ~.post_id, ~.body, ~.visibility, ~.lang, ~.reply_to_author_id, ~.reply_to_id,
    ~.root_author_id, ~.root_id, ~.repost_of_author_id, ~.repost_of_id, ~.quote_of_author_id, ~.quote_of_id,
    ~.created_at, ~.edited_at"""

# The author is neither hidden nor in a block with the viewer. `:viewer_id` may be null.
_MEETS = """(select true from hidden_authors hidden where hidden.author_id = ~.author_id) is not true
    and (select true from blocks block
          where block.user_id = :viewer_id and block.other_id = ~.author_id limit 1) is not true"""

_FOLLOWS = (
    """(select true from follows follow where follow.follower_id = :viewer_id and follow.followee_id = ~.author_id)"""
)

_UNMUTED = """(select true from mutes mute where mute.user_id = :viewer_id and mute.muted_id = ~.author_id
          and (mute.until is null or mute.until > :now)) is not true"""

_VISIBLE = """~.deleted_at is null
    and {meets}
    and (~.visibility = 'public' or ~.author_id = :viewer_id or {follows})"""

# A repost is shown when its original would be.
_ORIGINAL_VISIBLE = """(~.repost_of_id is null or (
        select true from posts original
         where original.author_id = ~.repost_of_author_id and original.post_id = ~.repost_of_id
           and {visible_original}{unmuted_original}) is true)"""

# What of a followed author belongs into a home: replies only to people whom the reader also follows (or is), and
# reposts of what the reader may see and has not muted.
_FOR_HOME = """~.deleted_at is null
    and (~.reply_to_author_id is null or ~.reply_to_author_id in (~.author_id, :viewer_id)
         or (select true from follows follow
              where follow.follower_id = :viewer_id and follow.followee_id = ~.reply_to_author_id))
    and {original_visible}"""

_ORIGINALS = """
    union all
    select true, original.post_id, {original_columns}
      from (select coalesce(repost_of_author_id, quote_of_author_id) as author_id,
                   coalesce(repost_of_id, quote_of_id) as post_id
              from page where coalesce(repost_of_id, quote_of_id) is not null) wanted
     cross join lateral (select * from posts where posts.author_id = wanted.author_id
                            and posts.post_id = wanted.post_id limit 1) original
     where {visible_original}"""

_TAIL = """
shown as (
    select false as embedded, page.* from page{originals}
)
select shown.embedded, shown.position, {shown_columns},
       coalesce(base.likes, 0) + coalesce(pending.likes, 0) as likes,
       coalesce(base.reposts, 0) + coalesce(pending.reposts, 0) as reposts,
       coalesce(base.quotes, 0) + coalesce(pending.quotes, 0) as quotes,
       coalesce(base.replies, 0) + coalesce(pending.replies, 0) as replies,
       (select true from user_likes mine
         where mine.user_id = :viewer_id and mine.post_id = shown.post_id) is true as liked,
       (select true from bookmarks mine
         where mine.user_id = :viewer_id and mine.post_id = shown.post_id) is true as bookmarked,
       (select true from user_reposts mine
         where mine.user_id = :viewer_id and mine.post_id = shown.post_id) is true as reposted,
       {follows} is true as follows_author{more}
  from {source}
  left join lateral (select likes, reposts, quotes, replies from post_counts counts
                      where counts.author_id = shown.author_id and counts.post_id = shown.post_id limit 1) base on true
  left join lateral (select sum(likes)::int as likes, sum(reposts)::int as reposts,
                            sum(quotes)::int as quotes, sum(replies)::int as replies
                       from post_count_deltas delta
                      where delta.author_id = shown.author_id and delta.post_id = shown.post_id) pending on true
 {order}
"""


def fill(text: str, **pieces: str) -> str:
    """Put pieces of SQL in the places of that name. Pieces are constants of this package, never input."""
    for name, piece in pieces.items():
        text = text.replace("{" + name + "}", piece)
    return text


def columns(table: str) -> str:
    """The columns of a post, in the order of `PostRow`."""
    return POST_COLUMNS.replace("~", table)


def meets(table: str) -> str:
    """Whether the author of a row of `table` is neither hidden nor in a block with the viewer."""
    return _MEETS.replace("~", table)


def unmuted(table: str) -> str:
    """Whether the viewer has not muted the author of a row of `table`."""
    return _UNMUTED.replace("~", table)


def follows(table: str) -> str:
    """True when the viewer follows the author of a row of `table`, else null."""
    return _FOLLOWS.replace("~", table)


def visible(table: str) -> str:
    """Whether the viewer may see a post."""
    return fill(_VISIBLE, meets=_MEETS, follows=_FOLLOWS).replace("~", table)


def original_visible(table: str, *, unmuted_only: bool = False) -> str:
    """Whether a row of `table` is no repost, or one whose original the viewer may see (and has not muted)."""
    muting = " and " + unmuted("original") if unmuted_only else ""
    filled = fill(_ORIGINAL_VISIBLE, visible_original=visible("original"), unmuted_original=muting)
    return filled.replace("~", table)


def for_home(table: str) -> str:
    """Whether a post by a followed, unmuted author belongs into the viewer's home."""
    return fill(_FOR_HOME, original_visible=original_visible("~", unmuted_only=True)).replace("~", table)


def completed(
    page: str,
    *,
    order: str = "order by shown.embedded, shown.position desc",
    source: str = "shown",
    more: str = "",
    follows_author: str = "{follows}",
    unmuted_only: bool = False,
    with_originals: bool = True,
) -> str:
    """The statement that answers with a page of posts: originals, counters and viewer state are added to its rows.

    With `unmuted_only`, which takes `:now`, originals of muted people are left out; without `with_originals`, all are.

    `page` is a list of CTEs; the last, named `page`, has a position and the columns of a post.
    """
    originals = fill(
        _ORIGINALS,
        original_columns=columns("original"),
        visible_original=visible("original") + (" and " + unmuted("original") if unmuted_only else ""),
    )
    tail = fill(
        _TAIL,
        originals=originals if with_originals else "",
        shown_columns=columns("shown"),
        follows=fill(follows_author, follows=follows("shown")),
        source=source,
        more=more,
        order=order,
    )
    return page.rstrip() + ",\n" + tail.strip()
