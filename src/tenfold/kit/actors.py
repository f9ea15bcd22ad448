"""The actor: who asks. Passed explicitly to every deed and every private read."""

from typing import Literal
from uuid import UUID

import msgspec

Role = Literal["user", "moderator", "admin"]


class Actor(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A signed-in user, as the access token of the request says."""

    id: UUID
    session_id: UUID
    role: Role = "user"
    tier: int = 0
    verified: bool = False
    second_factor_due: bool = False
    """An administrator whose session has passed no second factor yet: until then the role is an ordinary user's."""
