"""Sessions: renewing them however many ask at once, and ending them so that everything they hold ends with them."""

import asyncio
from datetime import timedelta

import pytest

from tenfold.kit.refusals import NotSignedIn
from tenfold.modules.identity import AccessTokens, IdentityPolicy, Keyring, Revocations, catch_up
from tenfold.platform.bus.postgres import PostgresBus
from tenfold.platform.realtime import Realtime
from tests.modules.identity.people import deeds_on, renew
from tests.world import Answer, Person, World


async def refresh(world: World, token: str | None) -> Answer:
    """Ask for new tokens."""
    return await world.visitor.post("/v1/sessions/refresh", {"refresh_token": token})


def another_process(world: World) -> AccessTokens:
    """What another process of the same installation recognises tokens with."""
    return AccessTokens(world.parts.get(Keyring), policy=world.parts.get(IdentityPolicy), clock=world.clock)


async def test_fifty_refreshes_at_once_get_the_same_successor(world: World) -> None:
    """A browser with many tabs: one successor, nobody signed out, and the successor works."""
    old = world.ana.refresh_token

    answers = await asyncio.gather(*(refresh(world, old) for _ in range(50)))

    assert {answer.status for answer in answers} == {200}
    assert len({answer.body["refresh_token"] for answer in answers}) == 1
    assert answers[0].body["refresh_token"] != old
    after = await refresh(world, answers[0].body["refresh_token"])
    assert after.status == 200
    assert (await world.ana.get("/v1/me")).status == 200


async def test_an_answer_that_was_lost_can_be_asked_for_again_within_the_grace(world: World) -> None:
    """Even after the successor was used by somebody who did get it."""
    old = world.ana.refresh_token
    first = await refresh(world, old)
    await refresh(world, first.body["refresh_token"])
    world.clock.advance(timedelta(seconds=20))

    again = await refresh(world, old)

    assert again.status == 200
    assert again.body["refresh_token"] == first.body["refresh_token"]


@pytest.mark.parametrize("generations", [1, 4])
async def test_a_replay_after_the_grace_ends_the_family_and_is_written_down(world: World, generations: int) -> None:
    """Either the owner or a thief has a copy: nobody keeps the session, however old the copy is."""
    thief, owner = world.ana.refresh_token, world.ana
    for _ in range(generations):
        assert await renew(owner) == 200
        world.clock.advance(timedelta(seconds=31))

    replay = await refresh(world, thief)

    assert (replay.status, replay.code) == (401, "RefreshTokenReused")
    assert await renew(owner) == 401
    assert (await owner.get("/v1/me")).status == 401
    assert (await deeds_on(world, owner))[-1] == "refresh_token_reused"


async def test_invented_and_altered_refresh_tokens_are_refused_and_end_nothing(world: World) -> None:
    """Else anybody who knows an id could sign its owner out."""
    good = world.ana.refresh_token or ""
    altered = good[:-2] + ("AA" if good[-2:] != "AA" else "BB")

    for text in ("tfr_" + "A" * 96, "nonsense", altered, good + "A", "tfr_" + "é" * 96):
        assert (await refresh(world, text)).code == "RefreshTokenRefused"

    assert await renew(world.ana) == 200


async def test_odd_texts_in_secrets_are_refused_like_wrong_ones(world: World) -> None:
    """Wherever a secret is read, a text that is none gets the refusal of a wrong one."""
    for text in ("é" * 96, "\u202e", "=" * 64, "🙂" * 20, "A" * 128):
        assert (await refresh(world, text)).code == "RefreshTokenRefused"
        verified = await world.visitor.put("/v1/email-verifications", {"code": text})
        assert verified.code == "CodeRefused"
    huge = await world.ana.ask("PUT", "/v1/me/totp", b'{"totp": 1' + b"0" * 500 + b"}")
    assert huge.status == 400


async def test_a_session_that_is_not_used_ends_and_so_does_an_old_one(world: World) -> None:
    """Idle for 30 days, or 180 days old however much it was used."""
    world.clock.advance(timedelta(days=29))
    assert await renew(world.ana) == 200
    world.clock.advance(timedelta(days=29))
    assert await renew(world.ana) == 200
    assert await renew(world.bob) == 401
    for _ in range(4):
        world.clock.advance(timedelta(days=29))
        assert await renew(world.ana) == 200

    world.clock.advance(timedelta(days=10))

    assert await renew(world.ana) == 401


async def test_an_access_token_expires_after_ten_minutes_and_a_refresh_brings_another(world: World) -> None:
    """Short, so that what it says is never long out of date."""
    world.clock.advance(timedelta(minutes=10, seconds=1))
    late = await world.ana.get("/v1/me")

    assert (late.status, late.code) == (401, "NotSignedIn")
    assert await renew(world.ana) == 200
    assert (await world.ana.get("/v1/me")).status == 200


async def test_signing_out_ends_this_session_only(world: World) -> None:
    """The other device stays."""
    other = Person(world.client, email=world.ana.email)
    await world.sign_in(other)

    assert (await world.ana.delete("/v1/sessions/current")).status == 204

    assert (await world.ana.get("/v1/me")).status == 401
    assert await renew(world.ana) == 401
    assert (await other.get("/v1/me")).status == 200


async def test_others_can_be_signed_out_and_so_can_one_and_all(world: World) -> None:
    """A lost telephone."""
    phone, laptop = Person(world.client, email=world.ana.email), Person(world.client, email=world.ana.email)
    await world.sign_in(phone)
    await world.sign_in(laptop)

    assert (await laptop.delete("/v1/sessions/others")).status == 204
    assert [(await p.get("/v1/me")).status for p in (world.ana, phone, laptop)] == [401, 401, 200]

    await world.sign_in(phone)
    listed = (await laptop.get("/v1/sessions")).body["items"]
    of_phone = next(session["id"] for session in listed if not session["current"])
    assert (await laptop.delete(f"/v1/sessions/{of_phone}")).status == 204
    assert [(await p.get("/v1/me")).status for p in (phone, laptop)] == [401, 200]

    assert (await laptop.delete("/v1/sessions")).status == 204
    assert (await laptop.get("/v1/me")).status == 401


async def test_nobody_ends_somebody_elses_session(world: World) -> None:
    """It does not exist for them."""
    of_bob = (await world.bob.get("/v1/sessions")).body["items"][0]["id"]

    answer = await world.eve.delete(f"/v1/sessions/{of_bob}")

    assert (answer.status, answer.code) == (404, "SessionNotFound")
    assert (await world.bob.get("/v1/me")).status == 200


async def test_a_process_that_was_not_told_learns_it_from_the_database(world: World) -> None:
    """A process that starts, or whose bus was away, refuses what was revoked within an access token's lifetime."""
    token = world.ana.token or ""
    await world.ana.delete("/v1/sessions/current")
    other = another_process(world)
    assert other.authenticate(token).id == world.ana.id

    await catch_up(world.db, other)

    with pytest.raises(NotSignedIn, match="ended"):
        other.authenticate(token)


async def test_another_process_is_told_within_a_second(world: World) -> None:
    """By the bus, at the commit."""
    token = world.ana.token or ""
    other = another_process(world)
    bus = PostgresBus(world.db)
    Revocations(bus, other, realtime=world.parts.get(Realtime), db=world.db)
    await bus.open()
    try:
        assert other.authenticate(token).id == world.ana.id

        await world.ana.delete("/v1/sessions")

        async with asyncio.timeout(1):
            while other.remembers(token):
                await asyncio.sleep(0.01)
    finally:
        await bus.close()


async def test_sessions_are_listed_page_by_page(world: World) -> None:
    """Like every list."""
    for _ in range(3):
        await world.sign_in(world.ana)

    first = await world.ana.get("/v1/sessions", params={"limit": 3})
    second = await world.ana.get("/v1/sessions", params={"limit": 3, "cursor": first.body["next"]})

    ids = [session["id"] for page in (first, second) for session in page.body["items"]]
    assert len(set(ids)) == len(ids) == 4
    assert second.body["next"] is None
