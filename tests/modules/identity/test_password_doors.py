"""Passwords: changing a known one, and replacing a forgotten one by way of the mailbox."""

from datetime import timedelta

from tests.modules.identity.people import deeds_on, mail_to, mailed_code, renew
from tests.world import PASSWORD, Person, World

NEW = "another lantern for the otter"


async def test_a_changed_password_ends_the_other_sessions(world: World) -> None:
    """Whoever knew the old one is out; this device stays; the owner is told."""
    other = Person(world.client, email=world.ana.email)
    await world.sign_in(other)

    answer = await world.ana.put("/v1/me/password", {"current": PASSWORD, "new": NEW})

    assert answer.status == 204
    assert (await other.get("/v1/me")).status == 401
    assert (await world.ana.get("/v1/me")).status == 200
    assert await renew(world.ana) == 200
    assert (await world.sign_in(world.ana)).code == "SignInRefused"
    assert (await world.sign_in(world.ana, NEW)).status == 201
    await world.drain()
    assert "password" in mail_to(world, world.ana.email, "notice").text
    assert "password_changed" in await deeds_on(world, world.ana)


async def test_changing_takes_the_old_password_and_a_good_new_one(world: World) -> None:
    """Each is refused under its own name."""
    wrong = await world.ana.put("/v1/me/password", {"current": "not it", "new": NEW})
    weak = await world.ana.put("/v1/me/password", {"current": PASSWORD, "new": "ana@example.org"})

    assert wrong.code == "PasswordIsWrong"
    assert (weak.code, weak.body["errors"][0]["field"]) == ("WeakPassword", "body.new")


async def test_a_forgotten_password_is_replaced_by_way_of_the_mailbox(world: World) -> None:
    """All sessions end; the code works once, and proves the mailbox as well."""
    asked = await world.visitor.post("/v1/password-resets", {"email": world.ana.email.upper()})
    assert asked.status == 202
    code = await mailed_code(world, world.ana.email, "reset_password")

    done = await world.visitor.put("/v1/password-resets", {"code": code, "password": NEW})

    assert done.status == 204
    assert (await world.ana.get("/v1/me")).status == 401
    assert (await world.sign_in(world.ana, NEW)).status == 201
    assert (await world.ana.get("/v1/me")).body["email_verified"] is True
    again = await world.visitor.put("/v1/password-resets", {"code": code, "password": NEW + "!"})
    assert again.code == "CodeRefused"
    assert "password_reset" in await deeds_on(world, world.ana)


async def test_an_unknown_address_gets_the_same_answer_and_no_mail(world: World) -> None:
    """Nothing is looked up before the answer, so there is nothing to time."""
    await world.drain()
    sent = len(world.mails)
    known = await world.visitor.post("/v1/password-resets", {"email": world.ana.email})
    unknown = await world.visitor.post("/v1/password-resets", {"email": "nobody@example.org"})
    await world.drain()

    assert (known.status, known.body) == (unknown.status, unknown.body)
    assert [mail.to for mail in world.mails[sent:]] == [world.ana.email]


async def test_a_reset_code_ends_after_an_hour(world: World) -> None:
    """A mailbox is read by others, later."""
    await world.visitor.post("/v1/password-resets", {"email": world.ana.email})
    code = await mailed_code(world, world.ana.email, "reset_password")
    world.clock.advance(timedelta(hours=1, seconds=1))

    answer = await world.visitor.put("/v1/password-resets", {"code": code, "password": NEW})

    assert answer.code == "CodeRefused"


async def test_codes_for_something_else_and_invented_ones_are_refused(world: World) -> None:
    """A verification code is no reset code."""
    code = await mailed_code(world, world.ana.email, "verify_email")

    for text in (code, "nonsense", "A" * 64, code[:-4] + "AAAA"):
        answer = await world.visitor.put("/v1/password-resets", {"code": text, "password": NEW})
        assert (answer.status, answer.code) == (422, "CodeRefused")


async def test_a_mailbox_is_not_flooded_by_strangers(world: World) -> None:
    """Six mails an hour, whether or not the address has an account."""
    for email in (world.ana.email, "nobody@example.org"):
        answers = [await world.visitor.post("/v1/password-resets", {"email": email}) for _ in range(7)]
        assert [answer.status for answer in answers] == [202] * 6 + [429]


async def test_a_mail_goes_to_the_mailbox_of_the_account_not_to_one_that_folds_to_it(world: World) -> None:
    """`ﬀ` folds to `ff` in our key, and is another mailbox at somebody else's."""
    await world.visitor.post(
        "/v1/accounts", {"email": "jeff@example.org", "password": PASSWORD, "handle": "jeff", "name": "Jeff"}
    )
    await world.visitor.post("/v1/password-resets", {"email": "jeﬀ@example.org"})
    await world.visitor.post(
        "/v1/accounts", {"email": "jeﬀ@example.org", "password": PASSWORD, "handle": "jeff_x", "name": "Thief"}
    )
    await world.drain()

    assert {mail.to for mail in world.mails if mail.to.startswith("je")} == {"jeff@example.org"}
