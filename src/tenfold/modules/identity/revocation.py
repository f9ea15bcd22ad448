"""Revocation, everywhere within a second: what the bus says reaches tokens and sockets here; a gap is read up on."""

import asyncio
import random
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import structlog

from tenfold.modules.identity.guard import ACTORS_CHANGED, SESSIONS_REVOKED
from tenfold.modules.identity.queries import sessions as queries
from tenfold.modules.identity.queries.sessions import Outdated
from tenfold.modules.identity.tokens import AccessTokens
from tenfold.platform.bus import Bus
from tenfold.platform.db import Database
from tenfold.platform.realtime import Realtime

KEEP_UP_EVERY = 2.0
_OVERLAP = timedelta(seconds=30)
"""A transaction notes its beginning and commits later; clocks of machines differ a little."""
_MOST_TOLD = 10_000

log = structlog.get_logger("tenfold.identity")


class Missed(NamedTuple):
    """The sessions that ended and the users whose claims changed, and when that was looked up."""

    session_ids: list[UUID]
    outdated: list[Outdated]
    at: datetime


class Revocations:
    """Follows revocations in this process. Build it before the bus opens."""

    def __init__(self, bus: Bus, tokens: AccessTokens, *, realtime: Realtime, db: Database) -> None:
        self._tokens = tokens
        self._realtime = realtime
        self._db = db
        self._told: dict[UUID, int] = {}
        self._since: datetime | None = None
        bus.listen(SESSIONS_REVOKED, self._on_revoked)
        bus.listen(ACTORS_CHANGED, self._on_changed)
        bus.on_gap(self._on_gap)

    async def open(self) -> None:
        """Learn what was revoked before this process began, when it has no sockets yet."""
        self._note(await catch_up(self._db, self._tokens))

    async def keep_up(self) -> None:
        """Look every two seconds, for ever: for a bus that may lose a signal in silence, or that is away."""
        while True:
            await asyncio.sleep(KEEP_UP_EVERY * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            try:
                await self.look()
            except Exception as error:  # a boundary: the next look finds what this one did not
                log.warning("revocations.not_read", error=str(error))

    async def look(self) -> None:
        """Read what was revoked since the last look, and end the connections that it concerns."""
        missed = await catch_up(self._db, self._tokens, since=self._since)
        await self._end(missed)
        self._note(missed)

    async def _on_revoked(self, payload: Any) -> None:
        session_ids = [UUID(text) for text in payload["session_ids"]]
        self._tokens.revoke_sessions(session_ids)
        await self._realtime.disconnect(session_ids=session_ids, everywhere=False)

    def _on_changed(self, payload: Any) -> None:
        for text, version in payload["users"]:
            self._tokens.outdate(UUID(text), version)
            self._expire(UUID(text), version)

    async def _on_gap(self) -> None:
        await self._end(await catch_up(self._db, self._tokens))

    def _note(self, missed: Missed) -> None:
        """Go on from here; whoever is found again next time must not be sent away again."""
        self._since = missed.at - _OVERLAP
        self._told = {user.user_id: user.version for user in missed.outdated}

    async def _end(self, missed: Missed) -> None:
        await self._realtime.disconnect(session_ids=missed.session_ids, everywhere=False)
        for user in missed.outdated:
            self._expire(user.user_id, user.version)

    def _expire(self, user_id: UUID, version: int) -> None:
        # Their sockets were opened with claims that hold no more; the next token brings the new ones.
        if self._told.get(user_id, 0) < version:
            if len(self._told) >= _MOST_TOLD:
                del self._told[next(iter(self._told))]
            self._told[user_id] = version
            self._realtime.expire([user_id])


async def catch_up(db: Database, tokens: AccessTokens, *, since: datetime | None = None) -> Missed:
    """Learn what was revoked or outdated while nobody told us: since then, or as far back as a token can reach."""
    async with db.read() as tx:
        since = max(tx.now - tokens.lifetime, since) if since else tx.now - tokens.lifetime
        revoked = await queries.list_revoked_since(tx, since=since)
        outdated = await queries.list_outdated_since(tx, since=since)
    tokens.revoke_sessions(revoked)
    for user in outdated:
        tokens.outdate(user.user_id, user.version)
    return Missed(revoked, outdated, tx.now)
