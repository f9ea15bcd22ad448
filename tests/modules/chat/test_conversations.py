"""Conversations through the door: opened, joined, listed, put away, left."""

import asyncio
from typing import Any

from tenfold.kit.refusals import Refusal
from tenfold.modules.chat.actions.membership import join
from tenfold.modules.chat.actions.replay import changes_since
from tenfold.modules.chat.shapes import ChatPolicy
from tests.house.lively import done
from tests.modules.chat.talking import at, direct, group, history, id_of, say, seen, texts, unread
from tests.world import Person, World


async def titles(person: Person, shelf: str = "active") -> list[str | None]:
    page = done(await person.get("/v1/conversations", params={"shelf": shelf}))
    return [item["title"] or item["peer"]["handle"] for item in page["items"]]


async def test_two_people_have_one_conversation_whoever_opens_it(world: World) -> None:
    """Both press the button at the same time, and both are in the same room."""
    answers = await asyncio.gather(
        world.ana.put(f"/v1/users/{world.bob.id}/conversation"),
        world.bob.put(f"/v1/users/{world.ana.id}/conversation"),
    )
    ids = {done(answer)["id"] for answer in answers}

    again = done(await world.ana.put(f"/v1/users/{world.bob.id}/conversation"))

    assert ids == {again["id"]}
    assert again["mine"]["state"] == "joined"
    assert again["peer"]["handle"] == "bob"


async def test_a_stranger_waits_until_answered(world: World) -> None:
    """What a stranger writes lies among the requests, where it can be read; an answer lets them in."""
    conversation = await direct(world.ana, world.bob, accepted=False)
    await say(world.ana, conversation, "do you remember me?")

    assert await titles(world.bob) == []
    assert await titles(world.bob, "requests") == ["ana"]
    assert await texts(world.bob, conversation) == ["do you remember me?"]
    await say(world.bob, conversation, "of course")

    assert await titles(world.bob) == ["ana"]
    assert (await seen(world.ana, conversation))["member_count"] == 2


async def test_a_stranger_may_not_go_on_writing(world: World) -> None:
    """A request is a knock, not a siege."""
    conversation = await direct(world.ana, world.bob, accepted=False)
    for turn in range(3):
        await say(world.ana, conversation, f"knock {turn}")

    answer = await world.ana.post(f"{at(conversation)}/messages", {"body": "open!"})

    assert answer.code == "RequestIsWaiting"


async def test_whom_one_follows_is_no_stranger(world: World) -> None:
    """Their message is there at once."""
    done(await world.bob.put(f"/v1/users/{world.ana.id}/follow"))

    await say(world.ana, await direct(world.ana, world.bob, accepted=False))

    assert await titles(world.bob) == ["ana"]


async def test_a_group_is_for_those_who_come(world: World) -> None:
    """Invited is not in: somebody else neither reads nor writes, and for them there is no such group."""
    conversation = await group(world.ana, world.bob)
    await say(world.ana, conversation)

    assert (await world.eve.get(at(conversation))).code == "ConversationNotFound"
    assert (await world.eve.get(f"{at(conversation)}/messages")).code == "ConversationNotFound"
    assert (await world.eve.post(f"{at(conversation)}/messages", {"body": "hi"})).code == "ConversationNotFound"
    assert (await world.eve.put(f"{at(conversation)}/membership")).code == "ConversationNotFound"
    done(await world.ana.put(f"{at(conversation)}/members/{world.eve.id}"))

    assert (await seen(world.eve, conversation))["mine"]["state"] == "invited"
    assert (await world.eve.get(f"{at(conversation)}/messages")).code == "ConversationNotFound"
    done(await world.eve.put(f"{at(conversation)}/membership"))

    assert await texts(world.eve, conversation) == ["hello"]
    assert await unread(world.eve, conversation) == 0
    assert (await seen(world.eve, conversation))["member_count"] == 3


async def test_who_was_removed_returns_only_when_invited(world: World) -> None:
    """Also where everybody else may come."""
    conversation = await group(world.ana, world.bob, access="open")
    done(await world.ana.delete(f"{at(conversation)}/members/{world.bob.id}"))

    assert (await world.bob.put(f"{at(conversation)}/membership")).code == "ConversationNotFound"
    done(await world.eve.put(f"{at(conversation)}/membership"))
    done(await world.ana.put(f"{at(conversation)}/members/{world.bob.id}"))
    done(await world.bob.put(f"{at(conversation)}/membership"))

    assert (await seen(world.ana, conversation))["member_count"] == 3


async def test_roles_are_kept(world: World) -> None:
    """Members change nothing, admins not their equals, and somebody always is the owner."""
    conversation = await group(world.ana, world.bob, world.eve)
    members = f"{at(conversation)}/members"

    assert (await world.bob.patch(at(conversation), {"title": "Mine"})).code == "NeedsAnAdmin"
    assert (await world.bob.delete(f"{members}/{world.eve.id}")).code == "NeedsAnAdmin"
    assert (await world.ana.delete(f"{at(conversation)}/membership")).code == "LastOwner"
    assert (await world.ana.patch(f"{members}/{world.ana.id}", {"role": "member"})).code == "LastOwner"
    for person in (world.bob, world.eve):
        done(await world.ana.patch(f"{members}/{person.id}", {"role": "admin"}))

    assert (await world.bob.delete(f"{members}/{world.eve.id}")).code == "NeedsAnOwner"
    assert (await world.bob.patch(at(conversation), {"title": "Ours"})).body["title"] == "Ours"
    done(await world.ana.patch(f"{members}/{world.bob.id}", {"role": "owner"}))
    done(await world.ana.delete(f"{at(conversation)}/membership"))

    assert (await world.ana.get(at(conversation))).code == "ConversationNotFound"
    notices = [item["notice"] for item in (await history(world.bob, conversation))["items"] if item.get("notice")]
    assert [notice["type"] for notice in notices] == [
        "member.joined",
        "member.joined",
        "conversation.titled",
        "member.left",
    ]


async def test_a_full_group_takes_nobody(world: World) -> None:
    """The cap holds when the last two places are asked for at once."""
    conversation = await group(world.ana, access="open")
    tight = ChatPolicy(group_cap=2)

    async def come(person: Person) -> str:
        actor = person.actor
        assert actor is not None
        try:
            await world.db.transact(lambda tx: join(tx, actor, id_of(conversation), policy=tight))
        except Refusal as refusal:
            return refusal.code()
        return "in"

    assert sorted(await asyncio.gather(come(world.bob), come(world.eve))) == ["ConversationIsFull", "in"]


async def test_who_comes_twice_at_once_is_there_once(world: World) -> None:
    """Two devices of one person press the button: one member more, one notice."""
    conversation = await group(world.ana, access="open")

    answers = await asyncio.gather(*(world.bob.put(f"{at(conversation)}/membership") for _ in range(4)))

    assert {answer.status for answer in answers} == {204}
    assert (await seen(world.ana, conversation))["member_count"] == 2
    assert (await seen(world.ana, conversation))["last_seq"] == 1


async def test_an_admin_who_leaves_a_channel_undoes_nothing_that_is_said_meanwhile(world: World) -> None:
    """A channel is not held by those who come and go, but it is by who changes it."""
    channel = await group(world.ana, world.bob, kind="channel", access="open")
    done(await world.ana.patch(f"{at(channel)}/members/{world.bob.id}", {"role": "admin"}))

    await asyncio.gather(*(say(world.ana, channel) for _ in range(10)), world.bob.delete(f"{at(channel)}/membership"))

    assert (await seen(world.ana, channel))["last_seq"] == 10
    assert len(await texts(world.ana, channel)) == 10


async def test_a_list_is_by_the_latest_message_and_shelves_hold_the_rest(world: World) -> None:
    """What is hidden returns with the next message; what is archived does not."""
    one = await group(world.ana, world.bob, title="one")
    two = await group(world.ana, world.bob, title="two")
    await say(world.bob, one)

    assert await titles(world.ana) == ["one", "two"]
    done(await world.ana.put(f"{at(one)}/hide"))
    done(await world.ana.put(f"{at(two)}/archive"))

    assert await titles(world.ana) == []
    assert await titles(world.ana, "hidden") == ["one"]
    assert await titles(world.ana, "archived") == ["two"]
    for conversation in (one, two):
        await say(world.bob, conversation)

    assert await titles(world.ana) == ["one"]
    done(await world.ana.delete(f"{at(two)}/archive"))
    assert await titles(world.ana) == ["two", "one"]


async def test_totals_leave_the_muted_out(world: World) -> None:
    """Mentions count all the same."""
    loud = await group(world.ana, world.bob, title="loud")
    quiet = await group(world.ana, world.bob, title="quiet")
    done(await world.ana.put(f"{at(quiet)}/mute"))
    await say(world.bob, loud)
    await say(world.bob, quiet, mentions=[str(world.ana.id)])

    assert done(await world.ana.get("/v1/me/unread")) == {
        "conversations": 1,
        "messages": 1,
        "mentions": 1,
        "requests": 0,
    }


async def test_settings_have_no_place_between_two_people(world: World) -> None:
    """Nobody is invited, removed or promoted there, and nothing is titled."""
    conversation = await direct(world.ana, world.bob)

    answers = [
        await world.ana.patch(at(conversation), {"title": "x"}),
        await world.ana.put(f"{at(conversation)}/members/{world.eve.id}"),
        await world.ana.delete(f"{at(conversation)}/members/{world.bob.id}"),
        await world.ana.delete(f"{at(conversation)}/membership"),
    ]

    assert [answer.code for answer in answers] == ["ThisIsDirect"] * 4


async def test_a_channel_counts_nobody_and_shows_nobody_reading(world: World) -> None:
    """Its size is not kept, and no list says how far its members have read."""
    channel = await group(world.ana, world.bob, kind="channel", access="open")
    said = await say(world.ana, channel)

    for marker in ("read", "delivered"):
        done(await world.bob.put(f"{at(channel)}/{marker}", {"seq": said["seq"]}))
    listed = done(await world.ana.get(f"{at(channel)}/members"))["items"]

    assert (await seen(world.ana, channel))["member_count"] is None
    assert await unread(world.bob, channel) == 0
    [bob] = [member for member in listed if member["user"]["id"] == str(world.bob.id)]
    assert (bob["read_seq"], bob["delivered_seq"]) == (0, 0)


async def test_a_conversation_does_not_exist_for_who_is_not_in_it(world: World) -> None:
    """Whatever a stranger or a removed member asks, empty lists included; what they sent there is not told again."""
    room = await group(world.ana, world.bob)
    said = await say(world.bob, room, client_msg_id="a")
    done(await world.ana.delete(f"{at(room)}/members/{world.bob.id}"))
    message = f"{at(room)}/messages/{said['seq']}"

    for person in (world.bob, world.eve):
        asked = [at(room), *(f"{at(room)}/{of}" for of in ("messages", "members", "receipts", "pins"))]
        answers = [await person.get(path) for path in asked]
        answers.append(await person.post(f"{at(room)}/messages", {"body": "hello", "client_msg_id": "a"}))
        assert {answer.code for answer in answers} == {"ConversationNotFound"}
        asked = [message, *(f"{message}/{of}" for of in ("edits", "thread", "thread/read", "reactions/👍"))]
        assert {(await person.get(path)).code for path in asked} == {"MessageNotFound"}


async def test_a_title_is_seen_in_one_line(world: World) -> None:
    """A list of conversations has a line for each."""
    for title in ("  ", "\u200b", "one\ntwo"):
        assert (await world.ana.post("/v1/conversations", {"title": title})).status == 400


async def test_the_last_owner_cannot_send_themselves_away(world: World) -> None:
    """Not even by the door that removes others: nobody would be left to make an owner."""
    room = await group(world.ana, world.bob)

    assert (await world.ana.delete(f"{at(room)}/members/{world.ana.id}")).code == "LastOwner"
    done(await world.ana.patch(f"{at(room)}/members/{world.bob.id}", {"role": "owner"}))
    done(await world.bob.delete(f"{at(room)}/members/{world.ana.id}"))
    assert (await world.bob.delete(f"{at(room)}/members/{world.bob.id}")).code == "LastOwner"


async def test_around_a_message_begins_with_itself(world: World) -> None:
    """However few are asked for."""
    room = await direct(world.ana, world.bob)
    for _ in range(5):
        await say(world.ana, room)

    looked = [[one["seq"] for one in (await history(world.bob, room, around=3, limit=n))["items"]] for n in (1, 2, 3)]

    assert looked == [[3], [2, 3], [2, 3, 4]]


async def roles(person: Person, conversation: Any) -> dict[str, str]:
    items = done(await person.get(f"{at(conversation)}/members"))["items"]
    return {item["user"]["handle"]: item["role"] for item in items if item["state"] == "joined"}


async def test_who_comes_first_where_nobody_is_left_leads(world: World) -> None:
    """Whoever opened it may go before anybody has come; nobody could ever invite or change anything there."""
    members = [str(world.bob.id), str(world.eve.id)]
    conversation = done(await world.ana.post("/v1/conversations", {"title": "Friends", "members": members}))
    done(await world.ana.delete(f"{at(conversation)}/membership"))

    answers = await asyncio.gather(*(person.put(f"{at(conversation)}/membership") for person in (world.bob, world.eve)))

    assert {answer.status for answer in answers} == {204}
    assert sorted((await roles(world.bob, conversation)).values()) == ["member", "owner"]
    leads = world.bob if (await roles(world.bob, conversation))["bob"] == "owner" else world.eve
    done(await leads.put(f"{at(conversation)}/members/{world.ana.id}"))
    done(await world.ana.put(f"{at(conversation)}/membership"))
    assert (await roles(world.ana, conversation))["ana"] == "member"


async def test_who_comes_to_a_channel_at_the_instant_of_an_invitation_stays(world: World) -> None:
    """Nobody holds a channel then; a member would be an invitee again, and could not read."""
    channel = await group(world.ana, kind="channel", access="open")
    eve = world.eve.actor
    assert eve is not None

    async with world.db.write() as tx:
        await join(tx, eve, id_of(channel), policy=ChatPolicy())
        asking = asyncio.ensure_future(world.ana.put(f"{at(channel)}/members/{world.eve.id}"))
        await asyncio.wait([asking], timeout=0.3)

    done(await asking)
    assert (await seen(world.eve, channel))["mine"]["state"] == "joined"
    assert await titles(world.eve, "requests") == []
    assert await texts(world.eve, channel) == []


async def test_a_channel_tells_of_whom_it_has_told_before(world: World) -> None:
    """A mere member comes and goes unnoticed; but who was an admin on a screen must not stay one there."""
    channel = await group(world.ana, world.bob, world.eve, kind="channel", access="open")
    bob = f"{at(channel)}/members/{world.bob.id}"

    async def told_since(change: int) -> list[tuple[str, str]]:
        async with world.db.read(snapshot=True) as tx:
            found = await changes_since(tx, id_of(channel), change, limit=100)
        assert found is not None
        return [(row.state, row.role) for change in found[0] for row in change.members]

    done(await world.ana.patch(bob, {"role": "admin"}))
    promoted = (await seen(world.ana, channel))["last_change"]
    done(await world.ana.patch(bob, {"role": "member"}))
    demoted = (await seen(world.ana, channel))["last_change"]
    done(await world.bob.delete(f"{at(channel)}/membership"))
    assert await told_since(promoted) == await told_since(demoted) == [("left", "member")]

    done(await world.bob.put(f"{at(channel)}/membership"))
    assert await told_since(promoted) == await told_since(demoted) == [("joined", "member")]
    last = (await seen(world.ana, channel))["last_change"]
    done(await world.eve.delete(f"{at(channel)}/membership"))
    assert (await seen(world.ana, channel))["last_change"] == last
