"""What somebody saw, changed by what they were told since, is what they would see if they looked again."""

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.house.lively import PASSWORD, address, done, ref
from tests.house.test_live import listening
from tests.platform.realtime_house import Diary
from tests.waiting import until
from tests.world import Person, World

DEEDS = 40


@dataclass
class Screen:
    """A client that shows a home timeline: fetched once, then kept up by live news alone."""

    posts: dict[str, Any] = field(default_factory=dict)
    heard: int = 0

    def show(self, page: Any) -> None:
        """Begin with what was fetched."""
        self.posts = {post["id"]: post for post in page["items"]}

    def hear(self, diary: Diary) -> None:
        """Take in the news since the last time."""
        for news in diary.heard[self.heard :]:
            if news["type"] == "author.gone":
                self.take_away_author(news["author_id"])
            elif news["type"] == "post.deleted":
                self.take_away(news["id"])
            elif news["type"] == "post.edited":
                self.replace(news["post"])
            else:
                self.posts[news["post"]["id"]] = news["post"]
        self.heard = len(diary.heard)

    def take_away(self, post_id: str) -> None:
        self.posts.pop(post_id, None)
        for post in list(self.posts.values()):
            if post["repost_of"] and post["repost_of"]["id"] == post_id:
                del self.posts[post["id"]]
            elif post["quote_of"] and post["quote_of"]["id"] == post_id:
                post["quote_of"]["post"] = None

    def take_away_author(self, author_id: str) -> None:
        for post in list(self.posts.values()):
            original, quoted = post["repost_of"], post["quote_of"]
            if author_id in (post["author"]["id"], original and original["author"]["id"]):
                del self.posts[post["id"]]
            elif quoted and quoted["author_id"] == author_id:
                quoted["post"] = None

    def replace(self, edited: Any) -> None:
        if edited["id"] in self.posts:
            self.posts[edited["id"]] = edited
        # Posts inside a post carry no further ones.
        inner = {**edited, "quote_of": edited["quote_of"] and {**edited["quote_of"], "post": None}}
        for post in self.posts.values():
            if post["repost_of"] and post["repost_of"]["id"] == edited["id"]:
                post["repost_of"] = inner
            elif post["quote_of"] and post["quote_of"]["id"] == edited["id"]:
                post["quote_of"]["post"] = inner

    def lines(self) -> list[Any]:
        return [line_of(post) for _, post in sorted(self.posts.items(), reverse=True)]


def line_of(post: Any) -> Any:
    """What of a post is told: not how often others liked it, which changes without news."""
    if post is None:
        return None
    quoted = post["quote_of"] and (post["quote_of"]["id"], line_of(post["quote_of"]["post"]))
    told = [post[name] for name in ("id", "author", "body", "visibility", "lang", "edited_at", "reply_to")]
    return (*told, line_of(post["repost_of"]), quoted)


@dataclass
class Authors:
    """People who write, answer, quote, repeat, edit and delete, as chance has it."""

    people: list[Person]
    chance: random.Random
    posts: list[tuple[Person, Any]] = field(default_factory=list)
    reposts: set[tuple[str, str]] = field(default_factory=set)

    async def act(self) -> None:
        deeds: list[Callable[[], Awaitable[None]]] = [self.write, self.link, self.repost]
        deeds += [self.edit, self.delete, self.unrepost] if self.posts else []
        await self.chance.choice(deeds)()

    async def write(self) -> None:
        author = self.chance.choice(self.people)
        visibility = self.chance.choice(["public", "public", "followers"])
        draft = {"body": f"post {self.chance.random()}", "visibility": visibility}
        self.posts.append((author, done(await author.post("/v1/posts", draft))))

    async def link(self) -> None:
        public = [post for _, post in self.posts if post["visibility"] == "public"]
        if public:
            author, target = self.chance.choice(self.people), self.chance.choice(public)
            draft = {"body": f"link {self.chance.random()}", self.chance.choice(["reply_to", "quote_of"]): ref(target)}
            self.posts.append((author, done(await author.post("/v1/posts", draft))))

    async def repost(self) -> None:
        public = [post for _, post in self.posts if post["visibility"] == "public"]
        if public:
            author, target = self.chance.choice(self.people), self.chance.choice(public)
            done(await author.put(f"{address(target)}/repost"))
            self.reposts.add((author.handle, target["id"]))

    async def unrepost(self) -> None:
        author, (_, target) = self.chance.choice(self.people), self.chance.choice(self.posts)
        done(await author.delete(f"{address(target)}/repost"))

    async def edit(self) -> None:
        author, post = self.chance.choice(self.posts)
        done(await author.patch(address(post), {"body": f"edit {self.chance.random()}", "lang": "en"}))

    async def delete(self) -> None:
        author, post = self.chance.choice(self.posts)
        done(await author.delete(address(post)))
        self.posts.remove((author, post))


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_home_kept_up_by_news_is_the_home_fetched_anew(world: World, seed: int) -> None:
    """Else two devices of one person show different things, and a reload is the only cure."""
    followed = [world.ana, world.eve]
    # Kim's posts reach the screen in reposts and quotes by the others alone.
    authors = Authors([*followed, await world.person("kim")], random.Random(seed))
    for author in followed:
        done(await world.bob.put(f"/v1/users/{author.id}/follow"))
    for _ in range(5):
        await authors.act()
    await world.drain()
    screen = Screen()
    async with listening(world.url, world.bob) as (_, diary):
        screen.show(done(await world.bob.get("/v1/timelines/home", params={"limit": 100})))
        for _ in range(DEEDS):
            await authors.act()
            await world.drain()
            fresh = done(await world.bob.get("/v1/timelines/home", params={"limit": 100}))
            expected = [line_of(post) for post in fresh["items"]]

            def is_told(expected: list[Any] = expected) -> bool:
                screen.hear(diary)
                return screen.lines() == expected

            with suppress(TimeoutError):
                await until(is_told, timeout=1)
            assert screen.lines() == expected, diary.heard[-1]

    assert screen.heard > DEEDS / 2


@pytest.mark.parametrize("way", ["deactivated", "banned", "erased"])
async def test_who_is_gone_is_gone_from_open_screens(world: World, way: str) -> None:
    """Else what somebody took back stays readable on every screen that was open; reposts and quotes by others too."""
    kim = await world.person("kim")
    for author in (world.ana, kim):
        done(await world.bob.put(f"/v1/users/{author.id}/follow"))
    post = done(await world.ana.post("/v1/posts", {"body": "hers"}))
    done(await kim.put(f"{address(post)}/repost"))
    done(await kim.post("/v1/posts", {"body": "a quote", "quote_of": ref(post)}))
    await world.drain()
    screen = Screen()
    async with listening(world.url, world.bob) as (_, diary):
        screen.show(done(await world.bob.get("/v1/timelines/home")))
        assert len(screen.posts) == 3

        if way == "deactivated":
            done(await world.ana.put("/v1/me/deactivation", {"password": PASSWORD}))
        elif way == "banned":
            done(await world.admin.put(f"/v1/admin/users/{world.ana.id}/ban", {"reason": "spam"}))
        else:
            done(await world.ana.delete("/v1/me", {"password": PASSWORD}))
        await world.drain()
        await until(lambda: diary.heard)
        screen.hear(diary)
        fresh = done(await world.bob.get("/v1/timelines/home"))

        assert screen.lines() == [line_of(post) for post in fresh["items"]]
        assert [post["body"] for post in screen.posts.values()] == ["a quote"]
