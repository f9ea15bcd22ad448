"""The second factor: enrolling an authenticator, passing it, living without it, and the recovery codes beside it."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar
from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.modules.identity import jobs
from tenfold.modules.identity.actions.trail import note
from tenfold.modules.identity.codes import new_recovery_codes, recovery_hash, recovery_hashes
from tenfold.modules.identity.errors import (
    SecondFactorIsOff,
    SecondFactorIsOn,
    SecondFactorIsRequired,
    SecondFactorNeeded,
    SecondFactorRefused,
    UserNotFound,
)
from tenfold.modules.identity.guard import Guard, announce_outdated
from tenfold.modules.identity.queries import accounts, secrets, sessions
from tenfold.modules.identity.queries.accounts import Account
from tenfold.modules.identity.queries.secrets import Factor, RecoveryHash
from tenfold.modules.identity.rules import totp as rules
from tenfold.modules.identity.shapes import RecoveryCodes, TotpSecret
from tenfold.platform.db import Write
from tenfold.platform.http.problems import EmailNotVerified

T = TypeVar("T")


class Proof(NamedTuple):
    """What somebody shows of the second factor: the authenticator's code, or a recovery code."""

    totp: str | None = None
    recovery_code: str | None = None


async def enrol(tx: Write, actor: Actor, *, guard: Guard) -> TotpSecret:
    """Make a secret for an authenticator. It counts once a code of it was shown; until then it can be replaced.

    Raises `EmailNotVerified`: whoever signed up with somebody else's address must not lock its owner out for good.
    """
    account = await accounts.lock_account(tx, user_id=actor.id)
    if account is None:
        raise UserNotFound
    _must_own_mailbox(account)
    secret = rules.new_secret()
    sealed = guard.keyring.seal(secret.encode())
    if not await secrets.put_factor(tx, user_id=actor.id, sealed_secret=sealed, now=tx.now):
        raise SecondFactorIsOn
    return TotpSecret(secret, rules.address_of(secret, account=account.email, app_name=guard.policy.app_name))


async def confirm(tx: Write, actor: Actor, code: str, *, guard: Guard) -> RecoveryCodes:
    """Turn the second factor on with its first code. The session that does so has passed it."""
    # The account before its factor, as signing in locks them.
    account = await accounts.lock_account(tx, user_id=actor.id)
    if account is None:
        raise UserNotFound
    _must_own_mailbox(account)
    factor = await secrets.lock_factor(tx, user_id=actor.id)
    if factor is None:
        raise SecondFactorIsOff
    if factor.confirmed_at is not None:
        raise SecondFactorIsOn
    step = _step_of(tx, guard, factor, code)
    if step is None:
        raise SecondFactorRefused
    await secrets.confirm_factor(tx, user_id=actor.id, step=step, now=tx.now)
    await sessions.set_second_factor(tx, user_id=actor.id, session_id=actor.session_id)
    announce_outdated(tx, guard, actor.id, await accounts.outdate_claims(tx, user_id=actor.id, now=tx.now))
    tx.enqueue(jobs.send_notice, jobs.Notice(user_id=actor.id, what="second_factor_on"))
    await note(tx, "second_factor_on", actor.id)
    return await _new_codes(tx, actor.id, guard=guard)


async def turn_off(tx: Write, actor: Actor, *, guard: Guard) -> None:
    """Live without a second factor; the caller has confirmed it. Raises `SecondFactorIsRequired` for administrators."""
    account = await accounts.lock_account(tx, user_id=actor.id)
    if account is not None and account.role == "admin" and guard.policy.admins_need_second_factor:
        raise SecondFactorIsRequired
    if not await secrets.delete_factor(tx, user_id=actor.id):
        raise SecondFactorIsOff
    await sessions.clear_second_factor(tx, user_id=actor.id)
    tx.enqueue(jobs.send_notice, jobs.Notice(user_id=actor.id, what="second_factor_off"))
    await note(tx, "second_factor_off", actor.id)


async def renew_codes(tx: Write, actor: Actor, *, guard: Guard) -> RecoveryCodes:
    """Replace the recovery codes; the caller has confirmed it. The old ones are worth nothing from now on."""
    factor = await secrets.lock_factor(tx, user_id=actor.id)
    if factor is None or factor.confirmed_at is None:
        raise SecondFactorIsOff
    await note(tx, "recovery_codes_renewed", actor.id)
    return await _new_codes(tx, actor.id, guard=guard)


async def must_pass(tx: Write, guard: Guard, user_id: UUID, proof: Proof) -> bool:
    """Use up a code; False where the account has no second factor to pass.

    Raises `SecondFactorNeeded` without a code, `SecondFactorRefused` when it is wrong, old or used.
    """
    factor = await secrets.lock_factor(tx, user_id=user_id)
    if factor is None or factor.confirmed_at is None:
        return False
    if proof.totp is not None:
        step = _step_of(tx, guard, factor, proof.totp)
        if step is None or not await secrets.use_step(tx, user_id=user_id, step=step):
            raise SecondFactorRefused
    elif proof.recovery_code is not None:
        hashes = recovery_hashes(guard.keyring, user_id, proof.recovery_code)
        if not await secrets.use_recovery_code(tx, user_id=user_id, hashes=hashes, now=tx.now):
            raise SecondFactorRefused
        await note(tx, "recovery_code_used", user_id)
    else:
        raise SecondFactorNeeded
    return True


async def try_factor(guard: Guard, user_id: UUID, deed: Callable[[Write], Awaitable[T]], *, address: str) -> T:
    """Run a deed that asks for the second factor. Tries are counted per account, and wrong ones written down.

    Counting them wherever they come from denies nobody service: who gets here knows the password.
    """
    await guard.must_have_tries_left("second_factor", str(user_id), guard.policy.second_factor_tries)
    try:
        result = await guard.db.transact(deed)
    except SecondFactorRefused:
        await guard.db.transact(lambda tx: note(tx, "second_factor_refused", user_id, address=address))
        raise
    await guard.forget_tries("second_factor", str(user_id))
    return result


async def remove_unproved(tx: Write, account: Account) -> None:
    """Take away the second factor of an account whose mailbox is proved only now: its enroller may be a stranger.

    Those with a role keep theirs: whoever gave them the role knew them.
    """
    if account.email_verified or account.role != "user":
        return
    if await secrets.delete_factor(tx, user_id=account.user_id):
        tx.enqueue(jobs.send_notice, jobs.Notice(user_id=account.user_id, what="second_factor_off"))
        await note(tx, "second_factor_off", account.user_id, because="the mailbox was not proved when it was enrolled")


def _must_own_mailbox(account: Account) -> None:
    # Whoever has a role was named by somebody who may: the first administrator by the one who runs commands here.
    if not account.email_verified and account.role == "user":
        raise EmailNotVerified


async def _new_codes(tx: Write, user_id: UUID, *, guard: Guard) -> RecoveryCodes:
    codes = new_recovery_codes()
    await secrets.delete_recovery_codes(tx, user_id=user_id)
    rows = [RecoveryHash(recovery_hash(guard.keyring, user_id, code)) for code in codes]
    await secrets.insert_recovery_codes.each(tx, rows, user_id=user_id)
    return RecoveryCodes(codes)


def _step_of(tx: Write, guard: Guard, factor: Factor, code: str) -> int | None:
    secret = guard.keyring.unseal(factor.sealed_secret).decode()
    return rules.matching_step(secret, code, now=tx.now, after_step=factor.last_step)
