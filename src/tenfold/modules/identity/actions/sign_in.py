"""Signing in: a password, a second factor where there is one, and then a session for one device."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.modules.identity.actions.accounts import with_due
from tenfold.modules.identity.actions.factors import Proof, must_pass, try_factor
from tenfold.modules.identity.actions.trail import note
from tenfold.modules.identity.errors import AccountIsBanned, SecondFactorNeeded, SignInRefused
from tenfold.modules.identity.events import UserShown
from tenfold.modules.identity.guard import Guard, announce_outdated, announce_revoked, forget_card, who_tries
from tenfold.modules.identity.queries import accounts, secrets, sessions
from tenfold.modules.identity.queries.accounts import Account
from tenfold.modules.identity.refresh import first_of_family, to_text
from tenfold.modules.identity.rules.claims import bearer_of
from tenfold.modules.identity.rules.emails import key_of_text
from tenfold.modules.identity.rules.texts import shortened
from tenfold.modules.identity.shapes import SignedIn, SignIn
from tenfold.platform.db import Write
from tenfold.platform.http import Client

_DEVICE_LENGTH = 80
_AGENT_LENGTH = 300


class _Known(NamedTuple):
    """Who has shown the right password, and what is to be stored in place of its hash."""

    user_id: UUID
    old_hash: str
    changed_at: datetime
    new_hash: str | None
    has_factor: bool


async def sign_in(guard: Guard, request: SignIn, client: Client) -> SignedIn:
    """Open a session. An unknown address takes the same work, and gets the same refusal, as a wrong password."""
    who = who_tries(key_of_text(request.email) or request.email, client.address)
    await guard.must_have_tries_left("sign_in", who, guard.policy.sign_in_tries)
    known = await _recognise(guard, request)
    proof = Proof(request.totp, request.recovery_code)
    if known.has_factor and proof == Proof():
        raise SecondFactorNeeded

    async def deed(tx: Write) -> SignedIn:
        return await _enter(tx, guard, known, request=request, client=client)

    if known.has_factor:
        signed_in = await try_factor(guard, known.user_id, deed, address=client.address)
    else:
        signed_in = await guard.db.transact(deed)
    await guard.forget_tries("sign_in", who)
    return signed_in


async def _recognise(guard: Guard, request: SignIn) -> _Known:
    async with guard.db.read() as tx:
        row = await sessions.find_sign_in(tx, email_key=key_of_text(request.email) or "")
    verdict = await guard.passwords.verify(row.password_hash if row else None, request.password)
    if row is None or not verdict.matches:
        raise SignInRefused
    new_hash = await guard.passwords.hash(request.password) if verdict.outdated else None
    return _Known(row.user_id, row.password_hash, row.changed_at, new_hash, row.has_factor)


async def _enter(tx: Write, guard: Guard, known: _Known, *, request: SignIn, client: Client) -> SignedIn:
    """Decide again on what is locked now, then let them in."""
    account = await accounts.lock_account(tx, user_id=known.user_id)
    password = await secrets.find_password(tx, user_id=known.user_id)
    if account is None or password is None or password.changed_at != known.changed_at:
        raise SignInRefused
    _must_be_welcome(tx, guard, account)
    # What was known before the lock may be outdated: only a factor that was passed here is one.
    passed = await must_pass(tx, guard, account.user_id, Proof(request.totp, request.recovery_code))
    if known.new_hash is not None:
        await secrets.rehash_password(tx, user_id=account.user_id, old_hash=known.old_hash, new_hash=known.new_hash)
    version = await _wake(tx, guard, account)
    return await _open_session(tx, guard, account, version=version, request=request, client=client, factor=passed)


def _must_be_welcome(tx: Write, guard: Guard, account: Account) -> None:
    if account.state == "banned" and (account.banned_until is None or account.banned_until > tx.now):
        raise AccountIsBanned(until=account.banned_until)
    if not (account.email_verified or guard.policy.unverified_may_sign_in):
        raise SignInRefused


async def _wake(tx: Write, guard: Guard, account: Account) -> int:
    """Bring a hidden account back; returns the version of its claims."""
    if account.state == "active":
        return account.claims_version
    version = await accounts.set_state(tx, user_id=account.user_id, state="active", now=tx.now)
    announce_outdated(tx, guard, account.user_id, version)
    forget_card(tx, guard, account.user_id)
    tx.publish(UserShown(user_id=account.user_id))
    await note(tx, "reactivated", account.user_id)
    return version


async def _open_session(
    tx: Write, guard: Guard, account: Account, *, version: int, request: SignIn, client: Client, factor: bool
) -> SignedIn:
    policy, user_id, session_id = guard.policy, account.user_id, new_id()
    agent = shortened(client.user_agent, _AGENT_LENGTH)
    token = first_of_family(user_id, session_id)
    await sessions.insert_session(
        tx,
        user_id=user_id,
        session_id=session_id,
        device=shortened(request.device or agent, _DEVICE_LENGTH),
        user_agent=agent,
        address=client.address,
        second_factor=factor,
        token_hash=token.digest,
        now=tx.now,
        expires_at=tx.now + policy.session_lasts,
    )
    # The account is locked, so two who sign in at once cannot both believe that there is room.
    evicted = await sessions.end_beyond(
        tx, user_id=user_id, devices=policy.devices, idle_since=tx.now - policy.session_idle, now=tx.now
    )
    announce_revoked(tx, guard, evicted)
    bearer = bearer_of(
        Actor(id=user_id, session_id=session_id, role=account.role, tier=account.tier, verified=account.email_verified),
        version=version,
        second_factor=factor,
        policy=policy,
    )
    await note(
        tx,
        "signed_in",
        user_id,
        address=client.address,
        session_id=str(session_id),
        evicted=[str(id) for id in evicted],
    )
    me = await accounts.find_me(tx, user_id=user_id)
    if me is None:
        raise SignInRefused
    return SignedIn(
        access_token=guard.tokens.issue(bearer),
        refresh_token=to_text(guard.keyring, token),
        expires_in=int(policy.access_token_lasts.total_seconds()),
        user=with_due(me, due=bearer.actor.second_factor_due),
    )
