"""Revocation, everywhere within a second: what the bus says reaches tokens and sockets here; a gap is read up on."""

from typing import Any
from uuid import UUID

from tenfold.modules.identity.guard import ACTORS_CHANGED, SESSIONS_REVOKED
from tenfold.modules.identity.queries import sessions as queries
from tenfold.modules.identity.tokens import AccessTokens
from tenfold.platform.bus import Bus
from tenfold.platform.db import Database
from tenfold.platform.realtime import Realtime


def attach(bus: Bus, tokens: AccessTokens, *, realtime: Realtime, db: Database) -> None:
    """Have this process follow revocations. Call it before the bus opens."""

    async def on_revoked(payload: Any) -> None:
        session_ids = [UUID(text) for text in payload["session_ids"]]
        tokens.revoke_sessions(session_ids)
        await realtime.disconnect(session_ids=session_ids, everywhere=False)

    def on_changed(payload: Any) -> None:
        for user_id, version in payload["users"]:
            tokens.outdate(UUID(user_id), version)

    async def on_gap() -> None:
        await realtime.disconnect(session_ids=await catch_up(db, tokens), everywhere=False)

    bus.listen(SESSIONS_REVOKED, on_revoked)
    bus.listen(ACTORS_CHANGED, on_changed)
    bus.on_gap(on_gap)


async def catch_up(db: Database, tokens: AccessTokens) -> list[UUID]:
    """Learn what was revoked while nobody told us, as far back as an access token can reach. Returns the sessions."""
    async with db.read() as tx:
        since = tx.now - tokens.lifetime
        revoked = await queries.list_revoked_since(tx, since=since)
        outdated = await queries.list_outdated_since(tx, since=since)
    tokens.revoke_sessions(revoked)
    for user in outdated:
        tokens.outdate(user.user_id, user.version)
    return revoked
