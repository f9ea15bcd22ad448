"""Doors of the second factor: enrol, confirm, turn off, and renew the recovery codes."""

from tenfold.kit.actors import Actor
from tenfold.modules.identity.actions import factors
from tenfold.modules.identity.actions.factors import try_factor
from tenfold.modules.identity.actions.reauthentication import must_confirm, must_know_password
from tenfold.modules.identity.errors import (
    PasswordIsWrong,
    SecondFactorIsOff,
    SecondFactorIsOn,
    SecondFactorIsRequired,
    SecondFactorNeeded,
    SecondFactorRefused,
    TooManyTries,
    UserNotFound,
)
from tenfold.modules.identity.guard import Guard
from tenfold.modules.identity.shapes import Confirmation, PasswordOnly, RecoveryCodes, TotpCode, TotpSecret
from tenfold.platform.http import Client, door
from tenfold.platform.http.problems import EmailNotVerified


@door.post(
    "/me/totp",
    limit="sign_in",
    idempotent=False,
    refuses=[PasswordIsWrong, EmailNotVerified, SecondFactorIsOn, TooManyTries, UserNotFound],
)
async def enrol(guard: Guard, actor: Actor, client: Client, data: PasswordOnly) -> TotpSecret:
    """Get a secret for an authenticator. It counts once `PUT /v1/me/totp` has shown a code of it.

    The e-mail address of the account must be verified first.
    """
    await must_know_password(guard, actor.id, data.password, address=client.address)
    return await guard.db.transact(lambda tx: factors.enrol(tx, actor, guard=guard))


@door.put(
    "/me/totp",
    limit="sign_in",
    status=200,
    refuses=[EmailNotVerified, SecondFactorRefused, SecondFactorIsOn, SecondFactorIsOff, TooManyTries, UserNotFound],
)
async def confirm(guard: Guard, actor: Actor, client: Client, data: TotpCode) -> RecoveryCodes:
    """Turn the second factor on with its first code. Keep the recovery codes: they are not shown again."""
    return await try_factor(
        guard, actor.id, lambda tx: factors.confirm(tx, actor, data.totp, guard=guard), address=client.address
    )


@door.delete(
    "/me/totp",
    limit="sign_in",
    refuses=[
        PasswordIsWrong,
        SecondFactorNeeded,
        SecondFactorRefused,
        SecondFactorIsOff,
        SecondFactorIsRequired,
        TooManyTries,
    ],
)
async def turn_off(guard: Guard, actor: Actor, client: Client, data: Confirmation) -> None:
    """Turn the second factor off, confirmed with the password and a code."""
    await must_confirm(guard, actor, data, address=client.address)
    await guard.db.transact(lambda tx: factors.turn_off(tx, actor, guard=guard))


@door.post(
    "/me/recovery-codes",
    limit="sign_in",
    idempotent=False,
    refuses=[PasswordIsWrong, SecondFactorNeeded, SecondFactorRefused, SecondFactorIsOff, TooManyTries],
)
async def renew_codes(guard: Guard, actor: Actor, client: Client, data: Confirmation) -> RecoveryCodes:
    """Get new recovery codes in place of the old ones, confirmed with the password and a code."""
    await must_confirm(guard, actor, data, address=client.address)
    return await guard.db.transact(lambda tx: factors.renew_codes(tx, actor, guard=guard))
