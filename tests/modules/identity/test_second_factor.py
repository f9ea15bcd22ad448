"""The second factor: enrolling an authenticator, needing it, and living on when it is lost."""

import asyncio
from datetime import timedelta

from pyotp.totp import TOTP

from tenfold.platform.observe import metrics
from tests.modules.identity.people import deeds_on, enrol, mailed_code, promote, renew, verify
from tests.world import PASSWORD, Person, World

NEW = "another lantern for the otter"


async def test_an_account_with_an_authenticator_asks_for_its_code(world: World) -> None:
    """And only once the password was right."""
    authenticator, _ = await enrol(world, world.ana)
    device = Person(world.client, email=world.ana.email)

    without = await world.sign_in(device)
    wrong_password = await world.sign_in(device, "not the password")
    wrong_code = await world.sign_in(device, totp="000000")
    world.clock.advance(timedelta(seconds=30))
    right = await world.sign_in(device, totp=authenticator.at(world.clock.now()))

    assert (without.status, without.code) == (401, "SecondFactorNeeded")
    assert wrong_password.code == "SignInRefused"
    assert wrong_code.code == "SecondFactorRefused"
    assert right.status == 201
    assert right.body["user"]["second_factor"] is True
    deeds = await deeds_on(world, world.ana)
    assert deeds == ["signed_in", "second_factor_on", "second_factor_refused", "signed_in"]


async def test_a_code_is_good_once(world: World) -> None:
    """Whoever looked over the shoulder comes too late."""
    authenticator, _ = await enrol(world, world.ana)
    world.clock.advance(timedelta(seconds=30))
    code = authenticator.at(world.clock.now())
    assert (await world.sign_in(Person(world.client, email=world.ana.email), totp=code)).status == 201

    again = await world.sign_in(Person(world.client, email=world.ana.email), totp=code)

    assert again.code == "SecondFactorRefused"


async def test_clocks_may_differ_by_one_step(world: World) -> None:
    """Half a minute either way, no more."""
    authenticator, _ = await enrol(world, world.ana)
    world.clock.advance(timedelta(minutes=5))
    now = world.clock.now()

    late = await world.sign_in(world.ana, totp=authenticator.at(now - timedelta(seconds=90)))
    within = await world.sign_in(world.ana, totp=authenticator.at(now - timedelta(seconds=30)))
    ahead = await world.sign_in(world.ana, totp=authenticator.at(now + timedelta(seconds=30)))

    assert [late.status, within.status, ahead.status] == [401, 201, 201]


async def test_a_recovery_code_stands_in_once(world: World) -> None:
    """For the day the telephone is gone; ten of them, however they are typed."""
    _, codes = await enrol(world, world.ana)
    assert len(set(codes)) == 10

    first = await world.sign_in(world.ana, recovery_code=codes[0].upper().replace("-", " "))
    again = await world.sign_in(world.ana, recovery_code=codes[0])
    other = await world.sign_in(world.ana, recovery_code=codes[1])

    assert [first.status, again.status, other.status] == [201, 401, 201]
    assert "recovery_code_used" in await deeds_on(world, world.ana)


async def test_new_recovery_codes_replace_the_old_ones(world: World) -> None:
    """Confirmed with the password and a code."""
    _, codes = await enrol(world, world.ana)
    await renew(world.ana)
    refused = await world.ana.post("/v1/me/recovery-codes", {"password": PASSWORD})
    fresh = await world.ana.post("/v1/me/recovery-codes", {"password": PASSWORD, "recovery_code": codes[0]})

    assert refused.code == "SecondFactorNeeded"
    assert fresh.status == 201
    assert (await world.sign_in(world.ana, recovery_code=codes[1])).code == "SecondFactorRefused"
    assert (await world.sign_in(world.ana, recovery_code=fresh.body["recovery_codes"][0])).status == 201


async def test_guessing_codes_is_stopped_for_the_account(world: World) -> None:
    """Wherever the guesses come from: six digits are soon tried. Who guesses knows the password already."""
    await enrol(world, world.ana)
    device = Person(world.client, email=world.ana.email)

    answers = [await world.sign_in(device, totp=f"{number:06}") for number in range(11)]

    assert answers[-1].code == "TooManyTries"


async def test_whoever_never_proved_the_mailbox_cannot_enrol(world: World) -> None:
    """Else a stranger who signed up with somebody's address could keep its owner out for good."""
    enrolled = await world.ana.post("/v1/me/totp", {"password": PASSWORD})
    confirmed = await world.ana.put("/v1/me/totp", {"totp": "000000"})

    assert (enrolled.status, enrolled.code) == (403, "EmailNotVerified")
    assert (confirmed.status, confirmed.code) == (403, "EmailNotVerified")
    await verify(world, world.ana)
    assert (await world.ana.post("/v1/me/totp", {"password": PASSWORD})).status == 201


async def test_a_reset_that_first_proves_the_mailbox_takes_the_factor_away(world: World) -> None:
    """The owner of an address gets the account that a stranger opened with it, and the stranger is out."""
    await enrol(world, world.ana)
    await unprove(world, world.ana)

    await reset(world, world.ana)

    assert (await world.ana.get("/v1/me")).status == 401
    signed_in = await world.sign_in(world.ana, NEW)
    assert (signed_in.status, signed_in.body["user"]["second_factor"]) == (201, False)
    async with world.db.read() as tx:
        assert await tx.connection.fetch("select 1 from recovery_codes where user_id = $1", world.ana.id) == []
    assert (await deeds_on(world, world.ana))[-3:] == ["second_factor_off", "password_reset", "signed_in"]


async def test_a_reset_leaves_the_factor_of_whoever_proved_the_mailbox_or_has_a_role(world: World) -> None:
    """A mailbox that was read by somebody else is not enough to get in."""
    await enrol(world, world.ana)
    await enrol(world, world.bob)
    await world.admin.put(f"/v1/admin/users/{world.bob.id}/role", {"role": "moderator"})
    await unprove(world, world.bob)

    for person in (world.ana, world.bob):
        await reset(world, person)

        assert (await world.sign_in(person, NEW)).code == "SecondFactorNeeded"


async def test_an_administrator_by_command_enrols_before_the_mailbox_is_proved(world: World) -> None:
    """Whoever runs commands here named them; a new installation may have no way to send mail yet."""
    await promote(world, world.ana, enrolled=False)

    answer = await world.ana.post("/v1/me/totp", {"password": PASSWORD})

    assert answer.status == 201


async def test_a_factor_counts_only_once_it_was_confirmed(world: World) -> None:
    """Nobody locks themselves out with a secret that was never scanned."""
    await verify(world, world.ana)
    await world.ana.post("/v1/me/totp", {"password": PASSWORD})
    again = await world.ana.post("/v1/me/totp", {"password": PASSWORD})

    assert again.status == 201
    assert (await world.ana.put("/v1/me/totp", {"totp": "000000"})).code == "SecondFactorRefused"
    assert (await world.sign_in(world.ana)).status == 201


async def test_enrolling_takes_the_password_and_happens_once(world: World) -> None:
    """A borrowed session must not lock the owner out."""
    await verify(world, world.ana)
    assert (await world.ana.post("/v1/me/totp", {"password": "not it"})).code == "PasswordIsWrong"
    await enrol(world, world.ana)
    await renew(world.ana)

    assert (await world.ana.post("/v1/me/totp", {"password": PASSWORD})).code == "SecondFactorIsOn"


async def test_a_factor_is_turned_off_with_password_and_code(world: World) -> None:
    """Afterwards the password is enough again."""
    _, codes = await enrol(world, world.ana)
    await renew(world.ana)
    assert (await world.ana.delete("/v1/me/totp", {"password": PASSWORD})).code == "SecondFactorNeeded"

    done = await world.ana.delete("/v1/me/totp", {"password": PASSWORD, "recovery_code": codes[0]})

    assert done.status == 204
    assert (await world.sign_in(world.ana)).status == 201
    assert (await world.ana.delete("/v1/me/totp", {"password": PASSWORD})).code == "SecondFactorIsOff"


async def test_secrets_are_sealed_at_rest(world: World) -> None:
    """A copy of the database opens no account."""
    _, codes = await enrol(world, world.ana)

    async with world.db.read() as tx:
        factors = await tx.connection.fetch("select * from totp_factors")
        recovery = await tx.connection.fetch("select * from recovery_codes")
    assert factors[0]["sealed_secret"].count(".") == 4
    assert all(code.replace("-", "") not in str(recovery) for code in codes)


async def test_an_administrator_without_one_is_an_ordinary_user_who_is_told_to_enrol(world: World) -> None:
    """And becomes one in the same session, with the factor."""
    await promote(world, world.ana, enrolled=False)
    due = await world.ana.get("/v1/admin/users")
    assert (due.status, due.code) == (403, "SecondFactorDue")
    assert (await world.ana.get("/v1/me")).body["second_factor_due"] is True
    assert (await world.bob.get("/v1/admin/users")).status == 404

    await enrol(world, world.ana)
    assert await renew(world.ana) == 200

    assert (await world.ana.get("/v1/admin/users")).status == 200


async def test_an_administrator_cannot_turn_it_off(world: World) -> None:
    """While being one."""
    authenticator = await promote(world, world.ana)
    assert authenticator is not None
    world.clock.advance(timedelta(seconds=60))
    code = authenticator.at(world.clock.now())

    answer = await world.ana.delete("/v1/me/totp", {"password": PASSWORD, "totp": code})

    assert (answer.status, answer.code) == (403, "SecondFactorIsRequired")


async def test_turning_it_on_and_signing_in_do_not_wait_for_each_other(world: World) -> None:
    """Both lock the account first, then its factor; the other way round Postgres would have to end one of them."""

    def conflicts() -> float:
        return sum(sample.value for family in metrics.transaction_retries.collect() for sample in family.samples)

    before = conflicts()
    for number in range(4):
        person = await world.person(f"kim{number}")
        await verify(world, person)
        secret = await person.post("/v1/me/totp", {"password": PASSWORD})
        code = TOTP(secret.body["secret"]).at(world.clock.now())
        asked = {"email": person.email, "password": PASSWORD}

        answers = await asyncio.gather(
            person.put("/v1/me/totp", {"totp": code}), *(world.visitor.post("/v1/sessions", asked) for _ in range(3))
        )

        assert answers[0].status == 200
    assert conflicts() == before


async def test_who_signs_in_while_it_is_turned_off_has_not_passed_one(world: World) -> None:
    """The session must not say so: it would stand for an authenticator that nobody showed."""

    async def guess(person: Person, after: float) -> None:
        await asyncio.sleep(after)
        await world.visitor.post("/v1/sessions", {"email": person.email, "password": PASSWORD, "totp": "000000"})

    for number in range(4):
        person = await world.person(f"kim{number}")
        _, codes = await enrol(world, person)
        await renew(person)

        await asyncio.gather(
            person.delete("/v1/me/totp", {"password": PASSWORD, "recovery_code": codes[0]}),
            *(guess(person, milliseconds / 1000) for milliseconds in range(0, 24, 3)),
        )

        await world.sign_in(person)
        sessions = (await person.get("/v1/sessions")).body["items"]
        assert [session["second_factor"] for session in sessions] == [False] * len(sessions)


async def unprove(world: World, person: Person) -> None:
    """Make an account as those are that enrolled before a proof of the mailbox was asked for."""
    async with world.db.write() as tx:
        await tx.connection.execute("update users set email_verified_at = null where user_id = $1", person.id)


async def reset(world: World, person: Person) -> None:
    """Set a new password by way of the mailbox."""
    await world.visitor.post("/v1/password-resets", {"email": person.email})
    code = await mailed_code(world, person.email, "reset_password")
    answer = await world.visitor.put("/v1/password-resets", {"code": code, "password": NEW})
    assert answer.status == 204, answer
