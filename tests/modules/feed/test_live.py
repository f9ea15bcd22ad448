"""News of posts on followers' `user:{id}` channels, as somebody hears it whose socket is open."""

from typing import Any

from tenfold.platform.realtime import user_channel
from tests.modules.feed.writing import at, publish, ref
from tests.platform.realtime_world import Ear
from tests.world import Person, World


class Listener(Ear):
    """A listener that hands over what it has heard."""

    def take(self) -> list[Any]:
        assert self.ended is None
        heard = [data for _, data in self.heard()]
        self.frames.clear()
        return heard


async def listen(world: World, person: Person) -> Listener:
    ear = Listener(actor=person.actor)
    await world.house.hub.join(ear, user_channel(person.id))
    return ear


async def test_followers_hear_of_a_post_its_edit_and_its_end(world: World) -> None:
    """The author hears it too, on other devices; a stranger does not."""
    await world.bob.put(f"/v1/users/{world.ana.id}/follow")
    ana, bob, eve = [await listen(world, person) for person in (world.ana, world.bob, world.eve)]

    post = await publish(world.ana, "live", visibility="followers")
    await world.drain()
    [mine], [published] = ana.take(), bob.take()
    await world.ana.patch(at(post), {"body": "edited"})
    await world.drain()
    [edited] = bob.take()
    await world.ana.delete(at(post))
    await world.drain()
    [gone] = bob.take()

    assert mine == {"type": "post.published", "post": post}
    assert published == {
        "type": "post.published",
        "post": {**post, "viewer": {**post["viewer"], "follows_author": True}},
    }
    assert edited["type"] == "post.edited"
    assert edited["post"]["body"] == "edited"
    assert gone == {"type": "post.deleted", **ref(post)}
    assert eve.take() == []


async def test_nobody_hears_what_they_would_not_see_at_home(world: World) -> None:
    """Muted authors, answers to strangers, reposts of the blocked; a quote of the blocked comes without it."""
    stranger = await publish(world.eve, "a stranger's")
    for person in (world.bob, world.admin):
        await person.put(f"/v1/users/{world.ana.id}/follow")
    await world.bob.put(f"/v1/users/{world.eve.id}/block")
    bob, admin = await listen(world, world.bob), await listen(world, world.admin)

    await publish(world.ana, "an answer", reply_to=ref(stranger))
    await world.ana.put(f"{at(stranger)}/repost")
    await publish(world.ana, "a quote", quote_of=ref(stranger))
    await world.drain()
    await world.bob.put(f"/v1/users/{world.ana.id}/mute")
    await publish(world.ana, "unheard")
    await world.drain()

    assert [(news["post"]["body"], news["post"]["quote_of"]["post"]) for news in bob.take()] == [("a quote", None)]
    heard = {news["post"]["body"]: news["post"] for news in admin.take()}
    assert set(heard) == {"", "a quote", "unheard"}
    assert heard[""]["repost_of"]["body"] == heard["a quote"]["quote_of"]["post"]["body"] == "a stranger's"


async def test_a_change_reaches_those_who_see_the_post_inside_another_alone(world: World) -> None:
    """Who follows only the reposter or the quoter holds the original on the screen too."""
    original = await publish(world.eve, "first")
    kim = await world.person("kim")
    await world.bob.put(f"/v1/users/{world.ana.id}/follow")
    await world.admin.put(f"/v1/users/{kim.id}/follow")
    await world.ana.put(f"{at(original)}/repost")
    await publish(kim, "a quote", quote_of=ref(original))
    await world.drain()
    bob, admin = await listen(world, world.bob), await listen(world, world.admin)

    await world.eve.patch(at(original), {"body": "second"})
    await world.drain()
    edited = [bob.take(), admin.take()]
    await world.eve.delete(at(original))
    await world.drain()

    for [news] in edited:
        assert (news["type"], news["post"]["body"]) == ("post.edited", "second")
        assert not news["post"]["viewer"]["follows_author"]
    assert admin.take() == [{"type": "post.deleted", **ref(original)}]
    [reposted] = bob.take()
    assert (reposted["type"], reposted["author_id"]) == ("post.deleted", str(world.ana.id))


async def test_news_do_not_tell_what_the_author_keeps_or_likes(world: World) -> None:
    """A quote and a repost carry a post that the author may have bookmarked: that is theirs alone to know."""
    await world.bob.put(f"/v1/users/{world.ana.id}/follow")
    original = await publish(world.eve, "kept")
    for deed in ("bookmark", "like"):
        await world.ana.put(f"{at(original)}/{deed}")
    ana, bob = await listen(world, world.ana), await listen(world, world.bob)

    quote = await publish(world.ana, "a quote", quote_of=ref(original))
    await world.ana.put(f"{at(original)}/repost")
    await world.drain()

    unmet = {"liked": False, "bookmarked": False, "reposted": False, "follows_author": False}
    heard = {news["post"]["body"]: news["post"] for news in bob.take()}
    assert heard["a quote"]["quote_of"]["post"]["viewer"] == heard[""]["repost_of"]["viewer"] == unmet
    told = {news["post"]["body"]: news["post"] for news in ana.take()}
    assert told["a quote"]["quote_of"]["post"]["viewer"]["bookmarked"]
    assert quote["quote_of"]["post"]["viewer"]["bookmarked"]
