"""What tests of identity do with people: read their mail, enrol their authenticator, make them administrators."""

import re
from typing import Any

from pyotp.totp import TOTP

from tenfold.modules.identity import Guard, IdentityPolicy, grant_admin
from tenfold.platform import audit
from tests.world import PASSWORD, Person, World


def mail_to(world: World, address: str, template: str) -> Any:
    """The last mail of a template to an address."""
    found = [mail for mail in world.mails if mail.to == address and mail.template == f"identity/{template}"]
    assert found, [(mail.to, mail.template) for mail in world.mails]
    return found[-1]


def code_in(mail: Any) -> str:
    """The code that a mail holds."""
    found = re.search(r"code: (\S+)", mail.text)
    assert found is not None, mail.text
    return found[1]


async def mailed_code(world: World, address: str, template: str) -> str:
    """Run the jobs, and read the code of the mail that they sent."""
    await world.drain()
    return code_in(mail_to(world, address, template))


async def verify(world: World, person: Person) -> None:
    """Have somebody prove the mailbox of the account, unless they did."""
    if not (await person.get("/v1/me")).body["email_verified"]:
        code = await mailed_code(world, person.email, "verify_email")
        assert (await world.visitor.put("/v1/email-verifications", {"code": code})).status == 204
        assert await renew(person) == 200


async def enrol(world: World, person: Person) -> tuple[TOTP, list[str]]:
    """Give somebody an authenticator, and prove the mailbox for it; returns it with the recovery codes."""
    await verify(world, person)
    secret = await person.post("/v1/me/totp", {"password": PASSWORD})
    assert secret.status == 201, secret
    authenticator = TOTP(secret.body["secret"])
    codes = await person.put("/v1/me/totp", {"totp": authenticator.at(world.clock.now())})
    assert codes.status == 200, codes
    return authenticator, codes.body["recovery_codes"]


async def renew(person: Person) -> int:
    """Refresh somebody's tokens."""
    answer = await Person(person.client).post("/v1/sessions/refresh", {"refresh_token": person.refresh_token})
    if answer.status == 200:
        person.token, person.refresh_token = answer.body["access_token"], answer.body["refresh_token"]
    return answer.status


async def promote(world: World, person: Person, *, enrolled: bool = True) -> TOTP | None:
    """Make somebody an administrator, with the second factor that the settings ask for unless it is to be missing."""
    object.__setattr__(world.parts.get(IdentityPolicy), "admins_need_second_factor", True)
    async with world.db.write() as tx:
        await grant_admin(tx, world.parts.get(Guard), person.email)
    assert await renew(person) == 200
    if not enrolled:
        return None
    authenticator, _ = await enrol(world, person)
    assert await renew(person) == 200
    return authenticator


async def deeds_on(world: World, person: Person) -> list[str]:
    """What the audit log says was done to somebody's account, oldest first."""
    async with world.db.read() as tx:
        page = await audit.list_lines(tx, about=person.id, limit=100)
    return [line.deed.removeprefix("identity.") for line in reversed(page.items)]
