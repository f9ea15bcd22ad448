"""Like, bookmark and repost, and take each back. Done twice is done once."""

import contextlib
from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.modules.feed import rules
from tenfold.modules.feed.actions.write import delete_post, see_post
from tenfold.modules.feed.errors import PostNotFound
from tenfold.modules.feed.events import PostLiked, PostPublished, PostUnliked
from tenfold.modules.feed.queries import reactions
from tenfold.platform.db import Write


async def like_post(tx: Write, actor: Actor, author_id: UUID, post_id: UUID) -> None:
    """Like a post that one can see."""
    deed = await reactions.like_post(tx, author_id=author_id, post_id=post_id, viewer_id=actor.id, like_id=new_id())
    if rules.must_have_met_a_post(deed):
        tx.publish(PostLiked(author_id=author_id, post_id=post_id, user_id=actor.id))


async def unlike_post(tx: Write, actor: Actor, author_id: UUID, post_id: UUID) -> None:
    """Take a like back, also from a post that one cannot see any more."""
    if await reactions.unlike_post(tx, author_id=author_id, post_id=post_id, user_id=actor.id, delta_id=new_id()):
        tx.publish(PostUnliked(author_id=author_id, post_id=post_id, user_id=actor.id))


async def bookmark_post(tx: Write, actor: Actor, author_id: UUID, post_id: UUID) -> None:
    """Keep a post for oneself; nobody else learns of it."""
    deed = await reactions.bookmark_post(
        tx, author_id=author_id, post_id=post_id, viewer_id=actor.id, bookmark_id=new_id()
    )
    rules.must_have_met_a_post(deed)


async def unbookmark_post(tx: Write, actor: Actor, author_id: UUID, post_id: UUID) -> None:
    """Drop a bookmark."""
    await reactions.unbookmark_post(tx, author_id=author_id, post_id=post_id, user_id=actor.id)


async def repost_post(tx: Write, actor: Actor, author_id: UUID, post_id: UUID) -> None:
    """Show a public post on to one's followers: a post of one's own, empty, that refers to it."""
    original = (await see_post(tx, actor, author_id, post_id))[0]
    rules.must_be_repeatable(original)
    repost_id = new_id()
    if await reactions.repost_post(
        tx, user_id=actor.id, author_id=author_id, post_id=post_id, repost_id=repost_id, now=tx.now
    ):
        tx.publish(
            PostPublished(
                author_id=actor.id,
                post_id=repost_id,
                visibility="public",
                repost_of_author_id=author_id,
                repost_of_id=post_id,
            )
        )


async def unrepost_post(tx: Write, actor: Actor, author_id: UUID, post_id: UUID) -> None:
    """Take a repost back; nothing happens when there is none, or another request took it back just now."""
    repost_id = await reactions.find_repost(tx, user_id=actor.id, author_id=author_id, post_id=post_id)
    if repost_id is not None:
        with contextlib.suppress(PostNotFound):
            await delete_post(tx, actor.id, repost_id)
