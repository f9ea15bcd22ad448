"""Doors of moderation. Who does not moderate does not find them."""

from typing import Annotated
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.modules.feed.actions import write
from tenfold.modules.feed.errors import PostNotFound
from tenfold.modules.identity import without_addresses
from tenfold.platform import audit
from tenfold.platform.db import Write
from tenfold.platform.http import Client, door

Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=500, description="Why, for the audit log.")]


@door.delete(
    "/admin/users/{author_id:uuid}/posts/{post_id:uuid}",
    limit="write",
    roles=["moderator", "admin"],
    refuses=[PostNotFound],
)
async def remove_post(
    tx: Write, actor: Actor, author_id: UUID, post_id: UUID, *, client: Client, reason: Reason
) -> None:
    """Delete anybody's post, with a line in the audit log that says who did it and why."""
    await write.delete_post(tx, author_id, post_id)
    await audit.append(
        tx,
        "feed.post_removed",
        actor_id=actor.id,
        subject_id=author_id,
        details={"post_id": str(post_id), "reason": without_addresses(reason)},
        address=client.address,
    )
