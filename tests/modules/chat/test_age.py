"""What time does to messages: the archive changes nothing that anybody can read, and retention takes what it should."""

import asyncio
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tenfold.modules.chat.actions import age
from tenfold.modules.chat.actions.replay import changes_since
from tenfold.modules.chat.jobs.age import archive_messages, trim_histories
from tenfold.modules.chat.queries import messages, send
from tenfold.modules.chat.shapes import ChatPolicy
from tests.modules.chat.rooms import done, group_of, later, read, say
from tests.world import PASSWORD, Person, World

BATCH = ChatPolicy(batch=3)
DEEDS = ("say", "mention", "answer", "react", "edit", "delete", "pin", "read", "unread")


async def archive(world: World) -> int:
    """Run the job, and say how much the archive holds."""
    await archive_messages(world.db, BATCH)
    async with world.db.read() as tx:
        return await tx.connection.fetchval("select count(*) from archived_messages")


async def everything(person: Person, room: str, world: World, *, alone: bool = False) -> dict[str, Any]:
    """All that the doors and the live channel show of a conversation; `alone`, of no other."""
    shown = done(await person.get(room))
    last = shown["last_seq"]
    seen: dict[str, Any] = {
        "history": await whole(person, room),
        "around": [await read(person, room, around=seq, limit=4) for seq in range(1, last + 1, 3)],
        "one by one": [(await person.get(f"{room}/messages/{seq}")).body.get("seq") for seq in range(1, last + 2)],
        "threads": [done(await person.get(f"{room}/messages/{seq}/thread")) for seq in range(1, last + 1)],
        "edits": [done(await person.get(f"{room}/messages/{seq}/edits"))["items"] for seq in range(1, last + 1)],
        "search": await searched(person, conversation_id=shown["id"]),
        "mentions": [one for one in await mentioned(person) if one["conversation_id"] == shown["id"]],
        "pins": done(await person.get(f"{room}/pins"))["items"],
        "shown": shown,
    }
    if not alone:
        seen["latest"] = done(await person.get("/v1/conversations"))["items"]
        seen["unread"] = done(await person.get("/v1/me/unread"))
    async with world.db.read(snapshot=True) as tx:
        since = range(shown["last_change"] + 1)
        seen["replay"] = [await changes_since(tx, UUID(shown["id"]), number, limit=1000) for number in since]
    return seen


async def searched(person: Person, **query: str) -> list[Any]:
    """Every message with the word that all of them have."""
    return done(await person.get("/v1/messages/search", params={"q": "word", "limit": 100, **query}))["items"]


async def mentioned(person: Person) -> list[Any]:
    """Every message that names somebody."""
    return done(await person.get("/v1/me/mentions", params={"limit": 100}))["items"]


async def whole(person: Person, room: str) -> list[Any]:
    """A history page by page, backwards and forwards; both must be the same."""
    backwards: list[Any] = []
    while page := await read(person, room, limit=3, **({"before": backwards[0]["seq"]} if backwards else {})):
        backwards = [*page, *backwards]
    forwards: list[Any] = []
    while page := await read(person, room, limit=3, after=forwards[-1]["seq"] if forwards else 0):
        forwards += page
    assert forwards == backwards
    return forwards


async def act(world: World, room: str, deed: str, seq: int) -> None:
    """One deed of somebody; what is not possible at the time is refused, and that is fine."""
    person = (world.ana, world.bob)[seq % 2]
    at = f"{room}/messages/{seq}"
    if deed == "say":
        await say(person, room, f"word {seq}")
    elif deed == "mention":
        await say(world.ana, room, f"word for bob {seq}", mentions=[str(world.bob.id)])
    elif deed == "answer":
        await person.post(f"{room}/messages", {"body": "word back", "thread_root": seq, "reply_to": seq})
    elif deed == "react":
        await person.put(f"{at}/reactions/👍")
    elif deed == "edit":
        await person.patch(at, {"body": f"word, edited {seq}"})
    elif deed == "delete":
        await person.delete(at)
    elif deed == "pin":
        await person.put(f"{at}/pin")
    elif deed == "read":
        await person.put(f"{room}/read", {"seq": seq})
    else:
        await person.put(f"{room}/unread", {"seq": seq})


async def test_the_archive_changes_nothing_that_anybody_reads(world: World) -> None:
    """History in both directions, around, single messages, threads, edits, search, pins, unread, and every replay."""
    room = await group_of(world.ana, world.bob)
    for n in range(12):
        await act(world, room, DEEDS[n % len(DEEDS)], n + 1)
        await say(world.ana, room, f"word of ana {n}")
        await say(world.bob, room, f"word of bob {n}")
    await later(world, 31)
    done(await world.bob.put(f"{room}/unread", {"seq": 4}))
    before = [await everything(person, room, world) for person in (world.ana, world.bob)]

    held = await archive(world)
    after = [await everything(person, room, world) for person in (world.ana, world.bob)]

    assert held > 20
    for was, now in zip(before, after, strict=True):
        assert [name for name in was if was[name] != now[name]] == []
    assert await archive(world) == held


steps = st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(1, 12)), min_size=4, max_size=12)


# A story is its own report: making it smaller would take minutes.
@settings(
    max_examples=5,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(early=steps, late=steps)
async def test_what_is_done_to_old_messages_does_the_same_with_an_archive(
    world: World, early: list[tuple[str, int]], late: list[tuple[str, int]]
) -> None:
    """Two conversations with one story, one of them archived half way and again at the end: they read the same."""
    rooms = [await group_of(world.ana, world.bob) for _ in range(2)]
    for deed, seq in [("say", 1), ("say", 2), *early]:
        for room in rooms:
            await act(world, room, deed, seq)
    await later(world, 31)
    await archive_one(world, rooms[0])
    for deed, seq in late:
        for room in rooms:
            await act(world, room, deed, seq)
    await archive_one(world, rooms[0])

    for person in (world.ana, world.bob):
        archived, plain = [story(await everything(person, room, world, alone=True)) for room in rooms]
        assert [name for name in plain if plain[name] != archived[name]] == []


async def archive_one(world: World, room: str) -> None:
    """Archive one conversation."""
    before = world.clock.now() - ChatPolicy().archive_after
    await age.archive_messages(world.db, UUID(room.rpartition("/")[2]), before=before, batch=3)


def story(seen: Any) -> Any:
    """What was seen without what differs between two conversations: ids, and of instants all but whether."""
    if isinstance(seen, msgspec.Struct):
        seen = msgspec.to_builtins(seen)
    if isinstance(seen, dict):
        return {
            name: value is not None if name.endswith("_at") else story(value)
            for name, value in seen.items()
            if name not in ("conversation_id", "id", "next", "since")
        }
    return [story(one) for one in seen] if isinstance(seen, list | tuple) else seen


async def test_deeds_that_meet_the_archiver_lose_nothing(world: World) -> None:
    """Messages are edited and reacted to while they move: every one is there once, with what was done to it."""
    room = await group_of(world.ana, world.bob)
    seqs = [(await say(world.ana, room, f"word {n}"))["seq"] for n in range(12)]
    await later(world, 31)

    await asyncio.gather(
        archive(world),
        *(world.bob.put(f"{room}/messages/{seq}/reactions/👍") for seq in seqs),
        *(world.ana.patch(f"{room}/messages/{seq}", {"body": f"edited {seq}"}) for seq in seqs),
        archive(world),
    )
    await archive(world)
    seen = {message["seq"]: message for message in await read(world.ana, room, limit=100)}

    assert [seen[seq]["body"] for seq in seqs] == [f"edited {seq}" for seq in seqs]
    assert [seen[seq]["reactions"] for seq in seqs] == [{"👍": 1}] * 12
    async with world.db.read() as tx:
        twice = await tx.connection.fetch(
            "select seq from every_message group by conversation_id, seq having count(*) > 1"
        )
    assert twice == []


async def half_archived(world: World) -> tuple[str, list[int]]:
    """A group with eight old messages, the first four of them in the archive, and a new one."""
    room = await group_of(world.ana, world.bob)
    seqs = [(await say(world.ana, room, f"word {n}", client_msg_id=f"{n}"))["seq"] for n in range(4)]
    await later(world, 2)
    seqs += [(await say(world.ana, room, f"word {n}"))["seq"] for n in range(4, 8)]
    await later(world, 29)
    assert await archive(world) == 4
    await later(world, 2)
    await say(world.ana, room, "word of today")
    return room, seqs


@pytest.fixture
def after_a_look(monkeypatch: pytest.MonkeyPatch) -> Callable[[ModuleType, str, Callable[[], Awaitable[Any]]], None]:
    """Have something happen right after a statement was run for the first time, before whatever is asked next."""

    def meanwhile(module: ModuleType, name: str, deed: Callable[[], Awaitable[Any]]) -> None:
        look, due = getattr(module, name), [deed]

        async def looked(tx: Any, **asked: Any) -> Any:
            found = await look(tx, **asked)
            if due:
                await due.pop()()
            return found

        monkeypatch.setattr(module, name, looked)

    return meanwhile


async def test_a_page_shows_each_message_once_while_they_move(world: World, after_a_look: Any) -> None:
    """A batch goes to the archive, or a message comes back, between a look at one and at the other."""
    room, seqs = await half_archived(world)
    last = done(await world.ana.get(room))["last_seq"]

    after_a_look(messages, "list_after", lambda: world.bob.put(f"{room}/messages/{seqs[1]}/reactions/👍"))
    forwards = [message["seq"] for message in await read(world.ana, room, after=0, limit=100)]
    after_a_look(messages, "list_before", lambda: archive(world))
    backwards = [message["seq"] for message in await read(world.ana, room, limit=100)]

    assert forwards == backwards == list(range(1, last + 1))


async def test_a_message_that_comes_back_is_never_missing(world: World, after_a_look: Any) -> None:
    """Somebody reacts to it while another looks at it, reports it, reads its thread, answers it or sends it again."""
    room, seqs = await half_archived(world)
    first, second, third, fourth = (f"{room}/messages/{seq}" for seq in seqs[:4])

    after_a_look(messages, "find_message", lambda: world.bob.put(f"{first}/reactions/👍"))
    shown = await world.ana.get(first)
    after_a_look(messages, "find_message", lambda: world.bob.put(f"{second}/reactions/👍"))
    thread = await world.ana.get(f"{second}/thread/read")
    after_a_look(send, "send_linked", lambda: world.bob.put(f"{third}/reactions/👍"))
    answered = await world.ana.post(f"{room}/messages", {"body": "word", "reply_to": seqs[2]})
    after_a_look(send, "find_sent", lambda: world.bob.put(f"{fourth}/reactions/👍"))
    again = await world.ana.post(f"{room}/messages", {"body": "word 3", "client_msg_id": "3"})

    assert [answer.status for answer in (shown, thread, answered, again)] == [200, 200, 201, 201]
    assert again.body["seq"] == seqs[3]


async def test_who_is_not_in_brings_nothing_back(world: World) -> None:
    """An answer by a stranger to an old message is refused, and moves nothing."""
    room, seqs = await half_archived(world)

    answer = await world.eve.post(f"{room}/messages", {"body": "hi", "reply_to": seqs[0]})

    assert answer.code == "ConversationNotFound"
    async with world.db.read() as tx:
        assert await tx.connection.fetchval("select count(*) from archived_messages") == 4


async def test_a_conversation_keeps_its_messages_as_long_as_it_says(world: World) -> None:
    """What is older goes with all that hangs on it, archived or not; the others count on from where they were."""
    room = await group_of(world.ana, world.bob)
    old = [(await say(world.ana, room, f"word {n}", mentions=[str(world.bob.id)]))["seq"] for n in range(7)]
    for seq in old:
        done(await world.bob.put(f"{room}/messages/{seq}/reactions/👍"))
    done(await world.ana.patch(f"{room}/messages/{old[0]}", {"body": "word, edited"}))
    await later(world, 40)
    new = (await say(world.ana, room, "word of today"))["seq"]
    await archive(world)
    done(await world.ana.patch(room, {"retention_days": 35}))

    for _ in range(2):
        await trim_histories(world.db, BATCH)
    seen = await read(world.bob, room, limit=100)
    shown = done(await world.bob.get(room))

    assert [message["seq"] for message in seen if message["kind"] == "text"] == [new]
    assert shown["first_seq"] == old[-1] + 1
    assert shown["mine"]["mentions"] == 0
    assert shown["mine"]["unread"] == 1
    for query in ({"after": old[-1]}, {"after": old[0]}, {"before": new + 1}, {"around": new}):
        assert done(await world.bob.get(f"{room}/messages", params=query))["earlier"] is False
    assert done(await world.bob.get(f"{room}/messages", params={"before": old[-1]}))["later"] is True
    assert (await world.bob.get(f"{room}/messages/{old[0]}")).code == "MessageNotFound"
    assert (await world.bob.put(f"{room}/messages/{old[0]}/reactions/👍")).code == "MessageNotFound"
    async with world.db.read() as tx:
        for table in ("messages", "archived_messages", "reactions", "mentions", "message_edits"):
            left = f"select count(*) from {table} where conversation_id = $1 and seq <= $2"
            assert await tx.connection.fetchval(left, UUID(shown["id"]), old[-1]) == 0, table


async def test_a_trimmed_history_is_told_like_any_change(world: World) -> None:
    """Who replays learns where the conversation begins now."""
    room = await group_of(world.ana, world.bob)
    for n in range(4):
        await say(world.ana, room, f"word {n}")
    since = done(await world.ana.patch(room, {"retention_days": 3}))["last_change"]
    await later(world, 4)

    await trim_histories(world.db, BATCH)
    shown = done(await world.ana.get(room))
    async with world.db.read(snapshot=True) as tx:
        changes, top = await changes_since(tx, UUID(shown["id"]), since, limit=100) or ([], 0)

    assert top == shown["last_change"] == changes[-1].change_no
    assert changes[-1].conversation is not None
    assert changes[-1].conversation.first_seq == shown["first_seq"] == shown["last_seq"] + 1


async def test_who_is_erased_is_gone_from_the_archive_too(world: World) -> None:
    """What they said, reacted to and reported, and what moderators held of theirs; no number is lost."""
    room = await group_of(world.ana, world.bob)
    theirs, hers = [(await say(person, room, "word"))["seq"] for person in (world.bob, world.ana)]
    held = (await say(world.bob, room, "spam"))["seq"]
    done(await world.bob.put(f"{room}/messages/{hers}/reactions/👍"))
    done(await world.bob.post(f"{room}/messages/{hers}/reports", {"reason": "spam", "comment": "I am Bob"}))
    verdict = f"{room}/messages/{held}/verdict".replace("/v1/", "/v1/admin/")
    done(await world.admin.put(verdict, {"outcome": "held", "reason": "spam"}))
    done(await world.bob.put("/v1/me/activity"))
    await later(world, 31)
    await archive(world)

    done(await world.bob.delete("/v1/me", {"password": PASSWORD}))
    await world.drain()
    seen = {message["seq"]: message for message in await read(world.ana, room, limit=100)}
    numbers = sorted(message["change_no"] for message in seen.values())
    last_change = done(await world.ana.get(room))["last_change"]

    assert (seen[theirs]["body"], seen[theirs]["sender_id"]) == ("", None)
    assert "reactions" not in seen[hers]
    assert len(set(numbers)) == len(numbers)
    assert max(numbers) <= last_change
    async with world.db.read() as tx:
        for table in ("held_messages", "message_reports", "activity", "reactions"):
            assert await tx.connection.fetchval(f"select count(*) from {table}") == 0, table


async def test_what_was_sent_once_is_one_message_in_the_archive_too(world: World) -> None:
    """A device that was off for months sends what it does not know to have arrived; members may report it, too."""
    room = await group_of(world.ana, world.bob)
    sent = await say(world.ana, room, "old words", client_msg_id="mine")
    await say(world.ana, room, "the last words")
    await later(world, days=40)
    assert await archive(world) > 0

    again = await say(world.ana, room, "old words", client_msg_id="mine")
    reported = await world.bob.post(f"{room}/messages/{sent['seq']}/reports", {"reason": "spam"})

    assert again == sent
    assert reported.status == 204
    assert done(await world.ana.get(room))["last_seq"] == sent["seq"] + 1
