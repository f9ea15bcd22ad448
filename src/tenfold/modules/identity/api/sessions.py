"""Doors of sessions: signing in, renewing, listing, ending; and the keys that verify access tokens."""

from datetime import timedelta
from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.kit.pages import CursorText, Limit, Page
from tenfold.modules.identity.actions import sessions
from tenfold.modules.identity.actions.sign_in import sign_in
from tenfold.modules.identity.errors import (
    AccountIsBanned,
    RefreshTokenRefused,
    RefreshTokenReused,
    SecondFactorNeeded,
    SecondFactorRefused,
    SessionNotFound,
    SignInRefused,
    TooManyTries,
)
from tenfold.modules.identity.guard import Guard
from tenfold.modules.identity.keys import Keyring
from tenfold.modules.identity.shapes import IdentityPolicy, KeySet, Refresh, Session, SignedIn, SignIn
from tenfold.platform.db import Read, Write
from tenfold.platform.http import Client, Extra, door


@door.post(
    "/sessions",
    limit="sign_in",
    idempotent=False,
    refuses=[SignInRefused, SecondFactorNeeded, SecondFactorRefused, AccountIsBanned, TooManyTries],
)
async def open_session(guard: Guard, client: Client, data: SignIn) -> SignedIn:
    """Sign in with e-mail address and password, and a code where the account has a second factor."""
    return await sign_in(guard, data, client)


# Charged per session, by the deed, and widely by address: a hundred people behind one renew in the same minutes, but
# nobody shall try tokens at the database's cost without end.
@door.post(
    "/sessions/refresh",
    limit="free",
    extras=[Extra("refresh", 3_000, timedelta(minutes=15))],
    status=200,
    idempotent=False,
    refuses=[RefreshTokenRefused, RefreshTokenReused, TooManyTries],
)
async def refresh_session(guard: Guard, client: Client, data: Refresh) -> SignedIn:
    """Renew a session: new tokens for a refresh token, which is replaced. Asked again soon, the answer is the same."""
    return await sessions.refresh(guard, data.refresh_token, client)


@door.get("/sessions", limit="read")
async def list_sessions(
    tx: Read, actor: Actor, policy: IdentityPolicy, *, limit: Limit = 20, cursor: CursorText | None = None
) -> Page[Session]:
    """List the devices that are signed in, the newest first."""
    return await sessions.list_sessions(tx, actor, policy=policy, limit=limit, cursor=cursor)


@door.delete("/sessions", limit="write")
async def end_all_sessions(tx: Write, actor: Actor, guard: Guard) -> None:
    """Sign out everywhere, here too."""
    await sessions.end_own_sessions(tx, actor, guard=guard)


@door.delete("/sessions/current", limit="write", refuses=[SessionNotFound])
async def end_current_session(tx: Write, actor: Actor, guard: Guard) -> None:
    """Sign out here."""
    await sessions.end_session(tx, actor, actor.session_id, guard=guard)


@door.delete("/sessions/others", limit="write")
async def end_other_sessions(tx: Write, actor: Actor, guard: Guard) -> None:
    """Sign out everywhere else."""
    await sessions.end_other_sessions(tx, actor, guard=guard)


@door.delete("/sessions/{session_id:uuid}", limit="write", refuses=[SessionNotFound])
async def end_session(tx: Write, actor: Actor, guard: Guard, session_id: UUID) -> None:
    """Sign out one device."""
    await sessions.end_session(tx, actor, session_id, guard=guard)


@door.get("/keys", limit="read", public_for=timedelta(hours=1))
async def list_keys(keyring: Keyring) -> KeySet:
    """The public keys that verify access tokens, for services that check them by themselves."""
    return KeySet(keyring.public_keys())
