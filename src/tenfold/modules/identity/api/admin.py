"""Doors for administrators: finding users, their tier, their role, and bans. For everybody else they do not exist."""

from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.kit.pages import CursorText, Limit, Page
from tenfold.modules.identity.actions import admin
from tenfold.modules.identity.errors import NotYourself, UserNotFound
from tenfold.modules.identity.guard import Guard
from tenfold.modules.identity.shapes import AdminUser, Ban, EmailText, HandleText, RoleChoice, TierChoice
from tenfold.platform.db import Read, Write
from tenfold.platform.http import door

_ADMINS = ("admin",)


@door.get("/admin/users", limit="read", roles=_ADMINS)
async def list_users(
    tx: Read,
    *,
    email: EmailText | None = None,
    handle: HandleText | None = None,
    limit: Limit = 20,
    cursor: CursorText | None = None,
) -> Page[AdminUser]:
    """List users, the newest first; or find the one with an e-mail address or a handle."""
    if email is not None or handle is not None:
        return await admin.find_users(tx, email=email, handle=handle)
    return await admin.list_users(tx, limit=limit, cursor=cursor)


@door.get("/admin/users/{user_id:uuid}", limit="read", roles=_ADMINS, refuses=[UserNotFound])
async def show_user(tx: Read, user_id: UUID) -> AdminUser:
    """Read one user, hidden ones too."""
    return await admin.get_user(tx, user_id)


@door.put("/admin/users/{user_id:uuid}/tier", limit="write", roles=_ADMINS, refuses=[UserNotFound])
async def set_tier(tx: Write, actor: Actor, guard: Guard, *, user_id: UUID, data: TierChoice) -> None:
    """Put a user into a tier (0 to 5)."""
    await admin.set_tier(tx, actor, user_id, data.tier, guard=guard)


@door.put("/admin/users/{user_id:uuid}/role", limit="write", roles=_ADMINS, refuses=[UserNotFound, NotYourself])
async def set_role(tx: Write, actor: Actor, guard: Guard, *, user_id: UUID, data: RoleChoice) -> None:
    """Give a user a role. One's own cannot be changed."""
    await admin.set_role(tx, actor, user_id, data.role, guard=guard)


@door.put("/admin/users/{user_id:uuid}/ban", limit="write", roles=_ADMINS, refuses=[UserNotFound, NotYourself])
async def ban(tx: Write, actor: Actor, guard: Guard, *, user_id: UUID, data: Ban) -> None:
    """Ban a user, for a time or until further notice: hidden, and signed out everywhere."""
    await admin.ban(tx, actor, user_id, data, guard=guard)


@door.delete("/admin/users/{user_id:uuid}/ban", limit="write", roles=_ADMINS, refuses=[UserNotFound])
async def lift_ban(tx: Write, actor: Actor, guard: Guard, user_id: UUID) -> None:
    """Let a banned user back."""
    await admin.lift_ban(tx, actor, user_id, guard=guard)
