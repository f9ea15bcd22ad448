"""Leaving: for a while, for good, and with one's data."""

import asyncio

from tenfold.modules.identity import UserErased, UserHidden, UserShown
from tests.modules.identity.people import deeds_on, renew
from tests.world import PASSWORD, Person, World


async def test_a_deactivated_account_is_hidden_until_its_owner_signs_in(world: World) -> None:
    """Everything is still there, and nobody sees it."""
    assert (await world.ana.put("/v1/me/deactivation", {"password": PASSWORD})).status == 204

    assert (await world.bob.get(f"/v1/users/{world.ana.id}")).code == "UserNotFound"
    assert (await world.bob.get("/v1/handles/ana")).code == "UserNotFound"
    assert (await world.ana.get("/v1/me")).status == 401
    assert await renew(world.ana) == 401
    assert (await world.sign_in(world.ana)).status == 201
    assert (await world.bob.get("/v1/handles/ana")).status == 200
    assert await deeds_on(world, world.ana) == ["signed_in", "deactivated", "reactivated", "signed_in"]


async def test_leaving_takes_the_password(world: World) -> None:
    """A borrowed telephone is not enough."""
    for method, path in (("PUT", "/v1/me/deactivation"), ("DELETE", "/v1/me")):
        answer = await world.ana.ask(method, path, {"password": "not the password"})

        assert (answer.status, answer.code) == (403, "PasswordIsWrong")
    assert (await world.ana.get("/v1/me")).status == 200


async def test_an_erased_account_leaves_nothing_that_says_who_it_was(world: World) -> None:
    """Not in any table of identity, but for the audit log's ids."""
    await world.ana.patch("/v1/me", {"bio": "A secret biography", "name": "Ana Secret"})

    assert (await world.ana.delete("/v1/me", {"password": PASSWORD})).status == 204
    await world.drain()

    assert (await world.ana.get("/v1/me")).status == 401
    assert await renew(world.ana) == 401
    assert (await world.sign_in(world.ana)).code == "SignInRefused"
    assert (await world.bob.get(f"/v1/users/{world.ana.id}")).status == 404
    async with world.db.read() as tx:
        for table in ("users", "emails", "handles", "sessions", "credentials", "codes"):
            rows = await tx.connection.fetch(f"select * from {table}")
            text = " ".join(str(dict(row)) for row in rows).lower()
            assert "ana@" not in text
            assert "secret" not in text
            assert "'ana'" not in text


async def test_an_erased_account_takes_its_kept_answers_with_it(world: World) -> None:
    """They hold what the user wrote; another's stay."""
    for number, person in enumerate((world.ana, world.bob)):
        headers = {"idempotency-key": f"key-{number}"}
        assert (await person.post("/v1/posts", {"body": "Kept words"}, headers=headers)).status == 201

    assert (await world.ana.delete("/v1/me", {"password": PASSWORD})).status == 204

    async with world.db.read() as tx:
        kept = await tx.connection.fetch("select principal from idempotency_records where principal like 'user:%'")
    assert [row["principal"] for row in kept] == [f"user:{world.bob.id}"]


async def test_nobody_can_pass_for_somebody_who_is_gone(world: World) -> None:
    """The handle stays taken for ever, and so does what looks like it; the mailbox may begin anew."""
    await world.person("lena_1")
    await world.lena_1.delete("/v1/me", {"password": PASSWORD})
    asked = {"email": "lena_1@example.org", "password": PASSWORD, "name": "Lena"}

    assert (await world.visitor.post("/v1/accounts", {**asked, "handle": "lena_1"})).code == "HandleTaken"
    assert (await world.visitor.post("/v1/accounts", {**asked, "handle": "lena_l"})).code == "HandleTaken"
    assert (await world.bob.patch("/v1/me", {"handle": "lena_1"})).code == "HandleTaken"
    assert (await world.visitor.post("/v1/accounts", {**asked, "handle": "lena_new"})).status == 201
    again = Person(world.client, email="lena_1@example.org")
    assert (await world.sign_in(again)).status == 201
    assert again.id != world.lena_1.id


async def test_an_export_holds_what_is_known_and_no_secret(world: World) -> None:
    """By module, as every module describes it."""
    answer = await world.ana.get("/v1/me/export")

    assert answer.status == 200
    known = answer.body["modules"]["identity"]
    assert known["account"]["email"] == world.ana.email
    assert known["sessions"][0]["address"] == "127.0.0.1"
    assert "argon2" not in str(answer.body)
    assert "tfr_" not in str(answer.body)
    assert set(answer.body["modules"]) >= {"identity"}


async def test_the_rest_of_the_house_is_told_who_is_hidden_back_and_gone(world: World) -> None:
    """By facts, in the transaction of the deed."""
    told: list[object] = []
    outbox = world.db.outbox
    write = outbox.write

    async def listening(tx, announcements):
        told.extend(announcements.facts)
        await write(tx, announcements)

    outbox.write = listening
    await world.ana.put("/v1/me/deactivation", {"password": PASSWORD})
    await world.sign_in(world.ana)
    await world.ana.delete("/v1/me", {"password": PASSWORD})

    assert told == [
        UserHidden(user_id=world.ana.id),
        UserShown(user_id=world.ana.id),
        UserErased(user_id=world.ana.id),
    ]


async def test_what_is_asked_for_while_an_account_is_erased_leaves_no_address(world: World) -> None:
    """A deed that waited for the account finds none: else it would write an address that nothing clears away."""
    for number in range(4):
        person = await world.person(f"leaver{number}")
        change = {"password": PASSWORD, "email": f"next{number}@example.org"}

        await asyncio.gather(
            person.delete("/v1/me", {"password": PASSWORD}),
            *(person.post("/v1/me/email-change", change) for _ in range(3)),
            person.patch("/v1/me", {"name": "Still here"}),
        )

        assert (await world.sign_in(person)).code == "SignInRefused"
    async with world.db.read() as tx:
        assert await tx.connection.fetch("select 1 from codes where email like 'next%'") == []
        assert await tx.connection.fetch("select 1 from users where name = 'Still here'") == []
