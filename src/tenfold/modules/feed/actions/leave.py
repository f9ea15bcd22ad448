"""What happens to the traces of somebody who leaves: hidden, shown again, erased; and the copy they may take along."""

from uuid import UUID

from tenfold.kit.ids import new_id
from tenfold.modules.feed.actions.spread import Spreader, Walk
from tenfold.modules.feed.actions.write import delete_post
from tenfold.modules.feed.queries import counts, homes, upkeep
from tenfold.modules.feed.shapes import Ref
from tenfold.modules.identity import find_card
from tenfold.platform.db import Read, Write

_BATCH = 500


async def hide_or_show(tx: Write, user_id: UUID) -> bool:
    """Hide what a person wrote, or show it again, as identity has it now. Answers whether it is hidden.

    The facts that somebody left and came back may be followed in either order, or at once: so neither is taken at its
    word, and the lock has the second one look when the first has committed.
    """
    await homes.lock_author(tx, author_id=user_id)
    hidden = await find_card(tx, user_id) is None
    if hidden:
        await homes.hide_author(tx, author_id=user_id)
    else:
        await homes.show_author(tx, author_id=user_id)
    return hidden


async def erase_person(tx: Write, spreader: Spreader, user_id: UUID) -> None:
    """Delete every row that is about a person, and take back what they left in the counters of others.

    Followers who listen are told here: when the deletions of the posts are followed, nobody is a follower any more.
    The lock comes first, since a fold meanwhile would put back a counter that is deleted here.
    """
    await counts.lock_counts(tx)
    await spreader.spread_to_all(tx, Walk(author_id=user_id, news="author.gone"))
    while live := await upkeep.list_live_posts(tx, author_id=user_id, limit=_BATCH):
        for post in live:
            await delete_post(tx, user_id, post.id)
    while dead := await upkeep.list_dead_posts(tx, author_id=user_id, limit=_BATCH):
        await clear_posts(tx, dead)
    await upkeep.erase_likes(tx, user_id=user_id, delta_id=new_id())
    await upkeep.erase_following(tx, user_id=user_id, delta_id=new_id())
    await upkeep.erase_followers(tx, user_id=user_id, delta_id=new_id())
    for erase in (
        upkeep.erase_blocks,
        upkeep.erase_mutes,
        upkeep.erase_bookmarks,
        upkeep.erase_reposts,
        upkeep.erase_home,
        upkeep.erase_entries,
        upkeep.erase_counts,
        upkeep.erase_deltas,
        upkeep.erase_pulled,
        upkeep.erase_public,
    ):
        await erase(tx, user_id=user_id)


async def clear_posts(tx: Write, dead: list[Ref]) -> None:
    """Delete deleted posts for good, with everything that hangs on them."""
    await upkeep.clear_graves(
        tx,
        author_ids=[post.author_id for post in dead],
        post_ids=[post.id for post in dead],
        delta_id=new_id(),
    )


async def export_feed(tx: Read, user_id: UUID) -> object:
    """Everything the feed knows that a person has done, as plain values."""
    return {
        "posts": await upkeep.export_posts(tx, user_id=user_id),
        "earlier_versions": await upkeep.export_edits(tx, user_id=user_id),
        "likes": await upkeep.export_likes(tx, user_id=user_id),
        "bookmarks": await upkeep.export_bookmarks(tx, user_id=user_id),
        "follows": await upkeep.export_follows(tx, user_id=user_id),
        "blocks": await upkeep.export_blocks(tx, user_id=user_id),
        "mutes": await upkeep.export_mutes(tx, user_id=user_id),
    }
