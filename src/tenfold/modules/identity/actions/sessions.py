"""Sessions: renewing one, listing them, ending one, the others, or all."""

from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.kit.pages import Page, cut, from_cursor
from tenfold.modules.identity.actions.accounts import end_all_sessions, with_due
from tenfold.modules.identity.actions.trail import note
from tenfold.modules.identity.errors import RefreshTokenRefused, RefreshTokenReused, SessionNotFound
from tenfold.modules.identity.guard import Guard, announce_revoked
from tenfold.modules.identity.queries import accounts
from tenfold.modules.identity.queries import sessions as queries
from tenfold.modules.identity.queries.sessions import Family, TokenRow
from tenfold.modules.identity.refresh import RefreshToken, from_text, matching, successors, to_text
from tenfold.modules.identity.rules.claims import bearer_of
from tenfold.modules.identity.rules.texts import shortened
from tenfold.modules.identity.shapes import IdentityPolicy, Session, SignedIn
from tenfold.platform.db import Read, Write
from tenfold.platform.http import Client

_AGENT_LENGTH = 300


async def refresh(guard: Guard, text: str, client: Client) -> SignedIn:
    """Renew a session. However many ask with one token within the grace, all get the same successor.

    A token that was replaced before that ends the session: either its owner or somebody else holds a copy.
    """
    token = from_text(guard.keyring, text)
    if token is None:
        raise RefreshTokenRefused
    await guard.must_have_tries_left("refresh", f"session:{token.session_id}", guard.policy.refreshes)
    signed_in = await guard.db.transact(lambda tx: _renew(tx, guard, token, client=client))
    if signed_in is None:
        raise RefreshTokenReused
    return signed_in


async def list_sessions(
    tx: Read, actor: Actor, *, policy: IdentityPolicy, limit: int, cursor: str | None
) -> Page[Session]:
    """The devices that may speak for one, the newest first."""
    rows = await queries.list_sessions(
        tx,
        user_id=actor.id,
        current=actor.session_id,
        before=from_cursor(cursor, UUID),
        now=tx.now,
        idle_since=tx.now - policy.session_idle,
        limit=limit + 1,
    )
    return cut(rows, limit, lambda session: session.id)


async def end_session(tx: Write, actor: Actor, session_id: UUID, *, guard: Guard) -> None:
    """End one of one's own sessions, this one or another. Raises `SessionNotFound`."""
    ended = await queries.end_sessions(tx, user_id=actor.id, only=session_id, kept=None, because="revoked", now=tx.now)
    if not ended:
        raise SessionNotFound
    announce_revoked(tx, guard, ended)
    await note(tx, "session_revoked", actor.id, session_id=str(session_id))


async def end_other_sessions(tx: Write, actor: Actor, *, guard: Guard) -> None:
    """End all of one's sessions but this one."""
    ended = await queries.end_sessions(
        tx, user_id=actor.id, only=None, kept=actor.session_id, because="revoked", now=tx.now
    )
    announce_revoked(tx, guard, ended)
    await note(tx, "other_sessions_revoked", actor.id, sessions=len(ended))


async def end_own_sessions(tx: Write, actor: Actor, *, guard: Guard) -> None:
    """End all of one's sessions, this one too."""
    ended = await end_all_sessions(tx, guard, actor.id, because="revoked")
    await note(tx, "all_sessions_revoked", actor.id, sessions=len(ended))


async def _renew(tx: Write, guard: Guard, token: RefreshToken, *, client: Client) -> SignedIn | None:
    """The session's next tokens, or None when the token was replayed and the session has been ended for it."""
    family = await queries.lock_family(tx, user_id=token.user_id, session_id=token.session_id)
    if family is None or not _is_alive(tx, family, guard.policy):
        raise RefreshTokenRefused
    rows = await queries.list_tokens(
        tx, user_id=token.user_id, session_id=token.session_id, generation=token.generation
    )
    shown = rows[0] if rows and rows[0].generation == token.generation else None
    if shown is not None and matching([token], shown.token_hash) is None:
        raise RefreshTokenRefused
    if shown is None or not _is_in_grace(tx, shown, guard.policy):
        await _end_family(tx, guard, token, client=client)
        return None
    candidates = successors(guard.keyring, token)
    if shown.used_at is None:
        following = candidates[0]
        await _rotate(tx, guard, token, following=following, client=client)
    else:
        following = matching(candidates, rows[1].token_hash) if len(rows) > 1 else None
        if following is None:
            raise RefreshTokenRefused
    return await _signed_in(tx, guard, following, family=family)


def _is_alive(tx: Read, family: Family, policy: IdentityPolicy) -> bool:
    return (
        family.revoked_at is None
        and family.state == "active"
        and tx.now < family.expires_at
        and tx.now < family.last_seen_at + policy.session_idle
    )


def _is_in_grace(tx: Read, shown: TokenRow, policy: IdentityPolicy) -> bool:
    return shown.used_at is None or tx.now < shown.used_at + policy.refresh_grace


async def _rotate(tx: Write, guard: Guard, token: RefreshToken, *, following: RefreshToken, client: Client) -> None:
    await queries.rotate_token(
        tx,
        user_id=token.user_id,
        session_id=token.session_id,
        generation=token.generation,
        next_hash=following.digest,
        address=client.address,
        user_agent=shortened(client.user_agent, _AGENT_LENGTH),
        forget_before=tx.now - guard.policy.refresh_grace,
        now=tx.now,
    )


async def _end_family(tx: Write, guard: Guard, token: RefreshToken, *, client: Client) -> None:
    ended = await queries.end_sessions(
        tx, user_id=token.user_id, only=token.session_id, kept=None, because="refresh token reused", now=tx.now
    )
    announce_revoked(tx, guard, ended)
    await note(
        tx,
        "refresh_token_reused",
        token.user_id,
        address=client.address,
        session_id=str(token.session_id),
        generation=token.generation,
    )


async def _signed_in(tx: Write, guard: Guard, token: RefreshToken, *, family: Family) -> SignedIn:
    actor = Actor(
        id=token.user_id, session_id=token.session_id, role=family.role, tier=family.tier, verified=family.verified
    )
    bearer = bearer_of(actor, version=family.claims_version, second_factor=family.second_factor, policy=guard.policy)
    me = await accounts.find_me(tx, user_id=token.user_id)
    if me is None:
        raise RefreshTokenRefused
    return SignedIn(
        access_token=guard.tokens.issue(bearer),
        refresh_token=to_text(guard.keyring, token),
        expires_in=int(guard.policy.access_token_lasts.total_seconds()),
        user=with_due(me, due=bearer.actor.second_factor_due),
    )
