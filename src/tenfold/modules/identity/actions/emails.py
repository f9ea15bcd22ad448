"""The mailbox of an account: proving it, and moving to another one, which both mailboxes have to confirm."""

from datetime import datetime
from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.modules.identity import jobs
from tenfold.modules.identity.actions.reauthentication import must_confirm
from tenfold.modules.identity.actions.trail import note
from tenfold.modules.identity.codes import read_mailed_code
from tenfold.modules.identity.errors import CodeRefused, EmailTaken, UserNotFound
from tenfold.modules.identity.events import EmailVerified
from tenfold.modules.identity.guard import Guard, announce_outdated
from tenfold.modules.identity.queries import accounts, secrets
from tenfold.modules.identity.queries.accounts import Account
from tenfold.modules.identity.queries.secrets import MailedCodeRow
from tenfold.modules.identity.rules.emails import email_key, read_email
from tenfold.modules.identity.shapes import EmailChange, EmailChangeState, Purpose
from tenfold.platform.db import Write

_CHANGE: tuple[Purpose, ...] = ("change_email_old", "change_email_new")


async def verify_email(tx: Write, code: str, *, guard: Guard) -> None:
    """Take a mailed code as proof of the account's mailbox. Raises `CodeRefused`; a second time changes nothing."""
    user_id, row = await _read_code(tx, code, ("verify_email",), guard=guard)
    account = await accounts.lock_account(tx, user_id=user_id)
    if account is None or account.email != row.email:
        raise CodeRefused
    await secrets.use_code(tx, user_id=user_id, code_id=row.code_id, now=tx.now)
    version = await accounts.verify_email(tx, user_id=user_id, email=row.email, now=tx.now)
    if version is not None:
        announce_outdated(tx, guard, user_id, version)
        tx.publish(EmailVerified(user_id=user_id))


async def send_verification_again(guard: Guard, actor: Actor) -> None:
    """Mail another code to an account that is not verified; nothing happens to one that is."""

    async def deed(tx: Write) -> None:
        account = await accounts.find_account(tx, user_id=actor.id)
        if account is None or account.email_verified:
            return
        lasts = guard.policy.verification_lasts
        await _mail_code(tx, account.user_id, "verify_email", account.email, expires_at=tx.now + lasts)

    await guard.must_have_tries_left("mailbox", str(actor.id), guard.policy.mails_per_mailbox)
    await guard.db.transact(deed)


async def ask_for_change(guard: Guard, actor: Actor, change: EmailChange, *, address: str) -> None:
    """Begin to move to another address. It is the same for one that has an account already: only its owner is told."""
    email = read_email("body.email", change.email)
    await must_confirm(guard, actor, change, address=address)
    await guard.must_have_tries_left("mailbox", email_key(email), guard.policy.mails_per_mailbox)

    async def deed(tx: Write) -> None:
        account = await accounts.lock_account(tx, user_id=actor.id)
        if account is None:
            raise UserNotFound
        await secrets.delete_codes(tx, user_id=actor.id, purposes=list(_CHANGE))
        expires_at = tx.now + guard.policy.email_change_lasts
        # A mailbox that was never proved has no say: the address may have been mistyped.
        if account.email_verified:
            await _mail_code(tx, actor.id, "change_email_old", email, expires_at=expires_at)
        await _mail_code(tx, actor.id, "change_email_new", email, expires_at=expires_at)
        await note(tx, "email_change_asked", actor.id, address=address)

    await guard.db.transact(deed)


async def cancel_change(tx: Write, actor: Actor) -> None:
    """Stay with the present address: the codes that are under way are worth nothing any more."""
    await secrets.delete_codes(tx, user_id=actor.id, purposes=list(_CHANGE))


async def confirm_change(tx: Write, code: str, *, guard: Guard) -> EmailChangeState:
    """Take one mailbox's word; with the last one that is asked, the account moves."""
    user_id, row = await _read_code(tx, code, _CHANGE, guard=guard)
    account = await accounts.lock_account(tx, user_id=user_id)
    if account is None:
        raise CodeRefused
    await secrets.use_code(tx, user_id=user_id, code_id=row.code_id, now=tx.now)
    asked = await secrets.find_codes_for(tx, user_id=user_id, purposes=list(_CHANGE))
    # Asked for before the present mailbox was proved: its word was not asked for then, but counts now.
    if account.email_verified and all(code.purpose != "change_email_old" for code in asked):
        raise CodeRefused
    if any(code.used_at is None for code in asked):
        return EmailChangeState("waiting")
    await _move(tx, account, row.email, guard=guard)
    return EmailChangeState("changed")


async def _move(tx: Write, account: Account, email: str, *, guard: Guard) -> None:
    user_id = account.user_id
    if await accounts.claim_email(tx, email_key=email_key(email), user_id=user_id, now=tx.now) != user_id:
        raise EmailTaken
    if email_key(email) != email_key(account.email):
        await accounts.release_email(tx, email_key=email_key(account.email), user_id=user_id)
    version = await accounts.set_email(tx, user_id=user_id, email=email, now=tx.now)
    announce_outdated(tx, guard, user_id, version)
    await secrets.delete_codes(tx, user_id=user_id, purposes=[*_CHANGE, "verify_email", "reset_password"])
    if not account.email_verified:
        tx.publish(EmailVerified(user_id=user_id))
    tx.enqueue(jobs.send_notice, jobs.Notice(user_id=user_id, what="email_changed", email=account.email))
    await note(tx, "email_changed", user_id)


async def _read_code(
    tx: Write, text: str, purposes: tuple[Purpose, ...], *, guard: Guard
) -> tuple[UUID, MailedCodeRow]:
    found = read_mailed_code(guard.keyring, text)
    row = None if found is None else await secrets.find_code(tx, user_id=found[0], code_id=found[1])
    if found is None or row is None or row.purpose not in purposes or row.expires_at <= tx.now:
        raise CodeRefused
    return found[0], row


async def _mail_code(tx: Write, user_id: UUID, purpose: Purpose, email: str, *, expires_at: datetime) -> None:
    code_id = new_id()
    await secrets.insert_code(
        tx, user_id=user_id, code_id=code_id, purpose=purpose, email=email, now=tx.now, expires_at=expires_at
    )
    send = {
        "verify_email": jobs.send_verification,
        "change_email_old": jobs.send_change_to_old,
        "change_email_new": jobs.send_change_to_new,
    }[purpose]
    tx.enqueue(send, jobs.CodeLetter(user_id=user_id, code_id=code_id))
