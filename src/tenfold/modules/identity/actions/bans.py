"""The end of a ban, by an administrator's hand or by the clock."""

from uuid import UUID

from tenfold.modules.identity.events import UserShown
from tenfold.modules.identity.guard import Guard, announce_outdated, forget_card
from tenfold.modules.identity.queries import accounts
from tenfold.platform.db import Write


async def end_ban(tx: Write, user_id: UUID, *, guard: Guard) -> bool:
    """Give an account the state from before its ban: one that its owner had hidden stays hidden. False: not banned."""
    released = await accounts.end_ban(tx, user_id=user_id, now=tx.now)
    if released is None:
        return False
    announce_outdated(tx, guard, user_id, released.claims_version)
    forget_card(tx, guard, user_id)
    if released.state == "active":
        tx.publish(UserShown(user_id=user_id))
    return True
