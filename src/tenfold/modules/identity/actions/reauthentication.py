"""The password again: what a session alone may not do, its owner confirms, with a second factor where there is one."""

from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.modules.identity.actions.factors import Proof, must_pass, try_factor
from tenfold.modules.identity.errors import PasswordIsWrong
from tenfold.modules.identity.guard import Guard, who_tries
from tenfold.modules.identity.queries import secrets
from tenfold.modules.identity.queries.secrets import Password
from tenfold.modules.identity.shapes import Confirmation


async def must_know_password(guard: Guard, user_id: UUID, password: str, *, address: str) -> Password:
    """Raise `PasswordIsWrong` unless this is the user's password, and return it. Tries are counted."""
    who = who_tries(str(user_id), address)
    await guard.must_have_tries_left("password", who, guard.policy.sign_in_tries)
    async with guard.db.read() as tx:
        known = await secrets.find_password(tx, user_id=user_id)
    verdict = await guard.passwords.verify(known.password_hash if known else None, password)
    if known is None or not verdict.matches:
        raise PasswordIsWrong
    await guard.forget_tries("password", who)
    return known


async def must_confirm(guard: Guard, actor: Actor, confirmation: Confirmation, *, address: str) -> None:
    """Raise unless the password is right, and the second factor too where there is one."""
    await must_know_password(guard, actor.id, confirmation.password, address=address)
    async with guard.db.read() as tx:
        factor = await secrets.find_factor(tx, user_id=actor.id)
    if factor is not None and factor.confirmed_at is not None:
        proof = Proof(confirmation.totp, confirmation.recovery_code)
        await try_factor(guard, actor.id, lambda tx: must_pass(tx, guard, actor.id, proof), address=address)
