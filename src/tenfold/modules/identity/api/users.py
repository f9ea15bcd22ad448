"""Doors to other people: a profile by id or by handle."""

from uuid import UUID

from tenfold.modules.identity.directory import find_user_id
from tenfold.modules.identity.errors import UserNotFound
from tenfold.modules.identity.queries import accounts as queries
from tenfold.modules.identity.shapes import Profile
from tenfold.platform.db import Read
from tenfold.platform.http import door


@door.get("/users/{user_id:uuid}", limit="read", refuses=[UserNotFound])
async def get_user(tx: Read, user_id: UUID) -> Profile:
    """Read a profile. Deactivated, banned and erased users do not exist for others."""
    profile = await queries.find_profile(tx, user_id=user_id)
    if profile is None:
        raise UserNotFound
    return profile


@door.get("/handles/{handle:str}", limit="read", refuses=[UserNotFound])
async def get_user_by_handle(tx: Read, handle: str) -> Profile:
    """Read the profile of whoever has a handle, however its letters are written."""
    user_id = await find_user_id(tx, handle)
    profile = None if user_id is None else await queries.find_profile(tx, user_id=user_id)
    if profile is None:
        raise UserNotFound
    return profile
