"""Follow, block and mute, and take each back. Done twice is done once."""

from datetime import datetime
from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.modules.feed import rules
from tenfold.modules.feed.errors import FollowsTooMany
from tenfold.modules.feed.events import UserFollowed, UserUnfollowed
from tenfold.modules.feed.queries import counts, graph
from tenfold.modules.feed.shapes import FeedPolicy
from tenfold.modules.identity import UserBlocked, UserUnblocked
from tenfold.platform.db import Write


async def follow_user(tx: Write, actor: Actor, user_id: UUID, *, policy: FeedPolicy) -> None:
    """Follow somebody; the home is rebuilt at its next reading."""
    rules.must_be_somebody_else(actor, user_id)
    await graph.lock_pair(tx, one_id=actor.id, other_id=user_id)
    between = await graph.find_relationship(tx, user_id=actor.id, other_id=user_id, now=tx.now)
    rules.must_be_able_to_follow(between)
    if between.following:
        return
    if (await counts.count_user(tx, user_id=actor.id)).following >= policy.following_cap:
        raise FollowsTooMany(limit=policy.following_cap)
    if await graph.insert_follow(tx, user_id=actor.id, other_id=user_id, follow_id=new_id()):
        tx.publish(UserFollowed(user_id=actor.id, other_id=user_id))


async def unfollow_user(tx: Write, actor: Actor, user_id: UUID) -> None:
    """Stop following somebody; their posts are gone from the home at once."""
    await graph.lock_pair(tx, one_id=actor.id, other_id=user_id)
    await _unfollow(tx, actor.id, user_id)


async def block_user(tx: Write, actor: Actor, user_id: UUID) -> None:
    """Part two people: neither follows the other, and neither sees what the other writes."""
    rules.must_be_somebody_else(actor, user_id)
    await graph.lock_pair(tx, one_id=actor.id, other_id=user_id)
    if not await graph.insert_block(tx, user_id=actor.id, other_id=user_id, now=tx.now):
        return
    await _unfollow(tx, actor.id, user_id)
    await _unfollow(tx, user_id, actor.id)
    tx.publish(UserBlocked(user_id=actor.id, other_id=user_id))


async def unblock_user(tx: Write, actor: Actor, user_id: UUID) -> None:
    """End a block of one's own; nobody follows anybody again by that."""
    await graph.lock_pair(tx, one_id=actor.id, other_id=user_id)
    if await graph.delete_block(tx, user_id=actor.id, other_id=user_id):
        tx.publish(UserUnblocked(user_id=actor.id, other_id=user_id))


async def mute_user(tx: Write, actor: Actor, user_id: UUID, until: datetime | None) -> None:
    """Keep somebody out of one's timelines, until an instant or for good; they never learn of it."""
    rules.must_be_somebody_else(actor, user_id)
    rules.must_lie_ahead(until, tx.now)
    await graph.upsert_mute(tx, user_id=actor.id, other_id=user_id, until=until, now=tx.now)


async def unmute_user(tx: Write, actor: Actor, user_id: UUID) -> None:
    """Let somebody into one's timelines again."""
    await graph.delete_mute(tx, user_id=actor.id, other_id=user_id)


async def _unfollow(tx: Write, follower_id: UUID, followee_id: UUID) -> None:
    if await graph.delete_follow(tx, user_id=follower_id, other_id=followee_id, delta_id=new_id()):
        tx.publish(UserUnfollowed(user_id=follower_id, other_id=followee_id))
