"""What administrators do to accounts: find them, move them between tiers and roles, ban them and let them back."""

from datetime import datetime
from uuid import UUID

from tenfold.kit.actors import Actor, Role
from tenfold.kit.clock import lies_ahead
from tenfold.kit.pages import Page, cut, from_cursor
from tenfold.kit.refusals import Invalid
from tenfold.modules.identity.actions.accounts import end_all_sessions
from tenfold.modules.identity.actions.bans import end_ban
from tenfold.modules.identity.actions.trail import note
from tenfold.modules.identity.directory import find_user_id
from tenfold.modules.identity.errors import NotYourself, UserNotFound
from tenfold.modules.identity.events import RoleChanged, TierChanged, UserHidden
from tenfold.modules.identity.guard import Guard, announce_outdated, forget_card
from tenfold.modules.identity.queries import accounts as queries
from tenfold.modules.identity.queries.accounts import Account
from tenfold.modules.identity.rules.emails import key_of_text
from tenfold.modules.identity.rules.texts import read_lines, without_addresses
from tenfold.modules.identity.shapes import AdminUser, Ban
from tenfold.platform.db import Read, Write


async def get_user(tx: Read, user_id: UUID) -> AdminUser:
    """Everything an administrator sees of one user. Raises `UserNotFound`."""
    user = await queries.find_admin_user(tx, user_id=user_id)
    if user is None:
        raise UserNotFound
    return user


async def find_users(tx: Read, *, email: str | None, handle: str | None) -> Page[AdminUser]:
    """The user of an address or of a handle, as a page of one or none."""
    user_id: UUID | None = None
    if email is not None:
        user_id = await queries.find_email_owner(tx, email_key=key_of_text(email) or "")
    elif handle is not None:
        user_id = await find_user_id(tx, handle)
    user = None if user_id is None else await queries.find_admin_user(tx, user_id=user_id)
    return Page([] if user is None else [user])


async def list_users(tx: Read, *, limit: int, cursor: str | None) -> Page[AdminUser]:
    """All users, the newest first."""
    rows = await queries.list_admin_users(tx, before=from_cursor(cursor, UUID), limit=limit + 1)
    return cut(rows, limit, lambda user: user.id)


async def set_tier(tx: Write, actor: Actor, user_id: UUID, tier: int, *, guard: Guard) -> None:
    """Put a user into a tier. Their next access token says so."""
    account = await _lock(tx, user_id)
    if account.tier == tier:
        return
    announce_outdated(tx, guard, user_id, await queries.set_tier(tx, user_id=user_id, tier=tier, now=tx.now))
    tx.publish(TierChanged(user_id=user_id, tier=tier))
    await note(tx, "tier_changed", user_id, by=actor.id, before=account.tier, after=tier)


async def set_role(tx: Write, actor: Actor, user_id: UUID, role: Role, *, guard: Guard) -> None:
    """Give a user a role. Nobody changes their own, so there is always an administrator left."""
    if actor.id == user_id:
        raise NotYourself
    await _give_role(tx, await _lock(tx, user_id), role, guard=guard, by=actor.id)


async def grant_admin(tx: Write, guard: Guard, email: str) -> UUID:
    """Make the owner of an address an administrator, as whoever runs commands here says. Raises `UserNotFound`."""
    user_id = await queries.find_email_owner(tx, email_key=key_of_text(email) or "")
    if user_id is None:
        raise UserNotFound(f"Nobody has the address {email}.")
    await _give_role(tx, await _lock(tx, user_id), "admin", guard=guard, by=None)
    return user_id


async def ban(tx: Write, actor: Actor, user_id: UUID, order: Ban, *, guard: Guard) -> None:
    """Hide a user and end their sessions, for a time or until further notice."""
    if actor.id == user_id:
        raise NotYourself
    if order.until is not None and not lies_ahead(order.until, tx.now):
        raise Invalid("body.until", "must be an instant to come, within a hundred years, with its zone")
    account = await _lock(tx, user_id)
    reason = read_lines("body.reason", order.reason)
    version = await queries.ban_account(tx, user_id=user_id, reason=reason, until=order.until, now=tx.now)
    announce_outdated(tx, guard, user_id, version)
    await end_all_sessions(tx, guard, user_id, because="banned")
    forget_card(tx, guard, user_id)
    if account.state == "active":
        tx.publish(UserHidden(user_id=user_id))
    await note(tx, "banned", user_id, by=actor.id, reason=without_addresses(order.reason), until=_text(order.until))


async def lift_ban(tx: Write, actor: Actor, user_id: UUID, *, guard: Guard) -> None:
    """Let a banned user back, as they were before; nothing happens to one who is not banned."""
    await _lock(tx, user_id)
    if await end_ban(tx, user_id, guard=guard):
        await note(tx, "ban_lifted", user_id, by=actor.id)


async def _give_role(tx: Write, account: Account, role: Role, *, guard: Guard, by: UUID | None) -> None:
    if account.role == role:
        return
    user_id = account.user_id
    announce_outdated(tx, guard, user_id, await queries.set_role(tx, user_id=user_id, role=role, now=tx.now))
    tx.publish(RoleChanged(user_id=user_id, role=role))
    await note(tx, "role_changed", user_id, by=by, by_command=by is None, before=account.role, after=role)


async def _lock(tx: Write, user_id: UUID) -> Account:
    account = await queries.lock_account(tx, user_id=user_id)
    if account is None:
        raise UserNotFound
    return account


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
