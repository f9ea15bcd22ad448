"""Doors of one's own account: reading and changing it, its password and address, leaving, and taking data along."""

from tenfold.kit.actors import Actor
from tenfold.modules.identity.actions import accounts, archive, emails, passwords
from tenfold.modules.identity.errors import (
    HandleChangedTooOften,
    HandleIsReserved,
    HandleTaken,
    PasswordIsWrong,
    SecondFactorNeeded,
    SecondFactorRefused,
    TooManyTries,
    UserNotFound,
    WeakPassword,
)
from tenfold.modules.identity.guard import Guard
from tenfold.modules.identity.shapes import (
    Accepted,
    Archive,
    Confirmation,
    EmailChange,
    Me,
    PasswordChange,
    ProfileChange,
)
from tenfold.platform.db import Database, Read, Write
from tenfold.platform.exports import Exports
from tenfold.platform.http import Client, door

_CONFIRMED = (PasswordIsWrong, SecondFactorNeeded, SecondFactorRefused, TooManyTries, UserNotFound)


@door.get("/me", limit="read", refuses=[UserNotFound])
async def get_me(tx: Read, actor: Actor) -> Me:
    """Read one's own account."""
    return await accounts.get_me(tx, actor)


@door.patch("/me", limit="write", refuses=[HandleTaken, HandleIsReserved, HandleChangedTooOften, UserNotFound])
async def change_profile(tx: Write, actor: Actor, guard: Guard, data: ProfileChange) -> Me:
    """Change handle, name, biography or picture. A handle that is given up is kept for its owner for a while."""
    return await accounts.change_profile(tx, actor, data, guard=guard)


@door.delete("/me", limit="sign_in", refuses=_CONFIRMED)
async def erase_me(guard: Guard, actor: Actor, client: Client, data: Confirmation) -> None:
    """Erase the account for good, confirmed with the password."""
    await accounts.erase(guard, actor, data, address=client.address)


@door.put("/me/deactivation", limit="sign_in", refuses=_CONFIRMED)
async def deactivate_me(guard: Guard, actor: Actor, client: Client, data: Confirmation) -> None:
    """Hide the account and sign out everywhere. Signing in brings it back."""
    await accounts.deactivate(guard, actor, data, address=client.address)


@door.get("/me/export", limit="costly")
async def export_me(db: Database, actor: Actor, exports: Exports) -> Archive:
    """Everything that is known of oneself, by module."""
    return await archive.gather(db, actor, exports)


@door.put("/me/password", limit="sign_in", refuses=[PasswordIsWrong, WeakPassword, TooManyTries, UserNotFound])
async def change_password(guard: Guard, actor: Actor, client: Client, data: PasswordChange) -> None:
    """Change the password. All other sessions end."""
    await passwords.change_password(guard, actor, data, address=client.address)


@door.post("/me/email-verification", limit="sign_in", status=202, idempotent=False, refuses=[TooManyTries])
async def send_verification_again(guard: Guard, actor: Actor) -> Accepted:
    """Have the mail that asks to confirm the address sent again."""
    await emails.send_verification_again(guard, actor)
    return Accepted("If the address is not confirmed yet, another mail is on its way.")


@door.post("/me/email-change", limit="sign_in", status=202, idempotent=False, refuses=_CONFIRMED)
async def ask_for_email_change(guard: Guard, actor: Actor, client: Client, data: EmailChange) -> Accepted:
    """Begin to move to another address: both mailboxes are asked to confirm it."""
    await emails.ask_for_change(guard, actor, data, address=client.address)
    return Accepted("Both mailboxes have to confirm the change: look into them.")


@door.delete("/me/email-change", limit="write")
async def cancel_email_change(tx: Write, actor: Actor) -> None:
    """Stay with the present address."""
    await emails.cancel_change(tx, actor)
