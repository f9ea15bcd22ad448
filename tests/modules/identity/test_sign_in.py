"""Signing in: the same refusal and the same work for everybody who may not, and one session per device for who may."""

import asyncio
from datetime import timedelta

from tenfold.modules.identity import Guard, PasswordPolicy, Passwords
from tenfold.modules.identity.queries import secrets
from tests.modules.identity.people import deeds_on, renew
from tests.world import PASSWORD, Person, World

WRONG = "not the password at all"


async def test_a_wrong_password_and_an_unknown_address_are_refused_alike(world: World) -> None:
    """Neither the answer says which it was, nor the work: both hash once, in the same pool."""
    wrong = await world.visitor.post("/v1/sessions", {"email": world.ana.email, "password": WRONG})
    unknown = await world.visitor.post("/v1/sessions", {"email": "nobody@example.org", "password": WRONG})
    nonsense = await world.visitor.post("/v1/sessions", {"email": "no address", "password": WRONG})

    for answer in (wrong, unknown, nonsense):
        assert (answer.status, answer.code) == (401, "SignInRefused")
        assert {**answer.body, "request_id": None} == {**wrong.body, "request_id": None}


async def test_an_unknown_address_is_hashed_for_as_well(world: World) -> None:
    """Counted rather than timed: one verification each, against somebody's hash or nobody's."""
    passwords = world.parts.get(Passwords)
    before = passwords.done

    await world.visitor.post("/v1/sessions", {"email": world.ana.email, "password": WRONG})
    known = passwords.done - before
    await world.visitor.post("/v1/sessions", {"email": "nobody@example.org", "password": WRONG})

    assert (known, passwords.done - before) == (1, 2)


async def test_guessing_is_stopped_where_it_comes_from_and_nowhere_else(world: World) -> None:
    """Ten tries per account and address, known or not; an owner at another address notices nothing."""
    for email in (world.ana.email, "nobody@example.org"):
        answers = [await world.visitor.post("/v1/sessions", {"email": email, "password": WRONG}) for _ in range(11)]
        assert [answer.status for answer in answers] == [401] * 10 + [429]
        assert answers[-1].code == "TooManyTries"
        assert int(answers[-1].headers["retry-after"]) > 0

    assert (await world.sign_in(world.bob)).status == 201
    await world.parts.get(Guard).forget_tries("sign_in", "somebody else")
    world.clock.advance(timedelta(minutes=16))
    assert (await world.sign_in(world.ana)).status == 201


async def test_a_success_wipes_the_slate_clean(world: World) -> None:
    """Who mistypes every morning is not locked out in the evening."""
    for _ in range(3):
        for _ in range(6):
            await world.visitor.post("/v1/sessions", {"email": world.ana.email, "password": WRONG})
        answer = await world.sign_in(world.ana)

        assert answer.status == 201


async def test_the_sixth_device_ends_the_oldest(world: World) -> None:
    """Five devices per user; the one that left is told at its next request."""
    first = Person(world.client, token=world.ana.token, refresh_token=world.ana.refresh_token)
    for _ in range(4):
        await world.sign_in(world.ana)
    assert (await first.get("/v1/me")).status == 200

    await world.sign_in(world.ana)

    assert (await first.get("/v1/me")).status == 401
    assert await renew(first) == 401
    sessions = await world.ana.get("/v1/sessions")
    assert len(sessions.body["items"]) == 5
    assert [session["current"] for session in sessions.body["items"]] == [True] + [False] * 4


async def test_devices_that_sign_in_at_once_are_five_in_the_end(world: World) -> None:
    """Two who sign in together cannot both believe that there is room."""
    await asyncio.gather(*(world.sign_in(Person(world.client, email=world.ana.email)) for _ in range(9)))

    await world.sign_in(world.ana)

    assert len((await world.ana.get("/v1/sessions")).body["items"]) == 5


async def test_a_hash_of_another_cost_is_replaced_when_its_owner_signs_in(world: World) -> None:
    """The cost rises with the years; nobody has to choose a new password for it."""
    dearer = Passwords(PasswordPolicy(time_cost=2, memory_kib=16, workers=1))
    try:
        hashed = await dearer.hash(PASSWORD)
    finally:
        dearer.close()
    async with world.db.write() as tx:
        await secrets.set_password(tx, user_id=world.ana.id, password_hash=hashed, now=tx.now)

    devices = [Person(world.client, email=world.ana.email) for _ in range(4)]
    answers = await asyncio.gather(*(world.sign_in(device) for device in devices))

    assert [answer.status for answer in answers] == [201] * 4
    async with world.db.read() as tx:
        stored = await secrets.find_password(tx, user_id=world.ana.id)
    assert stored is not None
    assert stored.password_hash != hashed
    assert "m=8,t=1" in stored.password_hash


async def test_signing_in_leaves_a_line_in_the_audit_log(world: World) -> None:
    """Who came, and from where."""
    assert await deeds_on(world, world.ana) == ["signed_in"]


async def test_a_session_says_what_device_it_is(world: World) -> None:
    """The owner has to recognise it in the list."""
    await world.sign_in(world.ana, device="Ana's telephone")

    session = (await world.ana.get("/v1/sessions")).body["items"][0]

    assert session["device"] == "Ana's telephone"
    assert session["address"] == "127.0.0.1"
    assert session["user_agent"].startswith("python-httpx2")
