"""Live, by the official SDK: what is said is heard in order, what was missed is replayed, who is gone hears no more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from centrifuge import Client, SubscriptionEventHandler

from tests.house.lively import done
from tests.house.test_live import Wire, listening, wired
from tests.modules.chat.talking import at, direct, group, history, id_of, say
from tests.waiting import until
from tests.world import Person, World

SOON = 1.0


@dataclass
class Screen(SubscriptionEventHandler):
    """A client that shows one conversation, by what it hears alone."""

    messages: dict[int, Any] = field(default_factory=dict)
    offsets: list[int] = field(default_factory=list)
    said: list[Any] = field(default_factory=list)
    welcomes: list[Any] = field(default_factory=list)
    ended: list[Any] = field(default_factory=list)

    async def on_subscribed(self, ctx: Any) -> None:
        self.welcomes.append(ctx)

    async def on_publication(self, ctx: Any) -> None:
        if ctx.pub.data["type"] != "conversation.change":
            self.said.append(ctx.pub.data)
            return
        self.offsets.append(ctx.pub.offset)
        self.messages |= {message["seq"]: message for message in ctx.pub.data.get("messages", [])}

    async def on_unsubscribed(self, ctx: Any) -> None:
        self.ended.append(ctx)

    def bodies(self) -> list[str]:
        return [message["body"] for _, message in sorted(self.messages.items()) if message["kind"] == "text"]


@asynccontextmanager
async def showing(url: str, person: Person, conversation: Any) -> AsyncIterator[tuple[Client, Screen]]:
    async with listening(url, person) as (client, _):
        screen = Screen()
        subscription = client.new_subscription(f"conversation:{conversation['id']}", events=screen)
        await subscription.subscribe()
        await until(lambda: screen.welcomes)
        yield client, screen


async def test_what_is_said_is_heard_by_those_who_have_it_open(world: World) -> None:
    """In the order of its numbers; edits and deletions come as the message's new state."""
    conversation = await direct(world.ana, world.bob)
    async with showing(world.url, world.bob, conversation) as (_, screen):
        for number in range(5):
            await say(world.ana, conversation, str(number))
        await until(lambda: len(screen.messages) == 5, timeout=SOON)
        done(await world.ana.patch(f"{at(conversation)}/messages/2", {"body": "edited"}))
        done(await world.ana.delete(f"{at(conversation)}/messages/3"))
        await until(lambda: screen.messages[3].get("deleted_at"), timeout=SOON)

        assert screen.bodies() == ["0", "edited", "", "3", "4"]
        assert screen.offsets == sorted(screen.offsets)
        assert list(screen.messages.values()) == (await history(world.bob, conversation))["items"]


async def test_what_was_missed_is_replayed_from_the_database(world: World) -> None:
    """More than any memory of publications holds: the screen is as a fresh load afterwards."""
    conversation = await direct(world.ana, world.bob)
    await say(world.ana, conversation, "before")
    async with wired(world.url) as (wire, url), showing(url, world.bob, conversation) as (_, screen):
        await say(world.ana, conversation, "heard")
        await until(lambda: screen.messages, timeout=SOON)
        await _away(world, wire, conversation)
        await until(lambda: len(screen.messages) == 151, timeout=5)

        fresh = (await history(world.bob, conversation, limit=100))["items"]
        assert [screen.messages[item["seq"]] for item in fresh] == fresh
        assert screen.offsets == sorted(set(screen.offsets))


async def test_a_gap_of_any_length_is_replayed_while_others_go_on_listening(world: World) -> None:
    """More than a connection should hold at once: part after part, each message once, and what is new after them."""
    conversation = await group(world.ana, world.bob)
    async with wired(world.url) as (wire, url), showing(url, world.bob, conversation) as (_, screen):
        await say(world.ana, conversation, "heard")
        await until(lambda: screen.bodies() == ["heard"], timeout=SOON)
        wire.cut()
        await _write_many(world, id_of(conversation), 12_000)
        wire.mend()
        async with showing(world.url, world.ana, conversation) as (_, other):
            await say(world.ana, conversation, "new")
            await until(lambda: other.bodies() == ["new"], timeout=SOON)
        await until(lambda: screen.bodies()[-1:] == ["new"], timeout=30)

        assert screen.bodies() == ["heard", *(["many"] * 12_000), "new"]
        assert screen.offsets == sorted(set(screen.offsets))
        assert [(told.was_recovering, told.recovered) for told in screen.welcomes] == [(False, False), (True, True)]


async def _write_many(world: World, conversation_id: UUID, count: int) -> None:
    """What thousands have said, without a word of it."""
    async with world.db.write() as tx:
        await tx.connection.execute(
            """
            insert into messages (conversation_id, seq, sender_id, body, created_at, change_no)
            select c.conversation_id, c.last_seq + n, $2, 'many', now(), c.last_change + n
              from conversations c, generate_series(1, $3::integer) n where c.conversation_id = $1""",
            conversation_id, world.ana.id, count,
        )  # fmt: skip
        await tx.connection.execute(
            """
            update conversations set last_seq = last_seq + $2::integer, last_change = last_change + $2::integer
             where conversation_id = $1""",
            conversation_id, count,
        )  # fmt: skip


async def _away(world: World, wire: Wire, conversation: Any) -> None:
    """Much is said while the line is cut."""
    wire.cut()
    for number in range(150):
        await say(world.ana, conversation, str(number))
    done(await world.ana.patch(f"{at(conversation)}/messages/2", {"body": "changed meanwhile"}))
    wire.mend()


async def test_who_is_removed_hears_no_more_within_a_second(world: World) -> None:
    """The subscription ends and does not come back; what is said afterwards is not theirs."""
    conversation = await group(world.ana, world.bob)
    async with showing(world.url, world.bob, conversation) as (_, screen):
        done(await world.ana.delete(f"{at(conversation)}/members/{world.bob.id}"))
        await until(lambda: screen.ended, timeout=SOON)
        await say(world.ana, conversation, "now that he is gone")
        await asyncio.sleep(0.1)

        assert screen.bodies() == []
        assert len(screen.welcomes) == 1


async def test_who_is_not_in_hears_nothing(world: World) -> None:
    """Nor learns that there is something to hear."""
    conversation = await group(world.ana, world.bob)
    async with listening(world.url, world.eve) as (client, _):
        screen = Screen()
        subscription = client.new_subscription(f"conversation:{conversation['id']}", events=screen)
        await subscription.subscribe()
        await until(lambda: screen.ended, timeout=SOON)

        assert screen.welcomes == []


async def test_a_hint_comes_to_those_who_have_it_closed(world: World) -> None:
    """At once between two; in a group once a second, however much is said; in a channel never."""
    two = await direct(world.ana, world.bob)
    many = await group(world.ana, world.bob)
    channel = await group(world.ana, world.bob, kind="channel")
    async with listening(world.url, world.bob) as (_, diary):
        await say(world.ana, two)
        for conversation in (channel, many):
            for _ in range(5):
                await say(world.ana, conversation)

        def hints(conversation: Any) -> list[int]:
            return [
                news["last_seq"]
                for news in diary.heard
                if news["type"] == "conversation.changed" and news["conversation_id"] == conversation["id"]
            ]

        last = (await history(world.ana, many))["items"][-1]["seq"]
        await until(lambda: hints(many)[-1:] == [last], timeout=3)

        assert hints(two) == [1]
        assert len(hints(many)) <= 3
        assert hints(channel) == []


async def test_receipts_are_for_the_moment_and_welcome_says_how_far_others_are(world: World) -> None:
    """A marker is heard by who has it open; who opens it later is told where it stands; a private one is no news."""
    conversation = await direct(world.ana, world.bob)
    for _ in range(3):
        await say(world.ana, conversation)
    async with showing(world.url, world.ana, conversation) as (_, screen):
        done(await world.bob.put(f"{at(conversation)}/read", {"seq": 1}))
        done(await world.bob.put(f"{at(conversation)}/read", {"seq": 2, "private": True}))
        done(await world.bob.put(f"{at(conversation)}/delivered", {"seq": 3}))
        await until(lambda: len(screen.said) >= 2, timeout=SOON)

        told = [(news["marker"]["read_seq"], news["marker"]["delivered_seq"]) for news in screen.said]
        assert told == [(1, 1), (1, 3)]
    async with showing(world.url, world.ana, conversation) as (_, screen):
        assert screen.welcomes[0].data["markers"] == [{"user_id": str(world.bob.id), "read_seq": 1, "delivered_seq": 3}]
