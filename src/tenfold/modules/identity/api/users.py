"""Doors to other people: a profile by id or by handle."""

from uuid import UUID

from tenfold.modules.identity.directory import find_user_id
from tenfold.modules.identity.errors import UserNotFound
from tenfold.modules.identity.queries import accounts as queries
from tenfold.modules.identity.shapes import IdentityPolicy, Profile
from tenfold.platform.db import Read
from tenfold.platform.http import door


@door.get("/users/{user_id:uuid}", limit="read", refuses=[UserNotFound])
async def get_user(tx: Read, policy: IdentityPolicy, user_id: UUID) -> Profile:
    """Read a profile. Deactivated, banned and erased users do not exist for others."""
    return await _get_profile(tx, user_id, policy=policy)


@door.get("/handles/{handle:str}", limit="read", refuses=[UserNotFound])
async def get_user_by_handle(tx: Read, policy: IdentityPolicy, handle: str) -> Profile:
    """Read the profile of whoever has a handle, however its letters are written."""
    user_id = await find_user_id(tx, handle)
    if user_id is None:
        raise UserNotFound
    return await _get_profile(tx, user_id, policy=policy)


async def _get_profile(tx: Read, user_id: UUID, *, policy: IdentityPolicy) -> Profile:
    # An account that has to wait for its mailbox is not there yet: else the handle of a sign-up would tell a stranger
    # whether it opened an account, and so whether its address had one.
    profile = await queries.find_profile(tx, user_id=user_id, unproved_too=policy.unverified_may_sign_in)
    if profile is None:
        raise UserNotFound
    return profile
