"""Every list of every door: whole however it is cut, stable while it grows, deaf to foreign cursors, never counted."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tenfold.assembly import MODULES
from tenfold.kit.pages import to_cursor
from tenfold.platform.cache import Cache
from tenfold.platform.http import Door
from tenfold.platform.http.plan import plan_of
from tenfold.platform.observe import metrics
from tests.house.lively import address, done, ref
from tests.postgres import Cluster
from tests.world import Answer, Person, World, worlds

LISTS = [
    door
    for module in MODULES
    for door in module.doors()
    if door.method == "GET" and "cursor" in plan_of(door, None).query_names
]
CROWD = 24
SETTINGS = {"identity.devices": 100, "feed.home_cap": 30}
FORGED = ["", "x", "!", "AAAA", "é", "a" * 512, to_cursor({"no": "position"}), to_cursor(2**63), to_cursor([None])]
# Counted on purpose: what is counted is bounded by the statement itself, or nobody waits for it.
MAY_COUNT = {
    "jobs.pick_jobs": "the orphans that the same statement has just picked, at most `room`",
    "jobs.list_depths": "what is due and what is dead, for a gauge, by the worker",
    "audit.count_unsealed": "what was written since the last second, through an index that holds nothing else",
    "identity.count_held_handles": "the handles that one user has given up lately, three by default",
    "feed.list_home": "a page of the home, cut before it is counted",
    "feed.trim_home": "a home, cut at twice its cap before it is counted",
    "feed.rebuild_home": "whom one follows, at most the cap of it, when a home is built anew",
    "feed.clear_graves": "the reposts of one batch of graves, as deltas",
    "chat.list_by_latest": "what nobody has to read after a marker, through indexes that hold nothing else; no message",
    "chat.find_seen": "the same of one conversation",
    "chat.count_unread": "the same of all one's conversations that have something new",
    "chat.count_my_places": "the conversations of one person, cut at the cap of them",
    "chat.count_invited": "the invitations of one conversation, cut at the cap of them",
    "chat.list_sought_after": "the invitations of each of a hundred people at most, cut at the same cap",
    "chat.count_reactions": "those to one message, when a moderator releases it",
    "chat.erase_messages": "what one person wrote or reacted to, once in a life, by a job",
}


@dataclass
class Crowd:
    """Lists that are filled: Ana is who everybody knows, Eve blocks everybody, Bob mutes everybody."""

    world: World
    post: Any
    talk: str
    members: list[Person] = field(default_factory=list)
    posts: dict[str, Any] = field(default_factory=dict)

    @property
    def people(self) -> dict[str, Person]:
        """Who asks for a list; Ana where none is named."""
        world = self.world
        lists = ("GET /admin/users", "GET /admin/message-reports", "GET /admin/held-messages")
        admins = dict.fromkeys(lists, world.admin)
        return {"GET /me/blocks": world.eve, "GET /me/mutes": world.bob, **admins}

    async def join(self, handle: str) -> None:
        """One more person, who puts one more item into every list there is."""
        world, ana = self.world, self.world.ana
        member = await world.person(handle)
        done(await member.put(f"/v1/users/{ana.id}/follow"))
        done(await ana.put(f"/v1/users/{member.id}/follow"))
        for deed in ("like", "repost"):
            done(await member.put(f"{address(self.post)}/{deed}"))
        for link in ("reply_to", "quote_of"):
            done(await member.post("/v1/posts", {"body": f"{handle} {link}", link: ref(self.post)}))
        said = done(await member.post("/v1/posts", {"body": f"{handle} says"}))
        for deed in ("like", "bookmark"):
            done(await ana.put(f"{address(said)}/{deed}"))
        done(await ana.patch(address(self.post), {"body": f"{handle} has come"}))
        done(await ana.post("/v1/posts", {"body": f"Hello {handle}"}))
        done(await world.bob.put(f"/v1/users/{member.id}/mute"))
        done(await world.eve.put(f"/v1/users/{member.id}/block"))
        await self.talk_with(member)
        done(await world.sign_in(ana))
        self.members.append(member)
        self.posts[handle] = said

    async def talk_with(self, member: Person) -> None:
        """One more member of the group, conversation of Ana's, reaction, edit, pin, answer, mention, report, hold."""
        ana, talk = self.world.ana, self.talk
        done(await ana.post("/v1/conversations", {"title": f"With {member.handle}"}))
        done(await ana.put(f"{talk}/members/{member.id}"))
        done(await member.put(f"{talk}/membership"))
        done(await member.put(f"{talk}/messages/1/reactions/%F0%9F%91%8D"))
        done(await ana.patch(f"{talk}/messages/1", {"body": f"{member.handle} is here"}))
        done(await member.post(f"{talk}/messages", {"body": "an answer", "thread_root": 1}))
        said = done(await member.post(f"{talk}/messages", {"body": "a needle", "mentions": [str(ana.id)]}))
        done(await ana.put(f"{talk}/messages/{said['seq']}/pin"))
        done(await member.post(f"{talk}/messages/1/reports", {"reason": "spam"}))
        spam = done(await member.post(f"{talk}/messages", {"body": "spam"}))
        verdict = f"{talk}/messages/{spam['seq']}/verdict".replace("/v1/", "/v1/admin/")
        done(await self.world.admin.put(verdict, {"outcome": "held", "reason": "spam"}))

    async def leave(self, member: Person) -> None:
        """One who takes back what they gave to most of the lists."""
        said = self.posts[member.handle]
        done(await member.delete(f"/v1/users/{self.world.ana.id}/follow"))
        done(await member.delete(f"{self.talk}/messages/1/reactions/%F0%9F%91%8D"))
        done(await member.delete(f"{self.talk}/membership"))
        done(await member.delete(f"{address(self.post)}/like"))
        done(await member.delete(f"{address(self.post)}/repost"))
        done(await self.world.ana.delete(f"{address(said)}/bookmark"))
        done(await member.delete(address(said)))
        done(await self.world.bob.delete(f"/v1/users/{member.id}/mute"))
        done(await self.world.eve.delete(f"/v1/users/{member.id}/block"))

    async def ask(self, door: Door, **query: Any) -> Answer:
        """One page."""
        path = re.sub(r"\{(?:author_id|user_id):uuid\}", str(self.world.ana.id), door.path)
        path = path.replace("{post_id:uuid}", self.post["id"]).replace("{seq:int}", "1")
        path = f"/v1{path}".replace("/v1/conversations/{conversation_id:uuid}", self.talk)
        path = path.replace("{emoji:str}", "%F0%9F%91%8D")
        if door.name == "GET /messages/search":
            query["q"] = "needle"
        asked = {name: str(value) for name, value in query.items() if value is not None}
        return await self.people.get(door.name, self.world.ana).get(path, params=asked)

    async def walk(self, door: Door, limit: int) -> list[str]:
        """The ids of the whole list, page by page."""
        found, cursor = [], None
        while True:
            page = done(await self.ask(door, limit=limit, cursor=cursor))
            assert len(page["items"]) <= limit
            found += ids_in(page)
            cursor = page["next"]
            if cursor is None:
                return found


def ids_in(page: Any) -> list[str]:
    """What makes each item itself: its own id, number or person."""
    return [id_in(item) for item in page["items"]]


def id_in(item: Any) -> str:
    """Its own id, that of the person it shows, or its number in the conversation."""
    if "id" in item:
        return item["id"]
    return item["user"]["id"] if "user" in item else f"{item['conversation_id']} {item['seq']}"


@pytest.fixture(scope="module")
async def crowd(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Crowd]:
    at = await postgres.copy()
    folder: Path = tmp_path_factory.mktemp("crowd")
    async with worlds(at, folder, settings=SETTINGS) as world:
        talk = done(await world.ana.post("/v1/conversations", {"title": "Everybody"}))
        at_talk = f"/v1/conversations/{talk['id']}"
        done(await world.ana.post(f"{at_talk}/messages", {"body": "Come in"}))
        crowd = Crowd(world, done(await world.ana.post("/v1/posts", {"body": "Come in"})), at_talk)
        for number in range(CROWD):
            await crowd.join(f"fan_{number:02}x")
        await world.drain()
        yield crowd
    await postgres.drop(at)


async def test_a_list_is_the_same_however_it_is_cut(crowd: Crowd) -> None:
    """By ones, twos or threes: the items of the long page, in its order, none twice and none left out."""
    wrong = {}
    for door in LISTS:
        whole = await crowd.walk(door, 100)
        walks = [await crowd.walk(door, limit) for limit in (1, 2, 3)]
        if len(whole) < CROWD or len(set(whole)) != len(whole) or any(walk != whole for walk in walks):
            wrong[door.name] = (len(whole), [len(walk) for walk in walks])

    assert wrong == {}


async def test_a_list_that_grows_while_it_is_read_shows_each_item_once(crowd: Crowd) -> None:
    """People come and go between the pages: who was there at the start and still is comes exactly once, in order."""
    start = {door.name: await crowd.walk(door, 100) for door in LISTS}
    found: dict[str, list[str]] = {door.name: [] for door in LISTS}
    cursors: dict[str, str | None] = dict.fromkeys(found)
    open_lists = list(LISTS)
    turn = 0
    while open_lists:
        for door in open_lists:
            page = done(await crowd.ask(door, limit=5, cursor=cursors[door.name]))
            found[door.name] += ids_in(page)
            cursors[door.name] = page["next"]
        open_lists = [door for door in open_lists if cursors[door.name] is not None]
        turn += 1
        if turn <= 4:
            await crowd.join(f"late_{turn:02}x")
            await crowd.leave(crowd.members[turn * 5])
            await crowd.world.drain()

    wrong = {}
    for door in LISTS:
        seen, now = found[door.name], set(await crowd.walk(door, 100))
        stayed = [id_ for id_ in start[door.name] if id_ in now]
        if [id_ for id_ in seen if id_ in set(stayed)] != stayed or len(set(seen)) != len(seen):
            wrong[door.name] = (len(stayed), len(seen), len(set(seen)))
    assert wrong == {}


async def test_a_cursor_of_another_list_is_refused(crowd: Crowd) -> None:
    """It would start somewhere in the middle and look like an answer."""
    cursors = {door.name: done(await crowd.ask(door, limit=1))["next"] for door in LISTS}
    taken = []
    for door in LISTS:
        for name, cursor in cursors.items():
            if name != door.name and not refuses_cursor(await crowd.ask(door, cursor=cursor)):
                taken.append((name, door.name))

    assert None not in cursors.values()
    assert taken == []


async def test_a_cursor_of_the_same_list_of_somebody_else_is_refused(crowd: Crowd) -> None:
    """The answers under one post continue nowhere under another."""
    world = crowd.world
    cursor = done(await world.ana.get(f"/v1/users/{world.ana.id}/followers", params={"limit": 1}))["next"]

    answer = await world.ana.get(f"/v1/users/{world.bob.id}/followers", params={"cursor": cursor})

    assert refuses_cursor(answer)


async def test_a_forged_cursor_is_refused(crowd: Crowd) -> None:
    """With the name of the field, and never with an error of ours."""
    taken = []
    for door in LISTS:
        real = done(await crowd.ask(door, limit=1))["next"]
        for cursor in [*FORGED, real[:-1], real[1:], real + "A", real[:6] + to_cursor({"a": 1})]:
            answer = await crowd.ask(door, cursor=cursor)
            if not refuses_cursor(answer):
                taken.append((door.name, cursor, answer.status))

    assert taken == []


async def test_a_page_has_one_to_a_hundred_items(crowd: Crowd) -> None:
    """The field is named, whichever end was missed."""
    limits = (0, 101, -1, 10**30, "many", "1.5", "")
    taken = []
    for door in LISTS:
        for limit in limits:
            answer = await crowd.ask(door, limit=limit)
            if answer.status != 400 or answer.body["errors"][0]["field"] != "query.limit":
                taken.append((door.name, limit, answer.status))

    assert taken == []


async def test_a_long_page_costs_as_many_statements_as_a_short_one(crowd: Crowd) -> None:
    """A list never asks in a loop, not even for the faces beside its items."""
    costs = {}
    for door in LISTS:
        done(await crowd.ask(door))
        # The least of two: what the house writes by its clock may fall into one.
        costs[door.name] = [min([await statements_for(crowd, door, limit) for _ in "12"]) for limit in (1, 20)]

    assert {name: cost for name, cost in costs.items() if cost[0] != cost[1] or cost[1] > 2} == {}


def test_no_statement_skips_rows_or_counts_what_grows() -> None:
    """OFFSET reads what it throws away, and a count reads all there is."""
    bare = {
        statement.name: re.sub(r"/\*.*?\*/|--[^\n]*", "", statement.sql, flags=re.DOTALL).lower()
        for module in MODULES
        for statement in module.statements()
    }

    assert [name for name, sql in bare.items() if re.search(r"\boffset\b", sql)] == []
    assert {name for name, sql in bare.items() if re.search(r"\bcount\s*\(", sql)} == set(MAY_COUNT)


def refuses_cursor(answer: Answer) -> bool:
    """Whether an answer says that the cursor is at fault."""
    return answer.status == 400 and [error["field"] for error in answer.body["errors"]] == ["query.cursor"]


async def statements_for(crowd: Crowd, door: Door, limit: int) -> int:
    """How many statements one request costs when the cache is empty."""
    crowd.world.parts.get(Cache).drop_all_here()
    before = count_of(metrics.statement_seconds.collect())
    page = done(await crowd.ask(door, limit=limit))
    await asyncio.sleep(0)
    assert len(page["items"]) == limit, door.name
    return count_of(metrics.statement_seconds.collect()) - before


def count_of(found: Iterable[Any]) -> int:
    """How many statements were timed so far."""
    return int(sum(sample.value for metric in found for sample in metric.samples if sample.name.endswith("_count")))
