"""The oracle of chat: whatever happened in whatever order, counts are brute force's, and a replay is a reload.

Clients keep a conversation by what they hear, and now and then lose the line and replay from where they were; after
every step each of them must have what a fresh load would show.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tenfold.kit.actors import Actor
from tenfold.kit.refusals import Refusal
from tenfold.modules.chat.actions.change import delete_message, edit_message
from tenfold.modules.chat.actions.history import read_after, read_before
from tenfold.modules.chat.actions.looking import count_waiting, see_one, to_conversations
from tenfold.modules.chat.actions.mark import mark_read, mark_unread
from tenfold.modules.chat.actions.membership import join, leave
from tenfold.modules.chat.actions.react import react, unreact
from tenfold.modules.chat.actions.replay import changes_since
from tenfold.modules.chat.queries import members
from tenfold.modules.chat.shapes import Change, MemberRow, Message, MessageDraft, MessageEdit
from tenfold.platform.db import Database
from tests.modules.chat.stage import Stage

PEOPLE = 3
DEVICES = 4
DEEDS = (
    *["send"] * 6, "resend", "mention", "thread", *["read"] * 3, "unread", "edit", "edit", "delete", "react", "unreact",
    "leave", "rejoin", "rejoin", *["hear"] * 4, *["replay"] * 3, "lose",
)  # fmt: skip
steps = st.lists(
    st.tuples(st.sampled_from(DEEDS), st.integers(0, PEOPLE - 1), st.integers(0, 40)), min_size=15, max_size=40
)


@dataclass
class Said:
    """A message, as the model remembers it."""

    sender: int | None
    mentions: set[int] = field(default_factory=set)
    deleted: bool = False


@dataclass
class Model:
    """The brute force: a list of messages (notices have no sender), and a marker for each person."""

    said: list[Said] = field(default_factory=list)
    read: list[int] = field(default_factory=lambda: [0] * PEOPLE)
    marked: list[bool] = field(default_factory=lambda: [False] * PEOPLE)
    inside: list[bool] = field(default_factory=lambda: [True] * PEOPLE)

    def waiting(self, person: int) -> list[int]:
        """The numbers of what this person has not read."""
        return [
            seq
            for seq, said in enumerate(self.said, 1)
            if seq > self.read[person] and said.sender not in (None, person) and not said.deleted
        ]

    def mentioned(self, person: int) -> int:
        return sum(
            person in said.mentions and not said.deleted
            for seq, said in enumerate(self.said, 1)
            if seq > self.read[person]
        )


@dataclass
class Device:
    """A client that shows the conversation: rows by what it heard, in order, or replayed after the line was cut."""

    offset: int = 0
    messages: dict[int, Message] = field(default_factory=dict)
    members: dict[UUID, MemberRow] = field(default_factory=dict)

    def take(self, offset: int, change: Change) -> None:
        """Put the rows of a change in the place of what was there."""
        assert change.change_no == offset
        if offset <= self.offset:
            return
        self.offset = offset
        self.messages |= {message.seq: message for message in change.messages}
        self.members |= {member.user_id: member for member in change.members}


class Play:
    """Does each step in the database and in the model."""

    def __init__(self, stage: Stage, people: list[Actor], conversation_id: UUID) -> None:
        self.stage = stage
        self.people = people
        self.id = conversation_id
        self.model = Model()
        self.devices = [Device() for _ in range(DEVICES)]
        self.names: list[tuple[int, str, int]] = []

    @property
    def heard(self) -> list[tuple[int, Change]]:
        return self.stage.heard.changes.get(f"conversation:{self.id}", [])

    async def step(self, deed: str, person: int, number: int) -> None:
        act: Callable[[int, int], Awaitable[None]] = getattr(self, deed)
        if self.model.inside[person] or deed in ("rejoin", "hear", "replay", "lose"):
            await act(person, number)

    async def say(self, person: int, **draft: Any) -> Message:
        return await self.stage.send(self.people[person], self.id, MessageDraft(body="x", **draft))

    async def send(self, person: int, number: int, **draft: Any) -> None:
        name = f"name {len(self.names)}"
        message = await self.say(person, client_msg_id=name, **draft)
        self.names.append((person, name, message.seq))
        mentioned = {self.people.index(actor) for actor in self.people if actor.id in (draft.get("mentions") or [])}
        inside = {other for other in mentioned if self.model.inside[other] and other != person}
        self.model.said.append(Said(person, inside))
        assert message.seq == len(self.model.said)
        self.model.read[person], self.model.marked[person] = message.seq, False

    async def resend(self, person: int, number: int) -> None:
        mine = [(name, seq) for sender, name, seq in self.names if sender == person]
        if mine:
            name, seq = mine[number % len(mine)]
            assert (await self.say(person, client_msg_id=name)).seq == seq

    async def mention(self, person: int, number: int) -> None:
        await self.send(person, number, mentions=[self.people[number % PEOPLE].id])

    async def thread(self, person: int, number: int) -> None:
        roots = [seq for seq, said in enumerate(self.model.said, 1) if said.sender is not None and not said.deleted]
        try:
            await self.send(person, number, thread_root=roots[number % len(roots)] if roots else 1)
        except Refusal:
            return

    async def read(self, person: int, number: int) -> None:
        await self.stage.do(mark_read, self.people[person], self.id, number, is_private=number % 2 == 0)
        self.model.read[person] = max(self.model.read[person], min(number, len(self.model.said)))
        self.model.marked[person] = False

    async def unread(self, person: int, number: int) -> None:
        await self.stage.do(mark_unread, self.people[person], self.id, number or None)
        if number:
            self.model.read[person] = min(self.model.read[person], number - 1)
        self.model.marked[person] = True

    async def edit(self, person: int, number: int) -> None:
        await self._if_possible(edit_message, person, number, edit=MessageEdit(body=f"y{number}"))

    async def delete(self, person: int, number: int) -> None:
        seq = await self._if_possible(delete_message, person, number)
        if seq is not None:
            self.model.said[seq - 1].deleted = True

    async def react(self, person: int, number: int) -> None:
        await self._if_possible(react, person, number, emoji="👍", policy=self.stage.policy)

    async def unreact(self, person: int, number: int) -> None:
        await self._if_possible(unreact, person, number, emoji="👍")

    async def _if_possible(self, deed: Any, person: int, number: int, **named: Any) -> int | None:
        if not self.model.said:
            return None
        seq = 1 + number % len(self.model.said)
        try:
            await self.stage.do(deed, self.people[person], self.id, seq, **named)
        except Refusal:
            return None
        return seq

    async def leave(self, person: int, number: int) -> None:
        try:
            await self.stage.do(leave, self.people[person], self.id, live=self.stage.live)
        except Refusal:
            return
        self.model.inside[person] = False
        self.model.said.append(Said(None))

    async def rejoin(self, person: int, number: int) -> None:
        if not self.model.inside[person]:
            # Who comes back has nothing to read yet; the notice of it is a message that nobody has to read.
            self.model.read[person] = max(self.model.read[person], len(self.model.said))
            await self.stage.do(join, self.people[person], self.id, policy=self.stage.policy)
            self.model.inside[person] = True
            self.model.said.append(Said(None))

    async def hear(self, person: int, number: int) -> None:
        """A device on the line hears everything since, in order, some of it twice."""
        device = self.devices[number % DEVICES]
        for offset, change in self.heard:
            device.take(offset, change)

    async def replay(self, person: int, number: int) -> None:
        """A device that was away asks for what it missed, a few changes at a time."""
        device = self.devices[number % DEVICES]
        limit = 1 + number % 7
        while True:
            async with self.stage.db.read(snapshot=True) as tx:
                found = await changes_since(tx, self.id, device.offset, limit=limit)
            assert found is not None
            changes, top = found
            assert [change.change_no for change in changes] == sorted({change.change_no for change in changes})
            for change in changes:
                assert device.offset < change.change_no <= top
                device.take(change.change_no, change)
            if len(changes) < limit:
                device.offset = top
                return

    async def lose(self, person: int, number: int) -> None:
        """A device starts anew, with nothing."""
        self.devices[number % DEVICES] = Device()

    async def check(self) -> None:
        """Counts by brute force; numbers without gap; every device as a fresh load once it is up to date."""
        if not any(self.model.inside):
            await self.rejoin(0, 0)  # somebody has to look
        offsets = [offset for offset, _ in self.heard]
        assert sorted(set(offsets)) == list(range(1, max(offsets, default=0) + 1))
        for person in range(PEOPLE):
            if self.model.inside[person]:
                await self._check_counts(person)
        fresh = await self._load()
        for number in range(DEVICES):
            await self.replay(0, number)
            device = self.devices[number]
            assert device.messages == fresh.messages
            assert _roles(device.members) == _roles(fresh.members)

    async def _check_counts(self, person: int) -> None:
        actor = self.people[person]
        async with self.stage.db.read() as tx:
            seen = to_conversations(await see_one(tx, actor, self.id), actor, {})[0]
            totals = await count_waiting(tx, actor)
        waiting = self.model.waiting(person)
        assert seen.mine is not None
        assert seen.last_seq == len(self.model.said)
        assert (seen.mine.unread, seen.mine.mentions) == (len(waiting), self.model.mentioned(person))
        assert seen.mine.first_unread == (waiting[0] if waiting else None)
        assert seen.mine.is_marked_unread is self.model.marked[person]
        assert (totals.messages, totals.mentions) == (len(waiting), self.model.mentioned(person))

    async def _load(self) -> Device:
        """What a client that starts anew would fetch."""
        reader = next(actor for actor, inside in zip(self.people, self.model.inside, strict=True) if inside)
        async with self.stage.db.read() as tx:
            forwards = await read_after(tx, reader, self.id, 0, limit=500)
            backwards = await read_before(tx, reader, self.id, None, limit=500)
            rows = await members.list_members(
                tx, conversation_id=self.id, user_id=reader.id, states=["joined"], after=None, limit=500
            )
        assert list(forwards.items) == list(backwards.items)
        assert [message.seq for message in forwards.items] == list(range(1, len(self.model.said) + 1))
        plain = [_told(message) for message in forwards.items]
        return Device(messages={message.seq: message for message in plain}, members={row.user_id: row for row in rows})


def _told(message: Message) -> Message:
    """A message as it is told to all: without what is the reader's alone."""
    return msgspec.structs.replace(message, mine=None)


def _roles(rows: dict[UUID, MemberRow]) -> dict[UUID, str]:
    """Who is in by a change of the conversation; markers come by other ways."""
    return {id_: row.role for id_, row in rows.items() if row.state == "joined" and row.change_no}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=steps)
@example(script=[("send", 1, 0), ("leave", 1, 0), ("leave", 2, 0), ("leave", 0, 0)])
async def test_counts_and_replay_hold_over_any_interleaving(
    database: Database, script: list[tuple[str, int, int]]
) -> None:
    """Unread that sticks or lies is the oldest complaint about chats; a gap that nobody notices is the worst."""
    with closing(Stage(database)) as stage:
        people = [stage.person() for _ in range(PEOPLE)]
        play = Play(stage, people, await stage.group(*people))

        for step in script:
            await play.step(*step)

        await play.check()


@pytest.fixture
async def stage(database: Database) -> AsyncIterator[Stage]:
    """Where chat happens."""
    with closing(Stage(database)) as stage:
        yield stage


@pytest.mark.parametrize("writers", [8])
async def test_concurrent_writers_get_every_number_once(stage: Stage, writers: int) -> None:
    """Eight people writing and editing at once: numbers and changes without gap, and a replay that is whole."""
    people = [stage.person() for _ in range(writers)]
    conversation_id = await stage.group(*people)

    async def write(person: Actor) -> list[int]:
        numbers = []
        for turn in range(6):
            sent = await stage.send(person, conversation_id, MessageDraft(body=f"{turn}"))
            numbers.append(sent.seq)
            await stage.do(edit_message, person, conversation_id, sent.seq, edit=MessageEdit(body=f"{turn}!"))
        return numbers

    numbers = await asyncio.gather(*(write(person) for person in people))

    assert sorted(seq for mine in numbers for seq in mine) == list(range(1, 6 * writers + 1))
    assert all(mine == sorted(mine) for mine in numbers)
    offsets = [offset for offset, _ in stage.heard.changes[f"conversation:{conversation_id}"]]
    assert sorted(offsets) == list(range(1, 12 * writers + 1))
    async with stage.db.read(snapshot=True) as tx:
        found = await changes_since(tx, conversation_id, 0, limit=500)
    assert found is not None
    assert sorted(message.seq for change in found[0] for message in change.messages) == list(range(1, 6 * writers + 1))
