"""What an access token says of its bearer."""

import msgspec

from tenfold.kit.actors import Actor
from tenfold.modules.identity.shapes import IdentityPolicy
from tenfold.modules.identity.tokens import Bearer


def bearer_of(actor: Actor, *, version: int, second_factor: bool, policy: IdentityPolicy) -> Bearer:
    """The bearer for an actor: an administrator whose session passed no second factor is a user who owes one."""
    if actor.role == "admin" and policy.admins_need_second_factor and not second_factor:
        actor = msgspec.structs.replace(actor, role="user", second_factor_due=True)
    return Bearer(actor=actor, version=version)
