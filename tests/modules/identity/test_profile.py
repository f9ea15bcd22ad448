"""Profiles: what others see, what the owner may change, and what becomes of a handle that is given up."""

from datetime import timedelta

from tenfold.modules.identity import IdentityPolicy, cards, find_user_id, read_cards
from tenfold.platform.cache import Cache
from tests.world import World


async def test_a_profile_is_public_by_id_and_by_handle(world: World) -> None:
    """Without what only the owner may see."""
    by_id = await world.visitor.get(f"/v1/users/{world.ana.id}")
    by_handle = await world.bob.get("/v1/handles/ANA")

    assert by_id.status == 200
    assert by_id.body == by_handle.body
    assert by_id.body.keys() == {"id", "handle", "name", "bio", "avatar", "created_at"}


async def test_an_unknown_user_is_not_found(world: World) -> None:
    """By id and by handle alike."""
    assert (await world.visitor.get(f"/v1/users/{'0' * 8}-0000-7000-8000-{'0' * 12}")).code == "UserNotFound"
    assert (await world.visitor.get("/v1/handles/nobody_here")).code == "UserNotFound"
    assert (await world.visitor.get("/v1/users/not-an-id")).status == 404
    for handle in ("%00", "a%00na", "%ED%A0%80", "%FF", "a" * 3000, "%EF%B7%BA" * 100, "'--", "a%2Fb"):
        assert (await world.visitor.get(f"/v1/handles/{handle}")).status in (400, 404), handle


async def test_a_profile_is_changed_in_part(world: World) -> None:
    """What is left out stays; null takes the picture away."""
    first = await world.ana.patch("/v1/me", {"bio": "I write.\nA lot.", "avatar": "https://example.org/a.png"})
    second = await world.ana.patch("/v1/me", {"name": "  Ana   María "})
    third = await world.ana.patch("/v1/me", {"avatar": None})

    assert (first.status, first.body["bio"], first.body["avatar"]) == (
        200,
        "I write.\nA lot.",
        "https://example.org/a.png",
    )
    assert (second.body["name"], second.body["bio"]) == ("Ana María", "I write.\nA lot.")
    assert (third.body["avatar"], third.body["name"]) == (None, "Ana María")


BAD: list[tuple[dict[str, object], str]] = [
    ({"name": "\u200b"}, "body.name"),
    ({"name": None}, "body.name"),
    ({"bio": "b" * 501}, "body.bio"),
    ({"bio": "a\u0000b"}, "body.bio"),
    ({"avatar": "javascript:alert(1)"}, "body.avatar"),
    ({"handle": "a..b"}, "body.handle"),
    ({"role": "admin"}, "body.role"),
    ({"tier": 5}, "body.tier"),
]


async def test_a_bad_change_names_its_field_and_changes_nothing(world: World) -> None:
    """Nobody gives themselves a role, either."""
    before = (await world.ana.get("/v1/me")).body

    answers = [await world.ana.patch("/v1/me", change) for change, _ in BAD]

    assert {answer.status for answer in answers} == {400}
    assert [answer.body["errors"][0]["field"] for answer in answers] == [field for _, field in BAD]
    assert (await world.ana.get("/v1/me")).body == before


async def test_a_handle_that_is_given_up_is_kept_for_its_owner_for_a_while(world: World) -> None:
    """Nobody picks up a name, and its readers, on the day it is dropped."""
    assert (await world.ana.patch("/v1/me", {"handle": "ana_2"})).status == 200
    assert (await world.visitor.get("/v1/handles/ana")).status == 404
    assert (await world.eve.patch("/v1/me", {"handle": "ana"})).code == "HandleTaken"

    assert (await world.ana.patch("/v1/me", {"handle": "ana"})).status == 200
    assert (await world.ana.patch("/v1/me", {"handle": "ana_2"})).status == 200
    world.clock.advance(timedelta(days=31))
    await world.sign_in(world.eve)

    assert (await world.eve.patch("/v1/me", {"handle": "ana"})).status == 200
    assert (await world.visitor.get("/v1/handles/ana")).body["id"] == str(world.eve.id)


async def test_nobody_hoards_handles_by_changing_often(world: World) -> None:
    """Each change keeps one more handle from everybody else."""
    for number in range(3):
        assert (await world.ana.patch("/v1/me", {"handle": f"ana_{number}x"})).status == 200

    assert (await world.ana.patch("/v1/me", {"handle": "ana_9x"})).code == "HandleChangedTooOften"


async def test_a_handle_may_be_respelt_into_one_that_looks_the_same(world: World) -> None:
    """One's own look-alike is no stranger's."""
    await world.ana.patch("/v1/me", {"handle": "ana_1"})

    answer = await world.ana.patch("/v1/me", {"handle": "ana_l"})

    assert (answer.status, answer.body["handle"]) == (200, "ana_l")


async def test_reserved_handles_are_a_setting(world: World) -> None:
    """An installation has words of its own."""
    policy = world.parts.get(IdentityPolicy)
    object.__setattr__(policy, "reserved_handles", policy.reserved_handles | {"acme"})

    assert (await world.ana.patch("/v1/me", {"handle": "acrne"})).code == "HandleIsReserved"


async def test_other_modules_see_cards_that_follow_the_profile(world: World) -> None:
    """From the cache, which the change drops; hidden people have none."""
    cache, ids = world.parts.get(Cache), [world.ana.id, world.bob.id]
    before = await cards(world.db, cache, ids)
    assert {card.handle for card in before.values()} == {"ana", "bob"}

    await world.ana.patch("/v1/me", {"name": "Another"})
    await world.bob.put("/v1/me/deactivation", {"password": "correct horse battery staple 7"})

    after = await cards(world.db, cache, ids)
    assert {card.name for card in after.values()} == {"Another"}
    async with world.db.read() as tx:
        assert await read_cards(tx, ids) == after
        assert await find_user_id(tx, "@Ana") == world.ana.id
