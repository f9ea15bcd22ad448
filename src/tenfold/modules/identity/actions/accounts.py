"""Opening an account, changing its profile, leaving for a while, leaving for good."""

from uuid import UUID

import msgspec
from msgspec import UNSET

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.modules.identity import jobs
from tenfold.modules.identity.actions.reauthentication import must_confirm
from tenfold.modules.identity.actions.trail import note
from tenfold.modules.identity.errors import HandleChangedTooOften, HandleTaken, UserNotFound
from tenfold.modules.identity.events import AccountOpened, ProfileChanged, UserErased, UserHidden
from tenfold.modules.identity.guard import Guard, announce_outdated, announce_revoked, forget_card
from tenfold.modules.identity.keys import Keyring
from tenfold.modules.identity.queries import accounts as queries
from tenfold.modules.identity.queries import secrets, sessions
from tenfold.modules.identity.queries.accounts import Account
from tenfold.modules.identity.rules.emails import email_key, read_email
from tenfold.modules.identity.rules.handles import must_be_free_to_choose, read_handle, skeleton
from tenfold.modules.identity.rules.screening import must_be_hard_to_guess
from tenfold.modules.identity.rules.texts import read_line, read_lines, read_picture
from tenfold.modules.identity.shapes import Confirmation, IdentityPolicy, Me, NewAccount, ProfileChange, SignUp
from tenfold.platform.db import Read, Write
from tenfold.platform.http import forget

_CHECK_YOUR_MAIL = "Sign in with your e-mail address and password, and look into your mailbox to confirm the address."


async def sign_up(guard: Guard, request: SignUp) -> NewAccount:
    """Open an account, and mail its owner a code.

    An address that has an account gets another mail, and the same answer.
    Both cases hash, run the same statements and enqueue one mail, so that neither answer nor time tells them apart.
    """
    policy = guard.policy
    account = NewAccount(
        email=read_email("body.email", request.email),
        handle=read_handle("body.handle", request.handle),
        name=read_line("body.name", request.name),
        message=_CHECK_YOUR_MAIL,
    )
    must_be_free_to_choose(account.handle, policy.reserved_handles)
    must_be_hard_to_guess(request.password, (account.email, account.handle, account.name))
    hashed = await guard.passwords.hash(request.password)
    mail = await guard.has_tries_left("sign_up_mail", email_key(account.email), policy.mails_per_mailbox)
    await guard.db.transact(lambda tx: _open(tx, guard, account, password_hash=hashed, mail=mail))
    return account


async def change_profile(tx: Write, actor: Actor, change: ProfileChange, *, guard: Guard) -> Me:
    """Change what others see of oneself; what is left out stays. A handle that is given up is held for a while."""
    account = await queries.lock_account(tx, user_id=actor.id)
    if account is None:
        raise UserNotFound
    handle = None if change.handle is UNSET else read_handle("body.handle", change.handle)
    if handle is not None and handle != account.handle:
        await _change_handle(tx, account, handle, guard=guard)
    await queries.update_profile(
        tx,
        user_id=actor.id,
        handle=handle,
        name=None if change.name is UNSET else read_line("body.name", change.name),
        bio=None if change.bio is UNSET else read_lines("body.bio", change.bio),
        sets_avatar=change.avatar is not UNSET,
        avatar=None if change.avatar is UNSET or change.avatar is None else read_picture("body.avatar", change.avatar),
    )
    forget_card(tx, guard, actor.id)
    tx.publish(ProfileChanged(user_id=actor.id))
    return await get_me(tx, actor)


async def get_me(tx: Read, actor: Actor) -> Me:
    """One's own account. Raises `UserNotFound` when it was erased meanwhile."""
    me = await queries.find_me(tx, user_id=actor.id)
    if me is None:
        raise UserNotFound
    return with_due(me, due=actor.second_factor_due)


def with_due(me: Me, *, due: bool) -> Me:
    """The same account, saying whether this session still owes a second factor."""
    return msgspec.structs.replace(me, second_factor_due=due)


async def deactivate(guard: Guard, actor: Actor, confirmation: Confirmation, *, address: str) -> None:
    """Hide the account and end its sessions; signing in brings it back."""
    await must_confirm(guard, actor, confirmation, address=address)

    async def deed(tx: Write) -> None:
        account = await queries.lock_account(tx, user_id=actor.id)
        if account is None or account.state != "active":
            raise UserNotFound
        version = await queries.set_state(tx, user_id=actor.id, state="deactivated", now=tx.now)
        announce_outdated(tx, guard, actor.id, version)
        await end_all_sessions(tx, guard, actor.id, because="deactivated")
        forget_card(tx, guard, actor.id)
        tx.publish(UserHidden(user_id=actor.id))
        await note(tx, "deactivated", actor.id, address=address)

    await guard.db.transact(deed)


async def erase(guard: Guard, actor: Actor, confirmation: Confirmation, *, address: str) -> None:
    """Forget who this was, in all that identity keeps; other modules follow `UserErased`.

    Three things remain. The handle stays taken for ever, as a keyed digest, so that nobody can pass for them. The audit
    log keeps its lines with the user's id and the addresses they came from: saying who did what is what it is for.
    Answers kept for an Idempotency-Key go here if they were the user's; those to requests before signing in (such as
    signing up, with its e-mail address) are under a network address, cannot be told apart, and go within 24 hours.
    """
    await must_confirm(guard, actor, confirmation, address=address)

    async def deed(tx: Write) -> None:
        account = await queries.lock_account(tx, user_id=actor.id)
        if account is None:
            raise UserNotFound
        await end_all_sessions(tx, guard, actor.id, because="erased")
        await queries.release_email(tx, email_key=email_key(account.email), user_id=actor.id)
        looks = await queries.list_handles_of(tx, user_id=actor.id)
        await queries.bury_handles(tx, user_id=actor.id, tombstones=[tombstone(guard.keyring, look) for look in looks])
        version = await queries.erase_account(tx, user_id=actor.id, now=tx.now)
        await forget(tx, actor.id)
        announce_outdated(tx, guard, actor.id, version)
        forget_card(tx, guard, actor.id)
        tx.publish(UserErased(user_id=actor.id))
        await note(tx, "erased", actor.id)

    await guard.db.transact(deed)


async def end_all_sessions(tx: Write, guard: Guard, user_id: UUID, *, because: str) -> list[UUID]:
    """End every session of a user, and have every process know."""
    ended = await sessions.end_sessions(tx, user_id=user_id, only=None, kept=None, because=because, now=tx.now)
    announce_revoked(tx, guard, ended)
    return ended


def tombstone(keyring: Keyring, look: str) -> str:
    """What stays of an erased account's handle: enough to know it again, not enough to read it."""
    return "gone:" + keyring.mac("handle of an erased account", look.encode()).hex()


async def _open(tx: Write, guard: Guard, account: NewAccount, *, password_hash: str, mail: bool) -> None:
    policy, user_id = guard.policy, new_id()
    owner_id = await queries.claim_email(tx, email_key=email_key(account.email), user_id=user_id, now=tx.now)
    is_new = owner_id == user_id
    # The handle asked for with a known address is held as long: whether it is free afterwards must not tell either.
    await _claim_handle(tx, guard, account.handle, user_id, held=not is_new)
    await queries.insert_account(
        tx,
        user_id=user_id,
        owner_id=owner_id,
        email=account.email,
        handle=account.handle,
        name=account.name,
        password_hash=password_hash,
        now=tx.now,
    )
    code_id = new_id()
    purpose = "verify_email" if is_new else "reset_password"
    lasts = policy.verification_lasts if is_new else policy.reset_lasts
    await secrets.insert_code(
        tx,
        user_id=owner_id,
        code_id=code_id,
        purpose=purpose,
        email=account.email,
        now=tx.now,
        expires_at=tx.now + lasts,
    )
    letter = jobs.CodeLetter(user_id=owner_id, code_id=code_id)
    if mail:
        tx.enqueue(jobs.send_verification if is_new else jobs.send_already_known, letter)
    if is_new:
        tx.publish(AccountOpened(user_id=user_id, handle=account.handle))


async def _claim_handle(tx: Write, guard: Guard, handle: str, user_id: UUID, *, held: bool = False) -> None:
    """Take a handle. The claim comes first: of two who want it, or with one who is erased meanwhile, one is told no."""
    look = skeleton(handle)
    until = tx.now + guard.policy.handle_held if held else None
    claimed = await queries.claim_handle(
        tx, skeleton=look, handle=handle, user_id=user_id, held_until=until, now=tx.now
    )
    if claimed is None or await queries.is_buried(tx, tombstone=tombstone(guard.keyring, look)):
        raise HandleTaken(f"`{handle}` is taken, or looks like one that is.")


async def _change_handle(tx: Write, account: Account, handle: str, *, guard: Guard) -> None:
    policy: IdentityPolicy = guard.policy
    must_be_free_to_choose(handle, policy.reserved_handles)
    looks_new = skeleton(handle) != skeleton(account.handle)
    held = await queries.count_held_handles(tx, user_id=account.user_id, now=tx.now) if looks_new else 0
    if held >= policy.handles_held:
        raise HandleChangedTooOften
    # The new one first: two who want each other's handle would wait for each other if both began with their own.
    await _claim_handle(tx, guard, handle, account.user_id)
    if looks_new:
        await queries.hold_handle(
            tx, skeleton=skeleton(account.handle), user_id=account.user_id, held_until=tx.now + policy.handle_held
        )
