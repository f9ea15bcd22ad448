"""Search and mentions through the doors: what one may see, all of it, and nothing else; read from an index."""

import json
from datetime import timedelta
from uuid import UUID

from tenfold.kit.ids import new_id
from tenfold.modules.chat.queries import search
from tenfold.platform.db import Database
from tests.modules.chat.rooms import befriended, done, group_of, opened, say
from tests.world import Person, World

MANY = 200_000


async def found(person: Person, words: str, **query: object) -> list[str]:
    page = done(await person.get("/v1/messages/search", params={"q": words, **query}))
    return [message["body"] for message in page["items"]]


async def test_one_finds_what_was_said_where_one_is(world: World) -> None:
    """In every language alike, the newest first; phrases, alternatives and exclusions as web searches have them."""
    room, pair = await group_of(world.ana, world.bob), await befriended(world.ana, world.eve)
    for body in ("Ein grünes Fahrrad", "two red bicycles", "Велосипед и самокат"):
        await say(world.ana, room, body)
    await say(world.eve, pair, "the red bicycles of Ana")

    assert await found(world.ana, "red bicycles") == ["the red bicycles of Ana", "two red bicycles"]
    assert await found(world.ana, '"two red"') == ["two red bicycles"]
    assert await found(world.ana, "red -two") == ["the red bicycles of Ana"]
    assert await found(world.ana, "GRÜNES or велосипед") == ["Велосипед и самокат", "Ein grünes Fahrrad"]
    assert await found(world.ana, "red", conversation_id=room.rpartition("/")[2]) == ["two red bicycles"]
    assert await found(world.bob, "red") == ["two red bicycles"]
    assert await found(world.eve, "fahrrad") == []


async def test_nothing_is_found_that_one_may_not_see(world: World) -> None:
    """Deleted, edited away, in a conversation one has left, or in one that one never was in."""
    room = await group_of(world.ana, world.bob)
    deleted, edited = [(await say(world.ana, room, f"treasure {n}"))["seq"] for n in range(2)]
    done(await world.ana.delete(f"{room}/messages/{deleted}"))
    done(await world.ana.patch(f"{room}/messages/{edited}", {"body": "nothing"}))
    await say(world.ana, room, "treasure island")

    assert await found(world.bob, "treasure") == ["treasure island"]
    assert await found(world.eve, "treasure", conversation_id=room.rpartition("/")[2]) == []
    done(await world.bob.delete(f"{room}/membership"))
    assert await found(world.bob, "treasure") == []


async def test_a_search_for_nothing_finds_nothing(world: World) -> None:
    """Words that hold no word, and whatever else people type, are no error of ours and no way to see everything."""
    room = await group_of(world.ana, world.bob)
    await say(world.ana, room, "it's 100 % \\ safe")

    for words in ("...", '"', "'", "\\", "!!", "&|", ":*", "or", "-", "%", "it's:b", room.rpartition("/")[2]):
        assert len(await found(world.ana, words)) <= 1, words
    assert await found(world.ana, "...") == []
    assert (await world.ana.get("/v1/messages/search", params={"q": ""})).status == 400


async def test_a_search_goes_on_where_its_page_ended(world: World) -> None:
    """Across conversations, with messages of one and the same instant."""
    rooms = [await group_of(world.ana, world.bob) for _ in range(3)]
    for n in range(9):
        await say(world.ana, rooms[n % 3], f"needle {n}")

    seen, cursor = [], None
    while True:
        asked = {"q": "needle", "limit": 2, **({"cursor": cursor} if cursor else {})}
        page = done(await world.bob.get("/v1/messages/search", params=asked))
        seen += [message["body"] for message in page["items"]]
        if (cursor := page["next"]) is None:
            break

    assert seen == [f"needle {n}" for n in reversed(range(9))]


async def test_mentions_are_listed_across_conversations(world: World) -> None:
    """Newest first; who is not in the conversation is not mentioned, and a deleted message mentions nobody."""
    room, pair = await group_of(world.ana, world.bob), await befriended(world.ana, world.bob)
    names = [str(world.bob.id), str(world.eve.id)]
    first = await say(world.ana, room, "hello bob", mentions=names)
    await say(world.ana, pair, "bob again", mentions=names)
    gone = await say(world.ana, room, "bob?", mentions=names)
    done(await world.ana.delete(f"{room}/messages/{gone['seq']}"))

    page = done(await world.bob.get("/v1/me/mentions", params={"limit": 1}))
    rest = done(await world.bob.get("/v1/me/mentions", params={"cursor": page["next"]}))

    assert [message["body"] for message in page["items"] + rest["items"]] == ["bob again", "hello bob"]
    assert done(await world.eve.get("/v1/me/mentions"))["items"] == []
    assert done(await world.bob.get("/v1/me/unread"))["mentions"] == 2
    done(await world.bob.put(f"{room}/read", {"seq": first["seq"]}))
    assert done(await world.bob.get("/v1/me/unread"))["mentions"] == 1


async def test_a_stranger_is_not_found_by_their_request(world: World) -> None:
    """What waits for an answer is no conversation of one's own yet."""
    await say(world.eve, await opened(world.eve, world.ana), "buy my treasure")

    assert await found(world.ana, "treasure") == []
    assert await found(world.eve, "treasure") == ["buy my treasure"]


async def test_a_search_reads_an_index_among_many_messages(database: Database) -> None:
    """Words that everybody uses, in one's own conversations out of very many: no table is read through."""
    mine, me = [new_id() for _ in range(20)], new_id()
    async with database.write() as tx:
        await fill(tx.connection, mine, me)
    async with database.write() as tx:
        await tx.connection.execute("analyze messages; analyze conversations; analyze members")

    async with database.read() as tx:
        rows = await ask(tx, mine, me)
        sql = search.search_messages.sql
        values = [
            {"user_id": me, "ids": mine, "words": "common", "reach": 200, "limit": 21}.get(name)
            for name in search.search_messages.parameters
        ]
        plan = json.loads(str(await tx.connection.fetchval(f"explain (analyze, format json) {sql}", *values)))

    assert len(rows) == 21
    assert {row.conversation_id for row in rows} <= set(mine)
    text = json.dumps(plan)
    assert "messages_words" in text
    assert not [
        node
        for node in nodes(plan[0]["Plan"])
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] == "messages"
    ]


async def ask(tx, ids: list[UUID], me: UUID):
    asked = {"user_id": me, "ids": ids, "words": "common", "reach": 200, "limit": 21}
    return await search.search_messages(tx, **asked, before_at=None, before_id=None, before_seq=None)


async def fill(connection, mine: list[UUID], me: UUID) -> None:
    """Conversations of a hundred messages each, all with the same common word; the first ones are mine."""
    rest = [new_id() for _ in range(MANY // 100 - len(mine))]
    await connection.execute(
        """
        insert into conversations (conversation_id, kind, creator_id, created_at, last_message_at, last_seq)
        select id, 'group', $2, now(), now(), 100 from unnest($1::uuid[]) id""",
        [*mine, *rest],
        me,
    )
    await connection.execute(
        """
        insert into members (conversation_id, user_id, state, since)
        select id, $2, 'joined', now() from unnest($1::uuid[]) id""",
        mine,
        me,
    )
    await connection.execute(
        """
        insert into messages (conversation_id, seq, sender_id, body, created_at, change_no)
        select id, seq, $2, 'common words and number ' || seq, now() - (100 - seq) * interval '1 hour', seq
          from unnest($1::uuid[]) id, generate_series(1, 100) seq""",
        [*mine, *rest],
        me,
        timeout=timedelta(minutes=1).total_seconds(),
    )


def nodes(plan):
    """Every node of a plan."""
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)
