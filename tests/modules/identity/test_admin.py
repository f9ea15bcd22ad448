"""Administrators: they find users, move them between tiers and roles, ban them; for others none of it exists."""

from datetime import timedelta

from tenfold.modules.identity import Guard, jobs
from tests.modules.identity.people import deeds_on, promote, renew
from tests.world import PASSWORD, Answer, World

DOORS: list[tuple[str, str, object]] = [
    ("GET", "/v1/admin/users", None),
    ("GET", "/v1/admin/users/{id}", None),
    ("PUT", "/v1/admin/users/{id}/tier", {"tier": 5}),
    ("PUT", "/v1/admin/users/{id}/role", {"role": "admin"}),
    ("PUT", "/v1/admin/users/{id}/ban", {"reason": "no"}),
    ("DELETE", "/v1/admin/users/{id}/ban", None),
]


async def test_the_doors_do_not_exist_for_others(world: World) -> None:
    """Not found for a user, sign in first for a visitor."""
    for method, path, body in DOORS:
        address = path.format(id=world.bob.id)

        assert (await world.eve.ask(method, address, body)).status == 404
        assert (await world.visitor.ask(method, address, body)).status == 401


async def test_users_are_found_by_address_handle_id_and_listed(world: World) -> None:
    """Newest first, page by page."""
    await promote(world, world.ana)

    async def found(**params: object) -> list[str]:
        answer = await world.ana.get("/v1/admin/users", params=params)
        assert answer.status == 200, answer
        return [user["handle"] for user in answer.body["items"]]

    assert await found(email="BOB@example.org") == ["bob"]
    assert await found(handle="@Eve") == ["eve"]
    assert await found(email="nobody@example.org") == []
    assert {"eve", "bob", "ana"} <= set(await found())
    first: Answer = await world.ana.get("/v1/admin/users", params={"limit": 2})
    rest = await world.ana.get("/v1/admin/users", params={"limit": 2, "cursor": first.body["next"]})
    listed = [user["handle"] for page in (first, rest) for user in page.body["items"]]
    assert listed == await found(limit=4)
    assert listed.index("bob") < listed.index("ana")
    assert (await world.ana.get(f"/v1/admin/users/{world.bob.id}")).body["email"] == world.bob.email


async def test_a_tier_reaches_the_users_next_token_at_once(world: World) -> None:
    """The old token is refused, the refresh brings the tier."""
    await promote(world, world.ana)

    assert (await world.ana.put(f"/v1/admin/users/{world.bob.id}/tier", {"tier": 4})).status == 204

    assert (await world.bob.get("/v1/me")).status == 401
    assert await renew(world.bob) == 200
    assert world.house.tokens.authenticate(world.bob.token).tier == 4
    assert (await world.bob.get("/v1/me")).body["tier"] == 4
    assert (await world.ana.put(f"/v1/admin/users/{world.bob.id}/tier", {"tier": 6})).status == 400
    assert "tier_changed" in await deeds_on(world, world.bob)


async def test_a_role_is_given_and_taken_but_never_ones_own(world: World) -> None:
    """So there is always somebody left who can."""
    await promote(world, world.ana)

    given = await world.ana.put(f"/v1/admin/users/{world.bob.id}/role", {"role": "moderator"})
    own = await world.ana.put(f"/v1/admin/users/{world.ana.id}/role", {"role": "user"})

    assert given.status == 204
    assert own.code == "NotYourself"
    assert await renew(world.bob) == 200
    assert world.house.tokens.authenticate(world.bob.token).role == "moderator"
    assert "role_changed" in await deeds_on(world, world.bob)


async def test_a_ban_is_effective_at_once_and_can_be_lifted(world: World) -> None:
    """Signed out, hidden, and told so only after the right password."""
    await promote(world, world.ana)
    order = {"reason": "sold the same bicycle twice to ana@example.org"}

    assert (await world.ana.put(f"/v1/admin/users/{world.bob.id}/ban", order)).status == 204

    assert (await world.bob.get("/v1/me")).status == 401
    assert await renew(world.bob) == 401
    assert (await world.visitor.get("/v1/handles/bob")).status == 404
    assert (await world.sign_in(world.bob)).code == "AccountIsBanned"
    assert (await world.sign_in(world.bob, "not the password")).code == "SignInRefused"
    assert (await world.ana.get(f"/v1/admin/users/{world.bob.id}")).body["state"] == "banned"
    assert (await world.ana.delete(f"/v1/admin/users/{world.bob.id}/ban")).status == 204
    assert (await world.sign_in(world.bob)).status == 201
    assert (await deeds_on(world, world.bob))[-3:] == ["banned", "ban_lifted", "signed_in"]


async def test_a_ban_for_a_time_ends_by_itself(world: World) -> None:
    """At the next sign-in at the latest; the clock shows the profile before that."""
    await promote(world, world.ana)
    until = (world.clock.now() + timedelta(days=2)).isoformat()
    for person in (world.bob, world.eve):
        answer = await world.ana.put(f"/v1/admin/users/{person.id}/ban", {"reason": "calm down", "until": until})
        assert answer.status == 204
    past = (world.clock.now() - timedelta(days=1)).isoformat()
    refused = await world.ana.put(f"/v1/admin/users/{world.bob.id}/ban", {"reason": "x", "until": past})
    assert refused.body["errors"][0]["field"] == "body.until"

    world.clock.advance(timedelta(days=2, minutes=1))

    assert (await world.sign_in(world.bob)).status == 201
    await lift(world)
    assert (await world.visitor.get("/v1/handles/eve")).status == 200


async def test_a_ban_that_ends_leaves_hidden_what_its_owner_had_hidden(world: World) -> None:
    """Lifted by hand or by the clock, banned once or twice: only the owner's signing in shows the account again."""
    until = (world.clock.now() + timedelta(days=2)).isoformat()
    for person in (world.bob, world.eve):
        assert (await person.put("/v1/me/deactivation", {"password": PASSWORD})).status == 204
        for reason in ("spam", "more spam"):
            path, order = f"/v1/admin/users/{person.id}/ban", {"reason": reason, "until": until}
            assert (await world.admin.put(path, order)).status == 204
    assert (await world.admin.delete(f"/v1/admin/users/{world.bob.id}/ban")).status == 204
    world.clock.advance(timedelta(days=2, minutes=1))
    await lift(world)

    await world.sign_in(world.ana)
    await promote(world, world.ana)
    for person in (world.bob, world.eve):
        assert (await world.visitor.get(f"/v1/handles/{person.handle}")).status == 404
        seen = (await world.ana.get(f"/v1/admin/users/{person.id}")).body
        assert (seen["state"], seen["ban_reason"], seen["banned_until"]) == ("deactivated", None, None)
        assert (await world.sign_in(person)).status == 201
        assert (await world.visitor.get(f"/v1/handles/{person.handle}")).status == 200


async def test_nobody_bans_themselves(world: World) -> None:
    """A slip of the hand."""
    await promote(world, world.ana)

    assert (await world.ana.put(f"/v1/admin/users/{world.ana.id}/ban", {"reason": "oops"})).code == "NotYourself"


async def lift(world: World) -> None:
    """Run what the clock would."""
    async with world.db.write() as tx:
        await jobs.lift_ended_bans(tx, world.parts.get(Guard))
