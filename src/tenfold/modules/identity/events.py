"""What can have happened to an account. Facts carry ids and what followers need, never an address or a secret."""

from typing import ClassVar
from uuid import UUID

from tenfold.kit.actors import Role
from tenfold.platform.events import Fact


class AccountOpened(Fact, frozen=True, kw_only=True):
    """Somebody signed up."""

    user_id: UUID
    handle: str
    tenant: ClassVar[str | None] = "user_id"


class EmailVerified(Fact, frozen=True, kw_only=True):
    """A user proved that the mailbox of the account is theirs."""

    user_id: UUID
    tenant: ClassVar[str | None] = "user_id"


class ProfileChanged(Fact, frozen=True, kw_only=True):
    """A user changed handle, name, avatar or biography."""

    user_id: UUID
    tenant: ClassVar[str | None] = "user_id"


class TierChanged(Fact, frozen=True, kw_only=True):
    """An administrator put a user into another tier."""

    user_id: UUID
    tier: int


class RoleChanged(Fact, frozen=True, kw_only=True):
    """A user got another role."""

    user_id: UUID
    role: Role


class UserHidden(Fact, frozen=True, kw_only=True):
    """A user deactivated the account or was banned: nobody sees them until `UserShown`."""

    user_id: UUID


class UserShown(Fact, frozen=True, kw_only=True):
    """A hidden user is back."""

    user_id: UUID


class UserErased(Fact, frozen=True, kw_only=True):
    """A user is gone for good: whatever a module keeps of them must go, or lose its author."""

    user_id: UUID


class UserBlocked(Fact, frozen=True, kw_only=True):
    """`user_id` blocks `other_id`: neither is to meet the other anywhere. The feed, where one blocks, says so."""

    user_id: UUID
    other_id: UUID
    tenant: ClassVar[str | None] = "user_id"


class UserUnblocked(Fact, frozen=True, kw_only=True):
    """`user_id` does not block `other_id` any more. The feed publishes it."""

    user_id: UUID
    other_id: UUID
    tenant: ClassVar[str | None] = "user_id"
