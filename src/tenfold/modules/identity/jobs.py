"""What identity does behind the request: its mails, bans that end by themselves, and tidying up.

A mail's job holds ids, not the code: the code follows from them, so a job that runs twice sends the same link.
"""

from datetime import timedelta
from typing import Literal
from uuid import UUID

import msgspec

from tenfold.modules.identity.actions.bans import end_ban
from tenfold.modules.identity.codes import mailed_code
from tenfold.modules.identity.guard import Guard
from tenfold.modules.identity.queries import accounts, secrets, sessions
from tenfold.modules.identity.rules.emails import key_of_text
from tenfold.modules.identity.shapes import IdentityPolicy
from tenfold.platform.db import Database, Write
from tenfold.platform.jobs import every, job
from tenfold.platform.mail import Mailer, MailRejected
from tenfold.platform.mail.templates import Templates

What = Literal["password_changed", "second_factor_on", "second_factor_off", "email_changed"]
_BATCH = 5000
_SENTENCES: dict[What, str] = {
    "password_changed": "The password of your account was changed, and your other sessions were ended.",
    "second_factor_on": "A second factor was turned on for your account.",
    "second_factor_off": "The second factor of your account was turned off.",
    "email_changed": "Your account has another e-mail address now. This one is not used for it any more.",
}


class CodeLetter(msgspec.Struct, frozen=True):
    """A code that is to be mailed: which row of `codes` it is."""

    user_id: UUID
    code_id: UUID


class ResetAsked(msgspec.Struct, frozen=True):
    """Somebody forgot a password. Whether there is such an account is found out by the job, not by the one who asks."""

    email: str
    code_id: UUID


class Notice(msgspec.Struct, frozen=True):
    """Something happened to an account that its owner should know; `email` where it is no longer the account's."""

    user_id: UUID
    what: What
    email: str | None = None


class Post:
    """How a letter is written and sent."""

    def __init__(self, guard: Guard, mailer: Mailer, templates: Templates) -> None:
        self._guard, self._mailer, self._templates = guard, mailer, templates

    async def send_code(self, letter: CodeLetter, template: str, page: str) -> None:
        """Mail a code, unless it was used or is too old by now.

        It goes to the account's own address. What somebody typed may only fold to the same key, and be another mailbox;
        the one exception is the mailbox that an account wants to move to.
        """
        async with self._guard.db.read() as tx:
            code = await secrets.find_code(tx, user_id=letter.user_id, code_id=letter.code_id)
            account = await accounts.find_account(tx, user_id=letter.user_id)
            if code is None or account is None or code.used_at is not None or code.expires_at <= tx.now:
                return
        text = mailed_code(self._guard.keyring, letter.user_id, letter.code_id)
        # Behind the `#`, which browsers keep to themselves: a code belongs in no log and no Referer.
        link = f"{self._guard.policy.public_url}/{page}#code={text}"
        to = code.email if code.purpose == "change_email_new" else account.email
        await self.send(template, to, name=account.name, link=link, code=text)

    async def send(self, template: str, to: str, **values: str) -> None:
        """Send it; an address that takes no mail is nobody's fault and not tried again."""
        mail = self._templates.render(f"identity/{template}", to, **values)
        try:
            await self._mailer.send(mail)
        except MailRejected:
            return


@job(priority="high")
async def send_verification(letter: CodeLetter, guard: Guard, mailer: Mailer, templates: Templates) -> None:
    """Mail the code that proves a new account's mailbox."""
    await Post(guard, mailer, templates).send_code(letter, "verify_email", "verify-email")


@job()
async def send_already_known(letter: CodeLetter, guard: Guard, mailer: Mailer, templates: Templates) -> None:
    """Tell the owner of an address that somebody signed up with it again, and offer a new password."""
    await Post(guard, mailer, templates).send_code(letter, "already_known", "reset-password")


@job(priority="high")
async def send_reset(asked: ResetAsked, guard: Guard, mailer: Mailer, templates: Templates) -> None:
    """Mail the code that sets a new password, if the address has an account."""

    async def deed(tx: Write) -> CodeLetter | None:
        user_id = await accounts.find_email_owner(tx, email_key=key_of_text(asked.email) or "")
        account = None if user_id is None else await accounts.find_account(tx, user_id=user_id)
        if account is None:
            return None
        await secrets.insert_code(
            tx,
            user_id=account.user_id,
            code_id=asked.code_id,
            purpose="reset_password",
            email=account.email,
            now=tx.now,
            expires_at=tx.now + guard.policy.reset_lasts,
        )
        return CodeLetter(account.user_id, asked.code_id)

    letter = await guard.db.transact(deed)
    if letter is not None:
        await Post(guard, mailer, templates).send_code(letter, "reset_password", "reset-password")


@job()
async def send_change_to_old(letter: CodeLetter, guard: Guard, mailer: Mailer, templates: Templates) -> None:
    """Ask the present mailbox whether the account may move to another one."""
    async with guard.db.read() as tx:
        code = await secrets.find_code(tx, user_id=letter.user_id, code_id=letter.code_id)
        account = await accounts.find_account(tx, user_id=letter.user_id)
    if code is None or account is None or code.used_at is not None:
        return
    text = mailed_code(guard.keyring, letter.user_id, letter.code_id)
    link = f"{guard.policy.public_url}/change-email#code={text}"
    await Post(guard, mailer, templates).send(
        "change_email_old", account.email, name=account.name, link=link, code=text, new=code.email
    )


@job()
async def send_change_to_new(letter: CodeLetter, guard: Guard, mailer: Mailer, templates: Templates) -> None:
    """Ask the mailbox that an account wants to move to."""
    await Post(guard, mailer, templates).send_code(letter, "change_email_new", "change-email")


@job()
async def send_notice(notice: Notice, guard: Guard, mailer: Mailer, templates: Templates) -> None:
    """Tell an account's owner what was done to it."""
    async with guard.db.read() as tx:
        account = await accounts.find_account(tx, user_id=notice.user_id)
    to = notice.email or (account.email if account else "")
    if account is not None and to:
        await Post(guard, mailer, templates).send("notice", to, name=account.name, sentence=_SENTENCES[notice.what])


@every(timedelta(minutes=5))
async def lift_ended_bans(tx: Write, guard: Guard) -> None:
    """Let those back, as they were before, whose ban was for a time that is over."""
    for user_id in await accounts.list_ended_bans(tx, now=tx.now):
        await end_ban(tx, user_id, guard=guard)


@every("17 3 * * *")
async def sweep(db: Database, policy: IdentityPolicy) -> None:
    """Delete sessions that ended long ago, codes that are too old, and handles that nobody is kept any more."""
    async with db.write() as tx:
        before = tx.now - policy.ended_sessions_kept
        await secrets.delete_old_codes(tx, before=before)
        await accounts.delete_released_handles(tx, now=tx.now)
    deleted = _BATCH
    while deleted == _BATCH:
        async with db.write() as tx:
            deleted = await sessions.delete_ended_sessions(
                tx, before=before, idle_before=before - policy.session_idle, limit=_BATCH
            )
