"""Who is here, as far as the asker knows them: online, idle or offline. A look, never a list of everybody."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.modules.chat.queries import acquainted
from tenfold.modules.chat.rules import direct_id
from tenfold.modules.chat.shapes import ChatPolicy
from tenfold.modules.chat.ties import Ties
from tenfold.platform.db import Database, Read
from tenfold.platform.realtime import Realtime, user_channel
from tenfold.platform.realtime.presence import Present

_GROUPS = 500


class Presence(msgspec.Struct, frozen=True):
    """Whether somebody is here: `idle` is connected without a sign of life lately. `connections` counts their devices.

    `last_active_at` is null for who has not been here for long, or is not known to have been.
    """

    user_id: UUID
    state: Literal["online", "idle", "offline"]
    connections: int
    last_active_at: datetime | None


async def list_acquainted(
    tx: Read, actor: Actor, user_ids: Sequence[UUID], *, policy: ChatPolicy, ties: Ties
) -> list[UUID]:
    """Those of these people whom the actor shares an accepted direct conversation or a group of moderate size with.

    Across a block nobody knows anybody.
    """
    wanted = set(user_ids) - {actor.id}
    directs = [direct_id(actor.id, user_id) for user_id in wanted]
    known = set(await acquainted.list_direct_peers(tx, user_id=actor.id, ids=directs)) & wanted
    if rest := wanted - known:
        groups = await acquainted.list_my_groups(tx, user_id=actor.id, limit=_GROUPS)
        if groups:
            moderate = await acquainted.list_moderate(tx, ids=groups, size=policy.acquainted_in)
            known |= set(await acquainted.list_group_peers(tx, ids=moderate, user_ids=list(rest)))
    if known:
        known -= await ties.blocked_among(tx, actor.id, known)
    return [user_id for user_id in dict.fromkeys(user_ids) if user_id in known or user_id == actor.id]


async def presence_of(db: Database, live: Realtime, user_ids: Sequence[UUID], *, policy: ChatPolicy) -> list[Presence]:
    """Who of them is here at this moment; in the order asked for. Call it without holding a connection."""
    if not user_ids:
        return []
    async with db.read() as tx:
        now = tx.now
        active = {row.user_id: row.active_at for row in await acquainted.list_active(tx, user_ids=list(user_ids))}
    present = await live.present([user_channel(user_id) for user_id in user_ids])
    left = await live.last_active(user_ids)
    return [
        _presence(user_id, _signs(entries, gone, active.get(user_id)), len(entries), now - policy.idle_after)
        for user_id, entries, gone in zip(user_ids, present, left, strict=True)
    ]


def _signs(entries: Sequence[Present], left: float | None, active_at: datetime | None) -> list[datetime]:
    """When somebody connected or left, and when they said that they are active."""
    seconds = [entry.since for entry in entries] + ([] if left is None else [left])
    return [datetime.fromtimestamp(second, UTC) for second in seconds] + ([] if active_at is None else [active_at])


def _presence(user_id: UUID, signs: Sequence[datetime], connections: int, idle_before: datetime) -> Presence:
    seen = max(signs, default=None)
    if not connections:
        return Presence(user_id, "offline", 0, seen)
    is_idle = seen is not None and seen < idle_before
    return Presence(user_id, "idle" if is_idle else "online", connections, seen)
