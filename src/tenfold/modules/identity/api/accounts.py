"""Doors for those who are not signed in: opening an account, proving a mailbox, replacing a forgotten password."""

from tenfold.modules.identity.actions import accounts, emails, passwords
from tenfold.modules.identity.errors import (
    CodeRefused,
    EmailTaken,
    HandleIsReserved,
    HandleTaken,
    TooManyTries,
    WeakPassword,
)
from tenfold.modules.identity.guard import Guard
from tenfold.modules.identity.shapes import (
    Accepted,
    EmailChangeState,
    MailedCode,
    NewAccount,
    Reset,
    ResetRequest,
    SignUp,
)
from tenfold.platform.db import Write
from tenfold.platform.http import Client, door


@door.post("/accounts", limit="sign_in", refuses=[HandleTaken, HandleIsReserved, WeakPassword])
async def sign_up(guard: Guard, data: SignUp) -> NewAccount:
    """Open an account. It works at once; a mail asks to confirm the address.

    The answer is the same when the address has an account already: then only its owner is told, by mail.
    """
    return await accounts.sign_up(guard, data)


@door.put("/email-verifications", limit="sign_in", refuses=[CodeRefused])
async def verify_email(tx: Write, guard: Guard, data: MailedCode) -> None:
    """Confirm the address of an account with the code that was mailed to it."""
    await emails.verify_email(tx, data.code, guard=guard)


@door.put("/email-changes", limit="sign_in", refuses=[CodeRefused, EmailTaken], status=200)
async def confirm_email_change(tx: Write, guard: Guard, data: MailedCode) -> EmailChangeState:
    """Confirm a change of address with the code that was mailed to one of both mailboxes."""
    return await emails.confirm_change(tx, data.code, guard=guard)


@door.post("/password-resets", limit="sign_in", status=202, idempotent=False, refuses=[TooManyTries])
async def ask_for_reset(guard: Guard, data: ResetRequest) -> Accepted:
    """Have a code mailed with which a new password can be set. The answer is the same for an unknown address."""
    await passwords.ask_for_reset(guard, data)
    return Accepted("If this address has an account, a mail with a code is on its way.")


@door.put("/password-resets", limit="sign_in", refuses=[CodeRefused, WeakPassword])
async def reset_password(guard: Guard, client: Client, data: Reset) -> None:
    """Set a new password with a mailed code. All sessions of the account end."""
    await passwords.reset_password(guard, data, address=client.address)
