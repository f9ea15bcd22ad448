"""Timelines through the doors: home, public and profile, page by page, with one statement each."""

from collections.abc import Callable
from typing import Any

import pytest

from tenfold.platform.db import Statement
from tests.modules.feed.test_live import listen
from tests.modules.feed.writing import at, publish, ref
from tests.world import PASSWORD, Person, World


async def bodies(person: Person, path: str, **params: Any) -> list[str]:
    """A list over all its pages."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await person.get(path, params={**params, **cursor})).body
        found += [item["body"] for item in page["items"]]
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}


@pytest.fixture
def statements(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """The names of the statements that ran since it was asked last."""
    ran: list[str] = []
    call = Statement.__call__

    async def counted(statement: Statement[Any], tx: Any, /, **params: object) -> Any:
        ran.append(statement.name)
        return await call(statement, tx, **params)

    def taken() -> list[str]:
        names = [*ran]
        ran.clear()
        return names

    monkeypatch.setattr(Statement, "__call__", counted)
    return taken


async def test_home_shows_what_one_follows_and_what_one_wrote(world: World) -> None:
    """One's own at once, others' when the fan-out ran; a stranger's never."""
    await world.bob.put(f"/v1/users/{world.ana.id}/follow")
    assert await bodies(world.bob, "/v1/timelines/home") == []
    await publish(world.ana, "for all")
    await publish(world.ana, "for followers", visibility="followers")
    await publish(world.eve, "a stranger's")
    await publish(world.bob, "my own")

    mine = await bodies(world.bob, "/v1/timelines/home")
    await world.drain()

    assert mine[0] == "my own"
    assert await bodies(world.bob, "/v1/timelines/home") == ["my own", "for followers", "for all"]
    assert (await world.visitor.get("/v1/timelines/home")).status == 401


async def test_home_is_the_same_however_it_is_cut_and_whatever_comes_in(world: World) -> None:
    """Paging is stable under inserts: what was there is seen once, in order."""
    await world.bob.put(f"/v1/users/{world.ana.id}/follow")
    texts = [f"post {n}" for n in range(7)]
    for text in texts:
        await publish(world.ana, text)
    await world.drain()

    first = (await world.bob.get("/v1/timelines/home", params={"limit": 3})).body
    await publish(world.ana, "late")
    await world.drain()
    second = (await world.bob.get("/v1/timelines/home", params={"limit": 3, "cursor": first["next"]})).body
    third = (await world.bob.get("/v1/timelines/home", params={"limit": 3, "cursor": second["next"]})).body

    seen = [item["body"] for page in (first, second, third) for item in page["items"]]
    assert seen == texts[::-1]
    assert third["next"] is None
    assert await bodies(world.bob, "/v1/timelines/home", limit=2) == ["late", *texts[::-1]]


async def test_answers_and_reposts_in_a_home(world: World) -> None:
    """An answer to a stranger stays out; a repost of a stranger comes in with its original, unless that is muted."""
    stranger = await publish(world.eve, "a stranger's")
    await world.bob.put(f"/v1/users/{world.ana.id}/follow")
    await publish(world.ana, "an answer", reply_to=ref(stranger))
    await world.ana.put(f"{at(stranger)}/repost")
    await world.drain()

    [repost] = (await world.bob.get("/v1/timelines/home")).body["items"]
    await world.bob.put(f"/v1/users/{world.eve.id}/mute")
    muted = (await world.bob.get("/v1/timelines/home")).body["items"]

    assert repost["body"] == ""
    assert repost["repost_of"]["body"] == "a stranger's"
    assert muted == []


async def test_a_quote_does_not_bring_somebody_muted_into_a_timeline(world: World) -> None:
    """The quote stays, without what it quotes; whoever opens it sees the whole."""
    unwanted = await publish(world.eve, "unwanted")
    await world.bob.put(f"/v1/users/{world.ana.id}/follow")
    await world.bob.put(f"/v1/users/{world.eve.id}/mute")
    bob = await listen(world, world.bob)
    quote = await publish(world.ana, "a quote", quote_of=ref(unwanted))
    await world.drain()

    pages = [(await world.bob.get(f"/v1/timelines/{name}")).body["items"] for name in ("home", "public")]
    opened = (await world.bob.get(at(quote))).body

    assert [[(post["body"], post["quote_of"]["post"]) for post in page] for page in pages] == [[("a quote", None)]] * 2
    assert [news["post"]["quote_of"]["post"] for news in bob.take()] == [None]
    assert opened["quote_of"]["post"]["body"] == "unwanted"


async def test_the_public_timeline_has_what_everybody_may_see(world: World) -> None:
    """No answers, no reposts, nothing for followers; the same for a visitor and without the blocked."""
    post = await publish(world.ana, "one")
    await publish(world.ana, "two", visibility="followers")
    await publish(world.bob, "three", reply_to=ref(post))
    await world.bob.put(f"{at(post)}/repost")
    await publish(world.eve, "four")
    await world.drain()
    await world.ana.put(f"/v1/users/{world.eve.id}/block")

    assert await bodies(world.visitor, "/v1/timelines/public", limit=1) == ["four", "one"]
    assert await bodies(world.ana, "/v1/timelines/public") == ["one"]


async def test_somebody_who_left_is_seen_nowhere(world: World) -> None:
    """Deactivated: hidden in every list; back: as before."""
    await world.bob.put(f"/v1/users/{world.ana.id}/follow")
    post = await publish(world.ana, "here")
    await world.drain()

    await world.ana.put("/v1/me/deactivation", {"password": PASSWORD})
    await world.drain()
    gone = [await bodies(world.bob, path) for path in ("/v1/timelines/home", "/v1/timelines/public")]
    missing = await world.bob.get(at(post))
    await world.sign_in(world.ana)
    await world.drain()

    assert gone == [[], []]
    assert missing.code == "PostNotFound"
    assert await bodies(world.bob, "/v1/timelines/home") == ["here"]


async def test_every_list_is_one_statement(world: World, statements: Callable[[], list[str]]) -> None:
    """However many items, whoever wrote them: one statement, and cards from the cache of this process."""
    post = await publish(world.ana, "root")
    await world.bob.put(f"/v1/users/{world.ana.id}/follow")
    for n in range(5):
        await publish(world.eve, f"answer {n}", reply_to=ref(post), quote_of=ref(post))
    for person in (world.bob, world.eve):
        await person.put(f"{at(post)}/like")
        await person.put(f"{at(post)}/repost")
    await world.bob.put(f"{at(post)}/bookmark")
    await world.bob.put(f"/v1/users/{world.eve.id}/mute")
    await world.drain()
    paths = {
        "/v1/timelines/home": "feed.list_home",
        "/v1/timelines/public": "feed.list_public",
        f"/v1/users/{world.ana.id}/posts": "feed.list_profile",
        at(post): "feed.find_plain_post",
        f"{at(post)}/replies": "feed.list_replies",
        f"{at(post)}/quotes": "feed.list_quotes",
        f"{at(post)}/likes": "feed.list_likes",
        f"{at(post)}/reposts": "feed.list_reposters",
        f"/v1/users/{world.ana.id}/followers": "feed.list_followers",
        f"/v1/users/{world.bob.id}/following": "feed.list_following",
        f"/v1/users/{world.ana.id}/counts": "feed.show_counts",
        f"/v1/users/{world.ana.id}/relationship": "feed.find_relationship",
        "/v1/me/bookmarks": "feed.list_bookmarks",
        "/v1/me/likes": "feed.list_my_likes",
        "/v1/me/mutes": "feed.list_mutes",
    }

    needed = {}
    for path in paths:
        await world.bob.get(path)
        statements()
        answer = await world.bob.get(path)
        needed[path] = [name for name in statements() if name.startswith(("feed.", "identity."))]
        assert answer.status == 200, (path, answer)
        assert answer.body.get("items") != [], path

    assert needed == {path: [name] for path, name in paths.items()}
