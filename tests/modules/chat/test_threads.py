"""Answers in a thread: its root counts them, and whoever looks at it learns of both by one change."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tenfold.modules.chat.queries import archive, conversations
from tenfold.modules.chat.shapes import MessageDraft
from tenfold.platform.db.embedded import Address
from tests.modules.chat.processes import Process, answers, running


@pytest.fixture
async def stage(database_address: Address) -> AsyncIterator[Process]:
    async with running(database_address) as process:
        yield process


async def test_an_answer_that_is_sent_again_is_told_with_its_root(stage: Process) -> None:
    """The process may have ended before it told anybody: both are one change, which a screen takes as a whole."""
    ana, bob = stage.person(), stage.person()
    id_ = await stage.group(ana, bob)
    root = await stage.send(ana, id_, MessageDraft(body="a question"))
    draft = MessageDraft(body="an answer", thread_root=root.seq, client_msg_id="mine")
    answer = await stage.send(bob, id_, draft)
    first = stage.told(id_)[-2:]
    stage.heard.changes.clear()

    again = await stage.send(bob, id_, draft)

    assert again == answer
    assert stage.told(id_) == first
    assert {(message.seq, message.thread_size) for message in first} == {(root.seq, 1), (answer.seq, 0)}


async def test_an_answer_alone_is_told_again_once_its_root_has_moved_on(stage: Process) -> None:
    """What the root is now came by a later change, and is told under its number only."""
    ana, bob = stage.person(), stage.person()
    id_ = await stage.group(ana, bob)
    root = await stage.send(ana, id_, MessageDraft(body="a question"))
    draft = MessageDraft(body="an answer", thread_root=root.seq, client_msg_id="mine")
    answer = await stage.send(bob, id_, draft)
    await stage.send(ana, id_, MessageDraft(body="thanks", thread_root=root.seq))
    stage.heard.changes.clear()

    await stage.send(bob, id_, draft)

    assert [message.seq for message in stage.told(id_)] == [answer.seq]


async def test_an_answer_counts_though_its_root_goes_to_the_archive_meanwhile(stage: Process) -> None:
    """The sender has seen the root, and waits for the conversation, which whoever moves the root holds."""
    ana, bob = stage.person(), stage.person()
    id_ = await stage.group(ana, bob)
    root = await stage.send(ana, id_, MessageDraft(body="a question"))
    stage.clock.advance(timedelta(days=31))
    async with stage.db.write() as tx:
        await archive.make_month(tx, month=root.created_at.date().replace(day=1))
    async with stage.db.write() as tx:
        await conversations.hold_conversation(tx, conversation_id=id_)
        answering = stage.begin(bob, id_, "an answer", thread_root=root.seq)
        await stage.stuck()
        await archive.move_messages(tx, conversation_id=id_, seqs=[root.seq])
    [answer] = await answers(answering)

    found = {message.seq: message for message in await stage.seen(ana, id_)}
    assert (found[root.seq].thread_size, found[root.seq].thread_last_seq) == (1, answer.seq)
    assert found[root.seq].change_no == answer.change_no
    assert [message.seq for message in stage.told(id_)[-2:]] == [answer.seq, root.seq]
