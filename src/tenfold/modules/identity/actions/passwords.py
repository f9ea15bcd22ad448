"""Passwords: changing a known one, and replacing a forgotten one by way of the mailbox."""

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.modules.identity import jobs
from tenfold.modules.identity.actions.accounts import end_all_sessions
from tenfold.modules.identity.actions.factors import remove_unproved
from tenfold.modules.identity.actions.reauthentication import must_know_password
from tenfold.modules.identity.actions.trail import note
from tenfold.modules.identity.codes import read_mailed_code
from tenfold.modules.identity.errors import CodeRefused, PasswordIsWrong, UserNotFound
from tenfold.modules.identity.events import EmailVerified
from tenfold.modules.identity.guard import Guard, announce_outdated, announce_revoked
from tenfold.modules.identity.queries import accounts, secrets, sessions
from tenfold.modules.identity.queries.accounts import Account
from tenfold.modules.identity.rules.emails import email_key, read_email
from tenfold.modules.identity.rules.screening import must_be_hard_to_guess
from tenfold.modules.identity.shapes import PasswordChange, Purpose, Reset, ResetRequest
from tenfold.platform.db import Write

# A new password ends what was under way by the old one: a move to another mailbox would give the account away again.
_ASKED_WITH_THE_OLD: tuple[Purpose, ...] = ("reset_password", "change_email_old", "change_email_new")


async def change_password(guard: Guard, actor: Actor, change: PasswordChange, *, address: str) -> None:
    """Replace the password, and end every session but this one."""
    old = await must_know_password(guard, actor.id, change.current, address=address)
    async with guard.db.read() as tx:
        account = await accounts.find_account(tx, user_id=actor.id)
    if account is None:
        raise UserNotFound
    must_be_hard_to_guess(change.new, _known_of(account), field="body.new")
    new_hash = await guard.passwords.hash(change.new)

    async def deed(tx: Write) -> None:
        await accounts.lock_account(tx, user_id=actor.id)
        now_known = await secrets.find_password(tx, user_id=actor.id)
        if now_known is None or now_known.changed_at != old.changed_at:
            raise PasswordIsWrong
        await secrets.set_password(tx, user_id=actor.id, password_hash=new_hash, now=tx.now)
        ended = await sessions.end_sessions(
            tx, user_id=actor.id, only=None, kept=actor.session_id, because="password changed", now=tx.now
        )
        announce_revoked(tx, guard, ended)
        await secrets.delete_codes(tx, user_id=actor.id, purposes=list(_ASKED_WITH_THE_OLD))
        tx.enqueue(jobs.send_notice, jobs.Notice(user_id=actor.id, what="password_changed"))
        await note(tx, "password_changed", actor.id, address=address)

    await guard.db.transact(deed)


async def ask_for_reset(guard: Guard, request: ResetRequest) -> None:
    """Have a code mailed to an address, if it has an account. Nothing is looked up here, so nothing can be learnt."""
    email = read_email("body.email", request.email)
    await guard.must_have_tries_left("mailbox", email_key(email), guard.policy.mails_per_mailbox)
    asked = jobs.ResetAsked(email=email, code_id=new_id())

    async def deed(tx: Write) -> None:
        tx.enqueue(jobs.send_reset, asked)

    await guard.db.transact(deed)


async def reset_password(guard: Guard, request: Reset, *, address: str) -> None:
    """Set a new password with a mailed code, and end every session.

    The code proves the mailbox, too; the first proof takes a second factor away that was enrolled without one.
    """
    found = read_mailed_code(guard.keyring, request.code)
    if found is None:
        raise CodeRefused
    user_id, code_id = found
    async with guard.db.read() as tx:
        account = await accounts.find_account(tx, user_id=user_id)
    if account is None:
        raise CodeRefused
    must_be_hard_to_guess(request.password, _known_of(account))
    new_hash = await guard.passwords.hash(request.password)

    async def deed(tx: Write) -> None:
        account = await accounts.lock_account(tx, user_id=user_id)
        code = await secrets.find_code(tx, user_id=user_id, code_id=code_id)
        if (
            account is None
            or code is None
            or code.purpose != "reset_password"
            or code.used_at is not None
            or code.expires_at <= tx.now
        ):
            raise CodeRefused
        await secrets.set_password(tx, user_id=user_id, password_hash=new_hash, now=tx.now)
        await secrets.delete_codes(tx, user_id=user_id, purposes=list(_ASKED_WITH_THE_OLD))
        await end_all_sessions(tx, guard, user_id, because="password reset")
        await remove_unproved(tx, account)
        version = await accounts.verify_email(tx, user_id=user_id, email=account.email, now=tx.now)
        if version is not None:
            announce_outdated(tx, guard, user_id, version)
            tx.publish(EmailVerified(user_id=user_id))
        tx.enqueue(jobs.send_notice, jobs.Notice(user_id=user_id, what="password_changed"))
        await note(tx, "password_reset", user_id, address=address)

    await guard.db.transact(deed)


def _known_of(account: Account) -> tuple[str, str, str]:
    return account.email, account.handle, account.name
