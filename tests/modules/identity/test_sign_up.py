"""Signing up: what opens an account, and what a stranger learns from trying."""

import asyncio

from tenfold.modules.identity import IdentityPolicy
from tests.modules.identity.people import mail_to
from tests.world import PASSWORD, Person, World


def asked(**changes: str) -> dict[str, str]:
    """What Kim sends."""
    return {"email": "kim@example.org", "password": PASSWORD, "handle": "kim", "name": "Kim"} | changes


async def test_a_newcomer_signs_up_and_in_and_uses_the_app(world: World) -> None:
    """The first session of the manual: it works before the address is confirmed, and case does not matter."""
    answer = await world.visitor.post("/v1/accounts", asked())

    assert answer.status == 201
    kim = world.visitor
    signed_in = await kim.post("/v1/sessions", {"email": "KIM@Example.org", "password": PASSWORD})
    assert signed_in.status == 201
    assert (signed_in.body["token_type"], signed_in.body["expires_in"]) == ("Bearer", 600)
    kim.token = signed_in.body["access_token"]
    me = await kim.get("/v1/me")
    assert (me.status, me.body["handle"], me.body["email_verified"]) == (200, "kim", False)


async def test_a_known_address_gets_the_same_answer_and_its_owner_a_mail(world: World) -> None:
    """Nobody finds out by signing up who has an account; the owner does, and is offered a new password."""
    fresh = await world.visitor.post("/v1/accounts", asked())
    known = await world.visitor.post("/v1/accounts", asked(email="ANA@example.org", handle="kim_2"))
    await world.drain()

    assert (known.status, known.body.keys()) == (fresh.status, fresh.body.keys())
    assert known.body["message"] == fresh.body["message"]
    assert "already have an account" in mail_to(world, "ana@example.org", "already_known").subject
    assert (await world.visitor.get("/v1/handles/kim_2")).status == 404
    assert (await world.sign_in(world.ana)).status == 201


async def test_a_handle_asked_for_with_a_known_address_is_taken_afterwards(world: World) -> None:
    """Else a second try with the same handle would tell what the first answer hid."""
    await world.visitor.post("/v1/accounts", asked(email=world.ana.email))

    answer = await world.visitor.post("/v1/accounts", asked(email="other@example.org"))

    assert answer.code == "HandleTaken"


async def test_a_taken_handle_is_refused_however_it_is_written(world: World) -> None:
    """Handles are public, so that may be told; full-width and mixed-script forms do not get past it."""
    for handle in ("ana", "ANA", "ａｎａ", "@ana"):
        assert (await world.visitor.post("/v1/accounts", asked(handle=handle))).code == "HandleTaken"

    mixed = await world.visitor.post("/v1/accounts", asked(handle="аnа"))
    assert (mixed.status, mixed.body["errors"][0]["field"]) == (400, "body.handle")


async def test_a_look_alike_of_a_handle_is_refused(world: World) -> None:
    """`0sсar` would pass for `oscar`, and `rnike` for `mike`."""
    await world.person("mike_1")

    assert (await world.visitor.post("/v1/accounts", asked(handle="rnike_l"))).code == "HandleTaken"
    assert (await world.visitor.post("/v1/accounts", asked(handle="admin"))).code == "HandleIsReserved"
    assert (await world.visitor.post("/v1/accounts", asked(handle="adrnin"))).code == "HandleIsReserved"


BAD: list[tuple[dict[str, str], str]] = [
    ({"email": "nonsense"}, "body.email"),
    ({"email": "a\u0000b@example.org"}, "body.email"),
    ({"handle": "x"}, "body.handle"),
    ({"handle": "a b c"}, "body.handle"),
    ({"name": " \t "}, "body.name"),
    ({"name": "bell\u0007"}, "body.name"),
    ({"name": "\u202egnp.exe"}, "body.name"),
    ({"name": "N" * 81}, "body.name"),
    ({"password": "x" * 1025}, "body.password"),
    ({"admin": "yes"}, "body.admin"),
]


async def test_bad_input_names_its_field(world: World) -> None:
    """A client must be able to show the problem beside the field."""
    answers = [await world.visitor.post("/v1/accounts", asked(**changes)) for changes, _ in BAD]

    assert {answer.status for answer in answers} == {400}
    assert [answer.body["errors"][0]["field"] for answer in answers] == [field for _, field in BAD]


async def test_half_of_a_surrogate_pair_is_refused(world: World) -> None:
    """JSON can spell it, no text can hold it."""
    body = b'{"email":"kim@example.org","password":"correct horse 7 staple","handle":"kim","name":"\\ud800"}'

    answer = await world.visitor.ask("POST", "/v1/accounts", body, headers={"content-type": "application/json"})

    assert answer.status == 400


async def test_a_weak_password_is_refused(world: World) -> None:
    """The list is local; the answer names the field and never repeats the password."""
    for password in ("short", "password123", "kim@example.org", "qwertyuiop", "12345678", "x" * 129):
        answer = await world.visitor.post("/v1/accounts", asked(password=password))

        assert (answer.status, answer.code) == (422, "WeakPassword")
        assert answer.body["errors"][0]["field"] == "body.password"
        assert password not in str(answer.body)
    assert (await world.visitor.get("/v1/handles/kim")).status == 404


async def test_of_two_who_sign_up_at_once_one_has_the_handle_and_one_the_address(world: World) -> None:
    """The database decides, not the order in which two checks ran."""
    answers = await asyncio.gather(
        *(world.visitor.post("/v1/accounts", asked(email=f"k{n}@example.org")) for n in range(6)),
    )
    same = await asyncio.gather(
        *(world.visitor.post("/v1/accounts", asked(email="one@example.org", handle=f"one_{n}x")) for n in range(6)),
    )

    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409, 409, 409]
    assert {answer.status for answer in same} == {201}
    profiles = [await world.visitor.get(f"/v1/handles/one_{n}x") for n in range(6)]
    assert sorted(profile.status for profile in profiles) == [200, 404, 404, 404, 404, 404]


async def test_a_sign_up_with_an_idempotency_key_is_answered_once(world: World) -> None:
    """A client that lost the answer asks again, and is not told that its own handle is taken."""
    key = {"idempotency-key": "sign-up-of-kim-0001"}
    first = await world.visitor.post("/v1/accounts", asked(), headers=key)

    again = await world.visitor.post("/v1/accounts", asked(), headers=key)

    assert (again.status, again.body) == (first.status, first.body)


async def test_signing_up_again_and_again_does_not_flood_a_mailbox(world: World) -> None:
    """Six mails an hour; the answers stay the same."""
    answers = [
        await world.visitor.post("/v1/accounts", asked(email=world.bob.email, handle=f"kim_{number}x"))
        for number in range(9)
    ]
    await world.drain()

    assert {answer.status for answer in answers} == {201}
    assert sum(mail.to == world.bob.email for mail in world.mails) == 6


async def test_an_account_can_be_made_to_wait_for_its_mailbox(world: World) -> None:
    """With that setting the refusal is the one of a wrong password, so it tells nothing either."""
    object.__setattr__(world.parts.get(IdentityPolicy), "unverified_may_sign_in", False)
    await world.visitor.post("/v1/accounts", asked())

    answer = await Person(world.client).post("/v1/sessions", asked_in("kim@example.org", PASSWORD))

    assert answer.code == "SignInRefused"


async def test_a_handle_does_not_tell_whether_an_account_that_has_to_wait_was_opened(world: World) -> None:
    """Signing up and looking for the handle would else tell which addresses have accounts."""
    object.__setattr__(world.parts.get(IdentityPolicy), "unverified_may_sign_in", False)
    await world.visitor.post("/v1/accounts", asked(email=world.ana.email, handle="known"))
    await world.visitor.post("/v1/accounts", asked(email="new@example.org", handle="fresh"))

    answers = [await world.visitor.get(f"/v1/handles/{handle}") for handle in ("known", "fresh")]

    assert [answer.code for answer in answers] == ["UserNotFound", "UserNotFound"]


def asked_in(email: str, password: str) -> dict[str, str]:
    """What somebody sends who signs in."""
    return {"email": email, "password": password}
