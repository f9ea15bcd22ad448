"""Messages through the door: sent once, read in both directions, edited, deleted, marked; and what each costs."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from tenfold.platform.observe import metrics
from tests.house.lively import done
from tests.house.test_live import listening
from tests.modules.chat.talking import at, direct, group, history, say, seen, texts, unread
from tests.waiting import until
from tests.world import World


def statements() -> int:
    """How many statements were timed so far."""
    samples = [sample for metric in metrics.statement_seconds.collect() for sample in metric.samples]
    return int(sum(sample.value for sample in samples if sample.name.endswith("_count")))


async def cost_of(deed: Awaitable[Any]) -> int:
    before = statements()
    done(await deed)
    return statements() - before


async def test_the_same_client_id_is_the_same_message(world: World) -> None:
    """Sent again after a lost answer, at once or later: one message, and its first answer."""
    conversation = await direct(world.ana, world.bob)
    draft = {"body": "once", "client_msg_id": "a-1"}

    answers = await asyncio.gather(
        *(world.ana.post(f"{at(conversation)}/messages", draft) for _ in range(5)),
    )
    again = done(await world.ana.post(f"{at(conversation)}/messages", draft))

    assert {done(answer)["seq"] for answer in answers} == {again["seq"]} == {1}
    assert await texts(world.bob, conversation) == ["once"]
    assert (await say(world.bob, conversation, "mine", client_msg_id="a-1"))["seq"] == 2


async def test_those_who_write_at_once_leave_no_gap(world: World) -> None:
    """Thirty messages of three people: thirty numbers, each once."""
    conversation = await group(world.ana, world.bob, world.eve)
    start = (await seen(world.ana, conversation))["last_seq"]

    sent = await asyncio.gather(
        *(say(person, conversation) for _ in range(10) for person in (world.ana, world.bob, world.eve))
    )

    assert sorted(message["seq"] for message in sent) == list(range(start + 1, start + 31))
    assert (await seen(world.ana, conversation))["last_seq"] == start + 30


async def test_history_is_read_in_both_directions_and_around(world: World) -> None:
    """Every stretch is whole, and says whether there is more on either side."""
    conversation = await direct(world.ana, world.bob)
    for number in range(1, 11):
        await say(world.ana, conversation, str(number))

    end = await history(world.bob, conversation, limit=3)
    before = await history(world.bob, conversation, before=4, limit=5)
    after = await history(world.bob, conversation, after=4, limit=3)
    around = await history(world.bob, conversation, around=5, limit=4)

    assert [item["seq"] for item in end["items"]] == [8, 9, 10]
    assert (end["earlier"], end["later"]) == (True, False)
    assert [item["seq"] for item in before["items"]] == [1, 2, 3]
    assert before["earlier"] is False
    assert [item["seq"] for item in after["items"]] == [5, 6, 7]
    assert after["later"] is True
    assert [item["seq"] for item in around["items"]] == [3, 4, 5, 6]
    assert [person["handle"] for person in end["people"]] == ["ana"]
    assert (await world.bob.get(f"{at(conversation)}/messages", params={"before": 1, "after": 1})).status == 400


async def test_a_stretch_knows_what_lies_on_either_side(world: World) -> None:
    """Also one at the end, beyond it, or where nothing is yet: a client never asks for what is not there."""
    conversation = await direct(world.ana, world.bob)
    empty = [await history(world.bob, conversation, **query) for query in ({}, {"before": 9}, {"after": 9})]
    for number in range(1, 6):
        await say(world.ana, conversation, str(number))
    queries: dict[str, list[int]] = {"before": [0, 1, 2, 5, 6, 7, 50], "after": [0, 1, 4, 5, 6, 50]}

    sides = {
        name: [await history(world.bob, conversation, limit=2, **{name: mark}) for mark in marks]
        for name, marks in queries.items()
    }

    assert [(page["earlier"], page["later"]) for page in empty] == [(False, False)] * 3
    numbers = {name: [[item["seq"] for item in page["items"]] for page in pages] for name, pages in sides.items()}
    assert numbers["before"] == [[], [], [1], [3, 4], [4, 5], [4, 5], [4, 5]]
    assert numbers["after"] == [[1, 2], [2, 3], [5], [], [], []]
    assert [page["later"] for page in sides["before"]] == [True, True, True, True, False, False, False]
    assert [page["earlier"] for page in sides["before"]] == [False, False, False, True, True, True, True]
    assert [page["earlier"] for page in sides["after"]] == [False, True, True, True, True, True]
    assert [page["later"] for page in sides["after"]] == [True, True, False, False, False, False]


async def test_an_edit_keeps_what_was_said_before(world: World) -> None:
    """And only its sender edits; an edit that changes nothing is none."""
    conversation = await direct(world.ana, world.bob)
    message = await say(world.ana, conversation, "helo")
    address = f"{at(conversation)}/messages/{message['seq']}"

    assert (await world.bob.patch(address, {"body": "ha"})).code == "NotYourMessage"
    edited = done(await world.ana.patch(address, {"body": "hello"}))
    again = done(await world.ana.patch(address, {"body": "hello"}))

    assert (edited["body"], edited["revision"], again["revision"]) == ("hello", 1, 1)
    assert [edit["body"] for edit in done(await world.bob.get(f"{address}/edits"))["items"]] == ["helo"]
    assert (await world.eve.get(f"{address}/edits")).code == "MessageNotFound"


async def test_a_deleted_message_leaves_its_number_alone(world: World) -> None:
    """Nothing it said can be found any more, and nobody has to read it."""
    conversation = await group(world.ana, world.bob)
    message = await say(world.bob, conversation, "oops", mentions=[str(world.ana.id)])
    address = f"{at(conversation)}/messages/{message['seq']}"
    done(await world.bob.patch(address, {"body": "oops!"}))
    assert await unread(world.ana, conversation) == 1

    done(await world.ana.delete(address))

    tombstone = done(await world.bob.get(address))
    assert (tombstone["body"], tombstone["seq"]) == ("", message["seq"])
    assert "deleted_at" in tombstone
    assert "mentions" not in tombstone
    assert done(await world.bob.get(f"{address}/edits"))["items"] == []
    mine = (await seen(world.ana, conversation))["mine"]
    assert (mine["unread"], mine["mentions"]) == (0, 0)
    assert (await world.bob.patch(address, {"body": "back"})).code == "MessageNotFound"
    assert (await world.bob.delete(address)).status == 204
    assert done(await world.bob.get(address)) == tombstone


async def test_what_one_said_can_be_deleted_across_a_block(world: World) -> None:
    """Whoever quarrels may take back their own words, and do nothing else there."""
    conversation = await direct(world.ana, world.bob)
    address, other = [
        f"{at(conversation)}/messages/{(await say(person, conversation))['seq']}" for person in (world.ana, world.bob)
    ]
    done(await world.bob.put(f"/v1/users/{world.ana.id}/block"))
    await world.drain()

    deleted = await world.ana.delete(address)

    assert deleted.status == 204
    assert done(await world.bob.get(address))["body"] == ""
    assert (await world.ana.delete(other)).code == "NotYourMessage"
    assert (await world.ana.patch(address, {"body": "no"})).code == "ConversationNotFound"


async def test_markers_are_up_to_and_one_may_keep_them_private(world: World) -> None:
    """Reading never goes back by itself; what is private moves one's own counts alone."""
    conversation = await direct(world.ana, world.bob)
    for _ in range(4):
        await say(world.ana, conversation)

    done(await world.bob.put(f"{at(conversation)}/read", {"seq": 2}))
    done(await world.bob.put(f"{at(conversation)}/read", {"seq": 1}))
    assert await unread(world.bob, conversation) == 2
    done(await world.bob.put(f"{at(conversation)}/read", {"seq": 99, "private": True}))
    done(await world.bob.put(f"{at(conversation)}/delivered", {"seq": 3}))

    receipts = done(await world.ana.get(f"{at(conversation)}/receipts"))["items"]
    bob = next(item for item in receipts if item["user"]["handle"] == "bob")
    assert (bob["read_seq"], bob["delivered_seq"]) == (2, 3)
    assert await unread(world.bob, conversation) == 0
    done(await world.bob.put(f"{at(conversation)}/unread", {"seq": 3}))

    mine = (await seen(world.bob, conversation))["mine"]
    assert (mine["unread"], mine["first_unread"], mine["is_marked_unread"]) == (2, 3, True)
    receipts = done(await world.ana.get(f"{at(conversation)}/receipts"))["items"]
    assert next(item for item in receipts if item["user"]["handle"] == "bob")["read_seq"] == 2
    assert (await world.eve.put(f"{at(conversation)}/read", {"seq": 1})).code == "ConversationNotFound"


async def test_writing_is_having_read(world: World) -> None:
    """Whoever answers has seen what they answer, on every device."""
    conversation = await direct(world.ana, world.bob)
    await say(world.ana, conversation)

    await say(world.bob, conversation)

    assert await unread(world.bob, conversation) == 0
    assert await unread(world.ana, conversation) == 1


async def test_ones_other_devices_hear_that_one_has_read_by_writing(world: World) -> None:
    """In every kind of conversation, so that no badge stays where nothing waits."""
    conversations = [
        await direct(world.ana, world.bob),
        await group(world.ana, world.bob),
        await group(world.ana, world.bob, kind="channel"),
    ]
    async with listening(world.url, world.bob) as (_, diary):
        sent = [await say(world.bob, conversation) for conversation in conversations]
        sent.append(await say(world.bob, conversations[2], mentions=[str(world.ana.id)]))

        def heard() -> list[tuple[str, int, bool]]:
            news = [news for news in diary.heard if news["type"] == "conversation.read"]
            return [(one["conversation_id"], one["read_seq"], one["is_marked_unread"]) for one in news]

        await until(lambda: len(heard()) == len(sent), timeout=1)
        assert heard() == [(message["conversation_id"], message["seq"], False) for message in sent]


async def test_who_declined_hears_nothing_more(world: World) -> None:
    """A stranger goes on writing, and no device of who does not want it is told; one who has not decided is."""
    conversation = await direct(world.eve, world.ana, accepted=False)
    async with listening(world.url, world.ana) as (_, diary):

        def hints() -> list[int]:
            return [news["last_seq"] for news in diary.heard if news["type"] == "conversation.changed"]

        await say(world.eve, conversation)
        await until(lambda: hints() == [1], timeout=1)
        done(await world.ana.delete(f"{at(conversation)}/membership"))
        await say(world.eve, conversation)
        other = await direct(world.bob, world.ana)
        await say(world.bob, other)
        await until(lambda: len(hints()) >= 2, timeout=1)

        assert [news["conversation_id"] for news in diary.heard if news["type"] == "conversation.changed"] == [
            conversation["id"],
            other["id"],
        ]


async def test_only_admins_write_where_only_admins_write(world: World) -> None:
    """Everybody else reads."""
    channel = done(await world.ana.post("/v1/conversations", {
        "kind": "channel", "title": "News", "access": "open", "posting": "admins",
    }))  # fmt: skip
    done(await world.bob.put(f"{at(channel)}/membership"))
    await say(world.ana, channel, "first")

    assert (await world.bob.post(f"{at(channel)}/messages", {"body": "second"})).code == "OnlyAdminsWriteHere"
    assert await texts(world.bob, channel) == ["first"]


async def test_nothing_is_answered_that_is_not_there(world: World) -> None:
    """A reply, a thread: both hang on a message of this conversation, and nothing is written without it."""
    conversation = await direct(world.ana, world.bob)

    for link in ("reply_to", "thread_root"):
        answer = await world.ana.post(f"{at(conversation)}/messages", {"body": "x", link: 7})
        assert answer.code == "MessageNotFound"
    assert (await seen(world.ana, conversation))["last_seq"] == 0


async def test_a_message_says_something(world: World) -> None:
    """Blanks and what has no looks are nothing; a control character is a mistake, a file that is a program another."""
    conversation = await direct(world.ana, world.bob)

    for body in ("", "  \n ", "\u200b\u202e", "a\x00b", "\x1b[2J"):
        assert (await world.ana.post(f"{at(conversation)}/messages", {"body": body})).status == 400
    program = [{"kind": "file", "url": "javascript:alert(1)"}]
    assert (await world.ana.post(f"{at(conversation)}/messages", {"attachments": program})).status == 400
    attached = [{"kind": "image", "url": "/media/1.jpg"}]
    message = await say(world.ana, conversation, "", attachments=attached)
    assert message["attachments"] == attached


async def test_the_number_of_statements_is_small_and_fixed(world: World) -> None:
    """Sending is one, whatever the size of the group; lists and counts ask for ids, then for rows."""
    # A channel tells nobody's devices one by one, so nothing is asked beside what is asked here.
    conversation = await group(world.ana, world.bob, world.eve, kind="channel")
    await say(world.ana, conversation)
    messages = f"{at(conversation)}/messages"
    done(await world.bob.get(messages))

    assert await cost_of(world.ana.post(messages, {"body": "x", "client_msg_id": "q"})) == 1
    assert await cost_of(world.ana.post(messages, {"body": "x", "reply_to": 1})) == 1
    assert await cost_of(world.bob.get(messages)) == 1
    assert await cost_of(world.bob.put(f"{at(conversation)}/read", {"seq": 1})) == 1
    assert await cost_of(world.bob.get("/v1/conversations")) == 2
    assert await cost_of(world.bob.get("/v1/me/unread")) == 2
