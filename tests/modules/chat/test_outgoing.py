"""Messages that are sent at one time: written together, refused apart, and none of them lost or said twice."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenfold.kit.ids import new_id
from tenfold.kit.refusals import Unavailable
from tenfold.modules.chat.errors import ConversationNotFound, OnlyAdminsWriteHere, TooSoon
from tenfold.modules.chat.shapes import NIL, Attachment, Message, MessageDraft
from tenfold.platform.db import Unfit
from tenfold.platform.db.embedded import Address
from tests.modules.chat.processes import WAITING, Process, answers, running
from tests.waiting import until

MORE_THAN_ONE_STATEMENT_TAKES = 70
# Nothing is written until the transaction that says this has ended.
HALT = "lock table messages in share mode"
# A statement halts at its message for this conversation, before it comes to the next of its batch.
STALL = """
create function stall() returns trigger language plpgsql as $$
begin perform pg_advisory_xact_lock(1); return new; end $$;
create trigger stalls before update on conversations for each row
    when (new.conversation_id = '{id}') execute function stall();"""


@pytest.fixture
async def stage(database_address: Address) -> AsyncIterator[Process]:
    async with running(database_address) as process:
        yield process


@pytest.fixture
async def other(database_address: Address) -> AsyncIterator[Process]:
    """Another process on the database of the stage."""
    async with running(database_address) as process:
        yield process


async def test_what_many_send_at_once_is_written_by_few_statements(stage: Process) -> None:
    """Two people in each of many conversations: every message stored and told once, and hardly a round trip each."""
    people = [stage.person() for _ in range(MORE_THAN_ONE_STATEMENT_TAKES + 1)]
    ids = [await stage.group(*pair) for pair in itertools.pairwise(people)]
    turns = [(people[place + turn % 2], id_, f"{turn}") for turn in range(4) for place, id_ in enumerate(ids)]

    sent = await answers(*(stage.begin(*turn) for turn in turns))

    assert (stage.db.together <= len(sent) / 20, stage.db.alone) == (True, 0)
    for place, id_ in enumerate(ids):
        stored = await stage.said(people[place], id_)
        assert [(message.seq, message.body) for message in stored] == [(1, "0"), (2, "1"), (3, "2"), (4, "3")]
        assert stored == sent[place :: len(ids)] == stage.told(id_)
    assert stage.hints._latest == dict.fromkeys(ids, 4)
    assert stage.has_nothing_left()


async def test_what_is_sent_into_one_conversation_at_once_keeps_its_order(stage: Process) -> None:
    """Whoever sends twice without waiting is read in that order, whatever others write in between."""
    people = [stage.person() for _ in range(3)]
    id_ = await stage.group(*people)

    sent = await answers(*(stage.begin(people[turn // 2 % 3], id_, f"{turn}") for turn in range(24)))

    assert [message.seq for message in sent] == list(range(1, 25))
    assert await stage.said(people[0], id_) == sent == stage.told(id_)
    assert stage.db.alone == 0


async def test_sending_moves_the_markers_of_the_sender_alone(stage: Process) -> None:
    """Whoever writes has read; for everybody else the message waits. It takes one statement."""
    ana, bob = stage.person(), stage.person()
    id_ = await stage.group(ana, bob)
    await stage.change("update conversations set last_seq = 7")

    message = await stage.send(bob, id_, MessageDraft(body="x"))

    columns = "read_seq, shown_seq, delivered_seq, sent_seq, last_sent_at"
    async with stage.db.read() as tx:
        marks = await tx.connection.fetch(f"select {columns} from members order by read_seq")
    assert [tuple(mark) for mark in marks] == [(0, 0, 0, 0, None), (8, 8, 8, 8, message.created_at)]
    assert (stage.db.together, stage.db.alone) == (1, 0)


async def test_each_of_a_batch_is_refused_for_its_own_reason(stage: Process) -> None:
    """Who has left, a mere reader and somebody in a hurry are told what they are; the others are written with them."""
    ana, bob, eve = (stage.person() for _ in range(3))
    fine, left, news, slow, blocked = [await stage.group(ana, bob, eve) for _ in range(5)]
    await stage.change("update members set state = 'left' where user_id = $1", eve.id)
    await stage.change("update conversations set posting = 'admins' where conversation_id = $1", news)
    await stage.change("update conversations set slow_mode_seconds = 60 where conversation_id = $1", slow)
    await stage.change("update conversations set is_blocked = true where conversation_id = $1", blocked)
    first = await stage.send(bob, slow, MessageDraft(body="first"))
    tries = (eve, left), (bob, news), (bob, slow), (bob, blocked), (bob, new_id()), (bob, fine)

    sent = await answers(*(stage.begin(*one) for one in tries))

    refusals = [ConversationNotFound, OnlyAdminsWriteHere, TooSoon, ConversationNotFound, ConversationNotFound]
    assert [type(answer) for answer in sent] == [*refusals, Message]
    assert 50 < sent[2].retry_after <= 60
    assert [await stage.said(ana, id_) for id_ in (fine, left, news, slow)] == [[sent[-1]], [], [], [first]]
    assert stage.db.together == 2
    assert stage.has_nothing_left()


async def test_nobody_outruns_slow_mode_by_sending_at_once(stage: Process, other: Process) -> None:
    """Twice in this process and twice in another, before the first is written: one is, and it says so once."""
    ana, bob = stage.person(), stage.person()
    id_ = await stage.group(ana, bob)
    await stage.change("update conversations set slow_mode_seconds = 60")

    sent = await answers(*(process.begin(bob, id_) for process in (stage, other, stage, other)))

    assert sorted(type(answer).__name__ for answer in sent) == ["Message", "TooSoon", "TooSoon", "TooSoon"]
    assert await stage.said(ana, id_) == stage.told(id_) + other.told(id_)


async def test_the_same_client_id_at_once_is_one_message(stage: Process, other: Process) -> None:
    """A client that sends again before it was answered, to this process or another, gets the same answer."""
    ana = stage.person()
    ids = [await stage.group(ana) for _ in range(10)]
    ways = [(process, id_) for id_ in ids for process in (stage, other, stage)]

    sent = await answers(*(process.begin(ana, id_, client_msg_id="a-1") for process, id_ in ways))

    for place, id_ in enumerate(ids):
        stored = await stage.said(ana, id_)
        assert (len(stored), sent[3 * place : 3 * place + 3]) == (1, stored * 3)


async def test_a_lost_race_for_a_client_id_costs_others_nothing(stage: Process, other: Process) -> None:
    """Another process writes the message while a statement that cannot see it is under way, which fails as a whole."""
    ana, bob = stage.person(), stage.person()
    beside, contested, elsewhere = await stage.group(bob), await stage.group(ana), await stage.group(ana)
    await stage.change(STALL.replace("{id}", str(beside)))
    async with stage.db.write() as tx:
        await tx.connection.execute("select pg_advisory_xact_lock(1)")
        batch = stage.begin(bob, beside), stage.begin(ana, contested, client_msg_id="a-1")
        await stage.stuck()
        winner, another = await answers(other.begin(ana, contested, client_msg_id="a-1"), stage.begin(ana, elsewhere))

    bystander, loser = await answers(*batch)

    assert (stage.db.together, stage.db.alone, other.db.alone) == (2, 2, 0)
    assert [await stage.said(ana, id_) for id_ in (contested, elsewhere)] == [[winner], [another]]
    assert winner == loser
    assert await stage.said(bob, beside) == [bystander] == stage.told(beside)


@pytest.mark.parametrize("table", ["conversations", "members"])
async def test_a_row_that_somebody_holds_holds_up_its_own_message_alone(stage: Process, table: str) -> None:
    """What an admin, a job or another device just does in one conversation is not felt in any other."""
    ana, bob = stage.person(), stage.person()
    held, free = await stage.group(ana), await stage.group(bob)
    async with stage.db.write() as tx:
        await tx.connection.execute(f"select from {table} where conversation_id = $1 for update", held)
        waiting, passing = stage.begin(ana, held), stage.begin(bob, free)
        [passed] = await answers(passing)
        await stage.stuck()
        assert (stage.db.together, stage.db.alone, waiting.done()) == (1, 1, False)

    assert await stage.said(bob, free) == [passed] == stage.told(free)
    assert await answers(waiting) == await stage.said(ana, held) == stage.told(held)


async def test_attachments_are_stored_as_they_were_sent(stage: Process) -> None:
    """Several, one or none, in one batch: each message has its own, in their order."""
    ana = stage.person()
    picture = Attachment(kind="image", url="/1?{2,NULL}", name='"\\é\U0001f44d', media_type="image/jpeg", size=0)
    files = [
        picture,
        Attachment(kind="file", url="/2", name="", size=(1 << 53) - 1),
        Attachment(kind="audio", url="/3"),
    ]
    several = [files, [], files[:1], files[1:], []]
    ids = [await stage.group(ana) for _ in several]

    sent = await answers(*(stage.begin(ana, id_, attachments=some) for id_, some in zip(ids, several, strict=True)))

    assert [message.attachments for message in sent] == [some or None for some in several]
    assert [await stage.said(ana, id_) for id_ in ids] == [[message] for message in sent]
    assert (stage.db.together, stage.db.alone) == (1, 0)


NAMED_NUL = Attachment(kind="file", url="/1", name="a\u0000b")


@pytest.mark.parametrize("draft", [{"attachments": [NAMED_NUL]}, {"client_msg_id": "\0"}, {"client_msg_id": "\ud800"}])
async def test_what_the_database_cannot_hold_hurts_nobody_else(stage: Process, draft: dict[str, Any]) -> None:
    """Doors let no such text in; should one come all the same, it fails for itself, and the batch is written once."""
    ana, bob = stage.person(), stage.person()
    ids = [await stage.group(ana, bob) for _ in range(4)]

    sent = await answers(stage.begin(ana, ids[0], **draft), *(stage.begin(bob, id_) for id_ in ids))

    assert isinstance(sent[0], Unfit)
    assert [await stage.said(bob, id_) for id_ in ids] == [[message] for message in sent[1:]]
    assert [stage.told(id_) for id_ in ids] == [[message] for message in sent[1:]]


async def test_who_hangs_up_stops_nothing(stage: Process) -> None:
    """A sender that is gone, wherever its message is by then: it is written and told all the same, in its order."""
    ana, bob = stage.person(), stage.person()
    one, two, three = await stage.group(ana, bob), await stage.group(ana, bob), await stage.group(bob)
    async with stage.db.write() as tx:
        await tx.connection.execute(HALT)
        busy = [stage.begin(bob, three, "under way")]
        await stage.stuck()
        busy.append(stage.begin(bob, two, "under way"))
        await until(lambda: stage.outgoing._letters._under_way == 2)
        gone = stage.begin(ana, one, "waits for a statement"), stage.begin(bob, one, "waits for its turn")
        await until(lambda: bool(stage.outgoing._letters._waiting))
        for task in (*gone, busy[0]):
            task.cancel()
        staying = stage.begin(ana, one, "stays")

    assert [type(answer) for answer in await answers(*gone)] == [asyncio.CancelledError] * 2
    [last] = await answers(staying)
    stored = await stage.said(ana, one)
    assert [message.body for message in stored] == ["waits for a statement", "waits for its turn", "stays"]
    assert stored[-1] == last
    await until(stage.has_nothing_left)
    assert stage.told(one) == stored
    assert [message.body for message in stage.told(three)] == ["under way"]


async def test_a_refused_sender_that_hung_up_is_not_heard_in_the_place_of_another(stage: Process) -> None:
    """Whoever may not write and goes away as it waits leaves the next message what it is."""
    ana, eve = stage.person(), stage.person()
    one, two, three = await stage.group(ana, eve), await stage.group(ana), await stage.group(ana)
    await stage.change("update members set state = 'removed' where user_id = $1", eve.id)
    async with stage.db.write() as tx:
        await tx.connection.execute(HALT)
        busy = [stage.begin(ana, two)]
        await stage.stuck()
        busy.append(stage.begin(ana, three))
        await until(lambda: stage.outgoing._letters._under_way == 2)
        refused = stage.begin(eve, one, "not heard")
        await until(lambda: bool(stage.outgoing._letters._waiting))
        refused.cancel()
        heard = stage.begin(ana, one, "heard")

    [message] = await answers(heard)
    await answers(*busy)
    assert message.body == "heard"
    assert await stage.said(ana, one) == [message] == stage.told(one)


async def test_a_crowd_in_a_held_conversation_holds_up_nobody(stage: Process) -> None:
    """More wait there than there are connections; elsewhere people go on, and in the end all are written in order."""
    ana, bob = stage.person(), stage.person()
    held, free = await stage.group(ana), await stage.group(bob)
    async with stage.db.write() as tx:
        await tx.connection.execute("select from conversations where conversation_id = $1 for update", held)
        crowd = [stage.begin(ana, held, f"{turn}", mentions=[NIL] * (turn % 3 == 0)) for turn in range(20)]
        await stage.stuck()
        [passed] = await answers(stage.begin(bob, free))

    assert await stage.said(bob, free) == [passed]
    assert [(message.seq, message.body) for message in await answers(*crowd)] == [(n + 1, f"{n}") for n in range(20)]


async def test_a_connection_that_breaks_takes_its_batch_and_no_more(stage: Process) -> None:
    """All of the batch are told to come back; what waits behind them is written on another connection."""
    ana, bob = stage.person(), stage.person()
    one, two = await stage.group(ana, bob), await stage.group(bob)
    async with stage.db.write() as tx:
        await tx.connection.execute(HALT)
        batch, behind = (stage.begin(ana, one), stage.begin(bob, two)), stage.begin(bob, one)
        await stage.stuck()
        await tx.connection.execute(f"select pg_terminate_backend(pid) {WAITING}")
        assert [type(answer) for answer in await answers(*batch)] == [Unavailable] * 2

    assert await answers(behind) == await stage.said(ana, one) == stage.told(one)
    assert await stage.said(bob, two) == []
    assert stage.has_nothing_left()


async def test_a_database_that_is_away_is_said_to_be_and_found_again(stage: Process, tmp_path: Path) -> None:
    """Everybody hears 503, those who waited their turn too; nothing is left in the way of what is sent afterwards."""
    ana, bob = stage.person(), stage.person()
    ids = [await stage.group(ana, bob) for _ in range(3)]
    for _ in range(4):
        await stage.db.trim()
    there, stage.db.options["host"] = stage.db.options["host"], str(tmp_path)

    refused = await answers(*(stage.begin(person, id_) for person in (ana, bob) for id_ in ids))
    stage.db.options["host"] = there
    sent = await answers(*(stage.begin(ana, id_) for id_ in ids))

    assert [type(answer) for answer in refused] == [Unavailable] * 6
    assert [await stage.said(ana, id_) for id_ in ids] == [[message] for message in sent]
    assert stage.has_nothing_left()


async def test_whose_turn_does_not_come_in_time_is_refused_and_the_next_is_written(stage: Process) -> None:
    """Patience has an end, the one that it has for a connection; the conversation goes on without what was refused."""
    ana, bob = stage.person(), stage.person()
    one, two = await stage.group(ana, bob), await stage.group(ana, bob)
    patient = stage.db.sizes
    async with stage.db.write() as tx:
        await tx.connection.execute(HALT)
        under_way = stage.begin(ana, one), stage.begin(ana, two)
        await stage.stuck()
        stage.db.sizes = replace(patient, wait=timedelta(milliseconds=20))
        late = stage.begin(bob, one), stage.begin(ana, one), stage.begin(bob, two)
        for _ in range(3):  # now they are in line, each with its patience
            await asyncio.sleep(0)
        stage.db.sizes = patient
        behind = stage.begin(bob, one)
        assert [type(answer) for answer in await answers(*late)] == [Unavailable] * 3

    first, second, third = await answers(*under_way, behind)
    assert [await stage.said(ana, id_) for id_ in (one, two)] == [[first, third], [second]]
    assert stage.has_nothing_left()


NAMED, LINKED = {"client_msg_id": "a"}, {"mentions": [NIL]}
DRAFTS: list[dict[str, Any]] = [{}, {}, {}, NAMED, {"client_msg_id": "b"}, LINKED, {**NAMED, **LINKED}]
# By which process, by whom, where, what, and after how many turns of the loop.
SENDS = st.tuples(
    st.integers(0, 1), st.integers(0, 2), st.integers(0, 2), st.sampled_from(DRAFTS), st.sampled_from([0, 0, 1, 2, 20])
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=st.lists(SENDS, min_size=10, max_size=40))
async def test_whatever_is_sent_at_once_is_stored_once_without_gap(
    stage: Process, other: Process, script: list[tuple[int, int, int, dict[str, Any], int]]
) -> None:
    """Over any interleaving of two processes, an answer is what a reader finds, and nothing else is found."""
    people = [stage.person() for _ in range(3)]
    ids = [await stage.group(*people) for _ in range(3)]
    tasks, meant = [], []
    for number, (process, person, place, draft, turns) in enumerate(script):
        for _ in range(turns):
            await asyncio.sleep(0)
        tasks.append((stage, other)[process].begin(people[person], ids[place], f"{number}", **draft))
        meant.append((ids[place], people[person].id, draft.get("client_msg_id") or number))

    sent = await answers(*tasks)

    stored = {id_: await stage.said(people[0], id_) for id_ in ids}
    assert all([message.seq for message in said] == [*range(1, len(said) + 1)] for said in stored.values())
    assert sent == [stored[id_][answer.seq - 1] for (id_, _, _), answer in zip(meant, sent, strict=True)]
    assert sum(map(len, stored.values())) == len(set(meant)) == len({(one.conversation_id, one.seq) for one in sent})
    for id_, said in stored.items():
        assert {message.seq for message in stage.told(id_) + other.told(id_)} == {message.seq for message in said}
    assert stage.has_nothing_left()
    assert other.has_nothing_left()
