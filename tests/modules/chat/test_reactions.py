"""Reactions, pins and threads through the doors: done twice is done once, and the message says how it stands."""

import asyncio

import pytest

from tenfold.kit.refusals import Invalid
from tenfold.modules.chat.emoji import tidy_emoji
from tests.modules.chat.rooms import done, group_of, read, say
from tests.world import World


@pytest.mark.parametrize("emoji", ["👍", "❤️", "👨‍👩‍👧‍👦", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "1️⃣", "🇦🇹", ":party_parrot:", "☑", "👍🏽"])
def test_an_emoji_is_one_however_many_code_points_it_has(emoji: str) -> None:
    """Families, flags, keycaps and skin tones are sequences; short codes are an application's own pictures."""
    assert tidy_emoji(emoji) == emoji


@pytest.mark.parametrize(
    "text", ["", "a", "1", ":", "::", ":A:", "👍 ", "<b>", "👍a", "\u200d", "👍" * 33, ":" + "a" * 40 + ":"]
)
def test_what_is_no_emoji_is_no_reaction(text: str) -> None:
    """Reactions are shown to everybody under a message: they are no place for texts."""
    with pytest.raises(Invalid):
        tidy_emoji(text)


async def test_a_reaction_counts_once_for_each_person_and_kind(world: World) -> None:
    """However often it is given; the reader sees which are their own."""
    room = await group_of(world.ana, world.bob)
    said = await say(world.ana, room, "hi")
    at = f"{room}/messages/{said['seq']}/reactions"

    for _ in range(2):
        for person, emoji in ((world.ana, "👍"), (world.bob, "👍"), (world.bob, "🎉")):
            assert (await person.put(f"{at}/{emoji}")).status == 204
    [seen] = [message for message in await read(world.bob, room) if message["seq"] == said["seq"]]
    people = done(await world.ana.get(f"{at}/👍"))["items"]

    assert seen["reactions"] == {"👍": 2, "🎉": 1}
    assert seen["mine"] == ["👍", "🎉"]
    assert [person["user"]["handle"] for person in people] == ["ana", "bob"]


async def test_a_reaction_is_taken_back_once(world: World) -> None:
    """The last of its kind takes the kind away; who has none takes nothing."""
    room = await group_of(world.ana, world.bob)
    at = f"{room}/messages/{(await say(world.ana, room, 'hi'))['seq']}"
    done(await world.ana.put(f"{at}/reactions/👍"))

    for person in (world.bob, world.ana, world.ana):
        assert (await person.delete(f"{at}/reactions/👍")).status == 204

    assert "reactions" not in done(await world.bob.get(at))


async def test_a_storm_of_reactions_is_counted_exactly(world: World) -> None:
    """Every change has a number of its own, and no count is lost."""
    room = await group_of(world.ana, world.bob, world.eve)
    said = await say(world.ana, room, "hi")
    at, people = f"{room}/messages/{said['seq']}", (world.ana, world.bob, world.eve)

    await asyncio.gather(*(person.put(f"{at}/reactions/{emoji}") for person in people for emoji in "👍🎉🚀👍"))
    seen = done(await world.ana.get(at))

    assert seen["reactions"] == {"👍": 3, "🎉": 3, "🚀": 3}
    assert seen["change_no"] - said["change_no"] == seen["revision"] == 9


async def test_a_message_takes_a_bounded_number_of_kinds(world: World) -> None:
    """More of a kind that is there already still fit."""
    room = await group_of(world.ana, world.bob)
    at = f"{room}/messages/{(await say(world.ana, room, 'hi'))['seq']}/reactions"
    for number in range(20):
        done(await world.ana.put(f"{at}/:kind_{number}:"))

    assert (await world.bob.put(f"{at}/:one_more:")).code == "TooManyKindsOfReactions"
    assert (await world.bob.put(f"{at}/:kind_7:")).status == 204


async def test_strangers_and_the_deleted_take_no_reactions(world: World) -> None:
    """What one may not see is not there; what is deleted is not there any more."""
    room = await group_of(world.ana, world.bob)
    at = f"{room}/messages/{(await say(world.ana, room, 'hi'))['seq']}"

    assert (await world.eve.put(f"{at}/reactions/👍")).code == "ConversationNotFound"
    assert (await world.eve.get(f"{at}/reactions/👍")).body.get("items", []) == []
    done(await world.ana.delete(at))
    assert (await world.bob.put(f"{at}/reactions/👍")).code == "MessageNotFound"
    assert (await world.bob.put(f"{room}/messages/{1 << 70}/reactions/👍")).status in (400, 404)


async def test_pins_are_listed_latest_first(world: World) -> None:
    """Pinned twice is pinned once, where it was."""
    room = await group_of(world.ana, world.bob)
    seqs = [(await say(world.ana, room, f"no {number}"))["seq"] for number in range(3)]

    for seq in (seqs[0], seqs[2], seqs[0]):
        assert (await world.bob.put(f"{room}/messages/{seq}/pin")).status == 204
    first = done(await world.ana.get(f"{room}/pins", params={"limit": 1}))
    second = done(await world.ana.get(f"{room}/pins", params={"limit": 1, "cursor": first["next"]}))
    done(await world.ana.delete(f"{room}/messages/{seqs[2]}/pin"))

    assert [pin["seq"] for pin in first["items"] + second["items"]] == [seqs[2], seqs[0]]
    assert second["items"][0]["pinned_by"] == str(world.bob.id)
    assert [pin["seq"] for pin in done(await world.ana.get(f"{room}/pins"))["items"]] == [seqs[0]]
    assert (await world.eve.get(f"{room}/pins")).code == "ConversationNotFound"


async def test_only_admins_pin_in_a_channel(world: World) -> None:
    """Thousands read it."""
    room = await group_of(world.ana, world.bob, kind="channel")
    said = await say(world.ana, room, "welcome")

    assert (await world.bob.put(f"{room}/messages/{said['seq']}/pin")).code == "NeedsAnAdmin"
    assert (await world.ana.put(f"{room}/messages/{said['seq']}/pin")).status == 204


async def test_a_thread_lists_its_answers_and_remembers_how_far_one_read(world: World) -> None:
    """Of one level: an answer begins no thread. The marker moves forward only, to the last answer at most."""
    room = await group_of(world.ana, world.bob)
    root = (await say(world.ana, room, "what do you think?"))["seq"]
    await say(world.bob, room, "elsewhere")
    answers = [(await say(world.bob, room, f"answer {n}", thread_root=root))["seq"] for n in range(3)]
    at = f"{room}/messages/{root}"

    first = done(await world.ana.get(f"{at}/thread", params={"limit": 2}))
    second = done(await world.ana.get(f"{at}/thread", params={"limit": 2, "cursor": first["next"]}))
    marked = [done(await world.ana.put(f"{at}/thread/read", {"read_seq": seq})) for seq in (answers[1], 0, 1 << 40)]
    nested = await world.ana.post(f"{room}/messages", {"body": "deeper", "thread_root": answers[0]})
    seen = done(await world.ana.get(at))

    assert [message["seq"] for message in first["items"] + second["items"]] == answers
    assert [marker["read_seq"] for marker in marked] == [answers[1], answers[1], answers[2]]
    assert done(await world.bob.get(f"{at}/thread/read")) == {"read_seq": 0}
    assert nested.code == "MessageNotFound"
    assert (seen["thread_size"], seen["thread_last_seq"]) == (3, answers[2])
    assert (await world.eve.get(f"{at}/thread/read")).code == "MessageNotFound"


async def test_what_is_answered_must_be_there(world: World) -> None:
    """In the same conversation, and not deleted."""
    room = await group_of(world.ana, world.bob)
    other = await group_of(world.ana, world.eve)
    for n in range(5):
        await say(world.ana, other, f"elsewhere {n}")
    gone = (await say(world.ana, room, "oops"))["seq"]
    done(await world.ana.delete(f"{room}/messages/{gone}"))

    for seq in (gone, 10_000, 0):
        for link in ("reply_to", "thread_root"):
            answer = await world.bob.post(f"{room}/messages", {"body": "re", link: seq})
            assert answer.code == "MessageNotFound", (link, seq, answer)
