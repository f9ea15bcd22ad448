"""Who leaves for good: what they wrote is nobody's and says nothing, and what they may take along is theirs alone."""

import asyncio
from contextlib import closing
from typing import Any

from tenfold.modules.chat.actions.leave import erase_person
from tenfold.modules.chat.actions.membership import leave
from tenfold.modules.chat.actions.replay import changes_since
from tenfold.modules.chat.shapes import MessageDraft
from tenfold.platform.db import Database
from tenfold.platform.realtime import Realtime
from tests.house.lively import done
from tests.modules.chat.stage import Stage
from tests.modules.chat.talking import at, direct, group, history, id_of, say, seen, unread
from tests.world import PASSWORD, Person, World

THUMB = "%F0%9F%91%8D"


async def leave_for_good(world: World, person: Person) -> None:
    done(await person.delete("/v1/me", {"password": PASSWORD}))
    await world.drain()


async def members_of(person: Person, conversation: Any) -> dict[str, str]:
    items = done(await person.get(f"{at(conversation)}/members"))["items"]
    return {item["user"]["handle"]: item["role"] for item in items}


async def test_what_an_erased_person_wrote_is_nobodys(world: World) -> None:
    """Tombstones under the same numbers: no text, no sender, no reaction, no mention, no earlier version."""
    conversation = await group(world.ana, world.bob, world.eve)
    message = await say(world.bob, conversation, "my secret", mentions=[str(world.ana.id)])
    theirs = await say(world.ana, conversation, "a question")
    done(await world.bob.patch(f"{at(conversation)}/messages/{message['seq']}", {"body": "my real secret"}))
    for person in (world.bob, world.eve):
        done(await person.put(f"{at(conversation)}/messages/{theirs['seq']}/reactions/{THUMB}"))

    await leave_for_good(world, world.bob)

    items = {item["seq"]: item for item in (await history(world.eve, conversation))["items"]}
    gone = items[message["seq"]]
    assert (gone["sender_id"], gone["body"]) == (None, "")
    assert "deleted_at" in gone
    assert "client_msg_id" not in gone
    assert items[theirs["seq"]]["reactions"] == {"👍": 1}
    assert sorted(items) == list(range(1, max(items) + 1))
    assert (await seen(world.ana, conversation))["mine"]["mentions"] == 0
    assert await unread(world.eve, conversation) == 1
    assert await members_of(world.ana, conversation) == {"ana": "owner", "eve": "member"}
    async with world.db.read() as tx:
        left = await tx.connection.fetchval(
            "select count(*) from message_edits where conversation_id = $1", id_of(conversation)
        )
    assert left == 0


async def test_a_group_whose_owner_is_erased_has_another(world: World) -> None:
    """The eldest admin; nobody is left in a group that none can lead."""
    conversation = await group(world.bob, world.ana, world.eve)
    done(await world.bob.patch(f"{at(conversation)}/members/{world.eve.id}", {"role": "admin"}))

    await leave_for_good(world, world.bob)

    assert await members_of(world.ana, conversation) == {"ana": "member", "eve": "owner"}


async def test_who_is_in_already_leads_before_who_comes(world: World) -> None:
    """Some conversations have lost their owner some day; the next who comes is no reason to pass the others over."""
    for kind in ("group", "channel"):
        conversation = await group(world.ana, world.bob, kind=kind, access="open")
        async with world.db.write() as tx:
            at_home = "where user_id = $1 and conversation_id = $2"
            for table in ("members", "memberships"):
                await tx.connection.execute(f"delete from {table} {at_home}", world.ana.id, id_of(conversation))

        done(await world.eve.put(f"{at(conversation)}/membership"))

        assert await members_of(world.eve, conversation) == {"bob": "owner", "eve": "member"}


async def test_nobody_who_is_just_leaving_inherits(world: World) -> None:
    """A mere member of a channel holds nothing but themselves; as its owner they would be in again."""
    channel = await group(world.bob, world.ana, world.eve, kind="channel", access="open")
    ana = world.ana.actor
    assert ana is not None
    async with world.db.write() as tx:
        await leave(tx, ana, id_of(channel), live=world.parts.get(Realtime))
        done(await world.bob.delete("/v1/me", {"password": PASSWORD}))
        erasing = asyncio.ensure_future(world.drain())
        await asyncio.wait([erasing], timeout=0.5)
    await erasing

    assert await members_of(world.eve, channel) == {"eve": "owner"}


async def test_nothing_names_who_is_erased(world: World) -> None:
    """What they pinned was pinned by nobody, and what they asked is asked no longer."""
    conversation = await group(world.ana, world.bob)
    seqs = [(await say(world.ana, conversation, "a rule"))["seq"] for _ in range(2)]
    asked = await direct(world.bob, world.eve, accepted=False)
    await say(world.bob, asked, "hello")
    for seq in seqs:
        done(await world.bob.put(f"{at(conversation)}/messages/{seq}/pin"))
    verdict = f"{at(conversation)}/messages/{seqs[1]}/verdict".replace("/v1/", "/v1/admin/")
    done(await world.admin.put(verdict, {"outcome": "held", "reason": "looks like spam"}))

    await leave_for_good(world, world.bob)
    done(await world.admin.put(verdict, {"outcome": "dismissed", "reason": "it is a joke"}))

    pins = done(await world.ana.get(f"{at(conversation)}/pins"))["items"]
    assert [(pin["seq"], "pinned_at" in pin, pin.get("pinned_by")) for pin in pins] == [
        (seq, True, None) for seq in sorted(seqs, reverse=True)
    ]
    assert done(await world.eve.get("/v1/conversations", params={"shelf": "requests"}))["items"] == []
    assert done(await world.eve.get("/v1/me/unread"))["requests"] == 0


async def test_of_a_long_life_only_the_end_is_told(database: Database) -> None:
    """More changes than are worth telling: whoever looks finds by the last number what they lack, and replays it."""
    with closing(Stage(database)) as stage:
        ana, bob = stage.person(), stage.person()
        id_ = await stage.group(ana, bob)
        for _ in range(201):
            await stage.send(bob, id_, MessageDraft(body="x"))
        before = len(stage.heard.changes[f"conversation:{id_}"])

        await stage.do(erase_person, bob.id, live=stage.live)

        numbers = [number for number, _ in stage.heard.changes[f"conversation:{id_}"]]
        async with database.read(snapshot=True) as tx:
            replayed, last = await changes_since(tx, id_, before, limit=500) or ([], 0)
    assert numbers[before:] == [before + 201, before + 202] == [last - 1, last]
    assert {message.body for change in replayed for message in change.messages} == {""}
    assert len(replayed) == 202


async def test_who_comes_first_to_a_channel_whose_owner_is_erased_leads(world: World) -> None:
    """When nobody had come before; two who come at one instant find one owner."""
    members = [str(world.ana.id), str(world.eve.id)]
    channel = done(await world.bob.post("/v1/conversations", {"title": "News", "kind": "channel", "members": members}))
    await leave_for_good(world, world.bob)

    for answer in await asyncio.gather(*(who.put(f"{at(channel)}/membership") for who in (world.ana, world.eve))):
        done(answer)

    assert sorted((await members_of(world.ana, channel)).values()) == ["member", "owner"]


async def test_the_other_of_an_erased_person_keeps_the_conversation(world: World) -> None:
    """With their own half of it, and nobody's face beside the rest."""
    conversation = await direct(world.ana, world.bob)
    await say(world.ana, conversation, "mine")
    await say(world.bob, conversation, "theirs")

    await leave_for_good(world, world.bob)

    assert [item["body"] for item in (await history(world.ana, conversation))["items"]] == ["mine", ""]
    assert (await seen(world.ana, conversation))["peer"] is None


async def test_a_hidden_person_has_no_face(world: World) -> None:
    """What they said stays, as in any conversation, but their card is not shown while they are away."""
    conversation = await direct(world.ana, world.bob)
    await say(world.bob, conversation, "before I go")

    done(await world.bob.put("/v1/me/deactivation", {"password": PASSWORD}))
    await world.drain()

    found = await history(world.ana, conversation)
    assert [item["body"] for item in found["items"]] == ["before I go"]
    assert found["people"] == []


async def test_the_copy_of_ones_data_has_what_one_said(world: World) -> None:
    """And nothing that others said."""
    conversation = await direct(world.ana, world.bob)
    await say(world.ana, conversation, "mine")
    theirs = await say(world.bob, conversation, "theirs")
    done(await world.ana.put(f"{at(conversation)}/messages/{theirs['seq']}/reactions/{THUMB}"))

    copy = done(await world.ana.get("/v1/me/export"))["modules"]["chat"]

    assert [message["body"] for message in copy["messages"]] == ["mine"]
    assert [reaction["seq"] for reaction in copy["reactions"]] == [theirs["seq"]]
    assert [kept["kind"] for kept in copy["conversations"]] == ["direct"]
