"""The guard: what identity's deeds work with, and the few things that several of them do with it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from tenfold.modules.identity.errors import TooManyTries
from tenfold.modules.identity.keys import Keyring
from tenfold.modules.identity.passwords import Passwords
from tenfold.modules.identity.shapes import IdentityPolicy
from tenfold.modules.identity.tokens import AccessTokens
from tenfold.platform.cache import Cache
from tenfold.platform.db import Database, Write
from tenfold.platform.limits import Demand, Limits, Rate

SESSIONS_REVOKED = "sessions.revoked"
ACTORS_CHANGED = "actors.changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """The parts that signing in needs. Deeds that hash take it in place of a transaction, and open theirs later."""

    db: Database
    passwords: Passwords
    limits: Limits
    keyring: Keyring
    tokens: AccessTokens
    policy: IdentityPolicy
    cache: Cache

    async def must_have_tries_left(self, what: str, who: str, rate: Rate) -> None:
        """Charge one try. Raises `TooManyTries`; without its engine nobody gets in (fail closed)."""
        decision = await self.limits.take([Demand(what, who, rate)], fail_closed=True)
        if not decision.allowed:
            raise TooManyTries(retry_after=decision.retry_after)

    async def has_tries_left(self, what: str, who: str, rate: Rate) -> bool:
        """Charge one, and say whether there was one left."""
        return (await self.limits.take([Demand(what, who, rate)], fail_closed=True)).allowed

    async def forget_tries(self, what: str, who: str) -> None:
        """The right person was there: start to count anew."""
        await self.limits.forget(what, who)


def who_tries(key: str, address: str) -> str:
    """The name of an account at an address in the limits: tries from elsewhere never count against its owner."""
    return f"{hashlib.sha256(key.encode()).hexdigest()[:24]}@{address}"


def announce_revoked(tx: Write, guard: Guard, session_ids: Sequence[UUID]) -> None:
    """Have every process refuse these sessions and close their sockets: this one at the commit, others by the bus."""
    if session_ids:
        tx.signal(SESSIONS_REVOKED, {"session_ids": [str(session_id) for session_id in session_ids]})
        tx.on_commit(lambda: guard.tokens.revoke_sessions(session_ids))


def announce_outdated(tx: Write, guard: Guard, user_id: UUID, version: int) -> None:
    """Have every process refuse access tokens with older claims; the next refresh brings new ones."""
    tx.signal(ACTORS_CHANGED, {"users": [[str(user_id), version]]})
    tx.on_commit(lambda: guard.tokens.outdate(user_id, version))


def forget_card(tx: Write, guard: Guard, user_id: UUID) -> None:
    """Have every process forget what it keeps of how a user looks to others."""
    guard.cache.drop_with(tx, card_tag(user_id))


def card_tag(user_id: UUID) -> str:
    """The tag of everything in the cache that shows a user."""
    return f"user:{user_id}"
