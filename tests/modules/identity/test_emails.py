"""The mailbox of an account: proving it, and moving to another with the word of both."""

from datetime import timedelta

from tenfold.modules.identity import jobs
from tests.modules.identity.people import deeds_on, mail_to, mailed_code, renew
from tests.world import PASSWORD, Person, World

NEW = "ana@elsewhere.example"


async def verify(world: World, person: Person) -> None:
    """Follow the link of the mail."""
    code = await mailed_code(world, person.email, "verify_email")
    assert (await world.visitor.put("/v1/email-verifications", {"code": code})).status == 204
    await renew(person)


async def test_a_mailbox_is_proved_with_the_code_that_was_sent_to_it(world: World) -> None:
    """The next access token says so; the old one is refused, so nobody waits ten minutes for it."""
    code = await mailed_code(world, world.ana.email, "verify_email")

    assert (await world.visitor.put("/v1/email-verifications", {"code": code})).status == 204

    assert (await world.ana.get("/v1/me")).status == 401
    assert await renew(world.ana) == 200
    assert (await world.ana.get("/v1/me")).body["email_verified"] is True
    assert world.house.tokens.authenticate(world.ana.token).verified is True
    assert (await world.visitor.put("/v1/email-verifications", {"code": code})).status == 204


async def test_a_job_that_runs_twice_sends_the_same_link(world: World) -> None:
    """Two mails with two codes would leave their reader guessing."""
    async with world.db.write() as tx:
        rows = await tx.connection.fetch("select code_id from codes where user_id = $1", world.ana.id)
        letter = jobs.CodeLetter(user_id=world.ana.id, code_id=rows[0]["code_id"])
        tx.enqueue(jobs.send_verification, letter)
        tx.enqueue(jobs.send_verification, letter)
    await world.drain()

    texts = {mail.text for mail in world.mails if mail.to == world.ana.email}
    assert len(texts) == 1


async def test_the_mail_can_be_sent_again_until_it_has_worked(world: World) -> None:
    """Both codes are good; after that there is nothing to send."""
    first = await mailed_code(world, world.ana.email, "verify_email")
    assert (await world.ana.post("/v1/me/email-verification")).status == 202
    second = await mailed_code(world, world.ana.email, "verify_email")
    assert first != second
    assert (await world.visitor.put("/v1/email-verifications", {"code": second})).status == 204
    await renew(world.ana)
    sent = len(world.mails)

    assert (await world.ana.post("/v1/me/email-verification")).status == 202

    await world.drain()
    assert len(world.mails) == sent


async def test_a_verification_code_ends_after_three_days(world: World) -> None:
    """And says so."""
    code = await mailed_code(world, world.ana.email, "verify_email")
    world.clock.advance(timedelta(days=3, seconds=1))

    assert (await world.visitor.put("/v1/email-verifications", {"code": code})).code == "CodeRefused"


async def test_an_account_moves_when_both_mailboxes_have_said_so(world: World) -> None:
    """The new one proves that it is there, the old one that it was the owner who asked."""
    await verify(world, world.ana)

    asked = await world.ana.post("/v1/me/email-change", {"email": NEW, "password": PASSWORD})
    assert asked.status == 202
    old = await mailed_code(world, world.ana.email, "change_email_old")
    new = await mailed_code(world, NEW, "change_email_new")
    first = await world.visitor.put("/v1/email-changes", {"code": new})
    assert (first.status, first.body["state"]) == (200, "waiting")
    assert (await world.sign_in(world.ana)).status == 201
    second = await world.visitor.put("/v1/email-changes", {"code": old})

    assert (second.status, second.body["state"]) == (200, "changed")
    assert (await world.sign_in(world.ana)).code == "SignInRefused"
    moved = Person(world.client, email=NEW)
    assert (await world.sign_in(moved)).status == 201
    assert (await moved.get("/v1/me")).body["email"] == NEW
    await world.drain()
    assert "another e-mail address" in mail_to(world, world.ana.email, "notice").text
    assert "email_changed" in await deeds_on(world, world.ana)


async def test_an_address_that_was_never_proved_has_no_say(world: World) -> None:
    """It may have been mistyped: then nobody reads it."""
    await world.ana.post("/v1/me/email-change", {"email": NEW, "password": PASSWORD})

    answer = await world.visitor.put("/v1/email-changes", {"code": await mailed_code(world, NEW, "change_email_new")})

    assert answer.body == {"state": "changed"}


async def test_moving_takes_the_password(world: World) -> None:
    """A stolen session must not become a stolen account."""
    answer = await world.ana.post("/v1/me/email-change", {"email": NEW, "password": "not it"})

    assert answer.code == "PasswordIsWrong"


async def test_asking_for_somebody_elses_address_is_answered_as_for_a_free_one(world: World) -> None:
    """Only who reads that mailbox is told that it belongs to an account."""
    free = await world.ana.post("/v1/me/email-change", {"email": NEW, "password": PASSWORD})
    taken = await world.ana.post("/v1/me/email-change", {"email": world.bob.email, "password": PASSWORD})

    assert (taken.status, taken.body) == (free.status, free.body)
    code = await mailed_code(world, world.bob.email, "change_email_new")
    assert (await world.visitor.put("/v1/email-changes", {"code": code})).code == "EmailTaken"
    assert (await world.sign_in(world.bob)).status == 201


async def test_a_change_can_be_called_off_or_replaced(world: World) -> None:
    """The codes on their way are worth nothing any more."""
    await verify(world, world.ana)
    await world.ana.post("/v1/me/email-change", {"email": NEW, "password": PASSWORD})
    old = await mailed_code(world, world.ana.email, "change_email_old")
    new = await mailed_code(world, NEW, "change_email_new")

    assert (await world.ana.delete("/v1/me/email-change")).status == 204

    for code in (old, new):
        assert (await world.visitor.put("/v1/email-changes", {"code": code})).code == "CodeRefused"


async def test_a_new_password_calls_off_a_change_of_address(world: World) -> None:
    """Else whoever knew the old one would still take the account along, by a mail of their own."""
    await world.ana.post("/v1/me/email-change", {"email": NEW, "password": PASSWORD})
    taken_along = await mailed_code(world, NEW, "change_email_new")
    await world.visitor.post("/v1/password-resets", {"email": world.ana.email})
    reset = {"code": await mailed_code(world, world.ana.email, "reset_password"), "password": "another horse of 1961"}
    assert (await world.visitor.put("/v1/password-resets", reset)).status == 204

    answer = await world.visitor.put("/v1/email-changes", {"code": taken_along})

    assert answer.code == "CodeRefused"


async def test_a_mailbox_proved_meanwhile_has_a_say(world: World) -> None:
    """A change that was asked for before needs another asking: the present mailbox got no mail about it."""
    await world.ana.post("/v1/me/email-change", {"email": NEW, "password": PASSWORD})
    code = await mailed_code(world, NEW, "change_email_new")
    await verify(world, world.ana)

    assert (await world.visitor.put("/v1/email-changes", {"code": code})).code == "CodeRefused"
