"""What a session may listen to, and what it is told of a channel: subscriptions, recovery, history."""

from uuid import UUID

import pytest

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.kit.refusals import NotFound, Unavailable
from tenfold.platform.realtime import codes, user_channel
from tenfold.platform.realtime.codes import ErrorReply
from tenfold.platform.realtime.lobby import SessionRules
from tenfold.platform.realtime.protocol import HistoryResult, SubscribeResult
from tests.platform.realtime_world import RealtimeWorld, connected, everybody, person, say, subscribed

ROOM = UUID(int=1)


async def test_missed_publications_are_in_the_reply_of_the_next_connect() -> None:
    """Recovery by offset and epoch, complete, in order, and nothing twice."""
    world, actor = RealtimeWorld(), person()
    channel = user_channel(actor.id)
    first, _, connect = await connected(world, actor)
    await world.hub.publish([channel], {"n": 1})
    first.lost()
    await world.hub.publish([channel], {"n": 2})
    await world.hub.publish([channel], {"n": 3})

    session, wire = world.session()
    position = f'"recover":true,"offset":1,"epoch":"{connect.subs[channel].epoch}"'
    await say(session, f'{{"id":1,"connect":{{"token":"{world.token(actor)}","subs":{{"{channel}":{{{position}}}}}}}}}')

    reply = wire.take()[0].connect
    assert reply is not None
    own = reply.subs[channel]
    assert (own.recovered, own.was_recovering, own.offset) == (True, True, 3)
    assert [publication.offset for publication in own.publications] == [2, 3]


@pytest.mark.parametrize(
    "position",
    [
        '"offset":0,"epoch":"another"',
        '"offset":0,"epoch":""',
        '"offset":9,"epoch":"EPOCH"',
        '"offset":0,"epoch":"EPOCH"',
    ],
)
async def test_what_cannot_be_recovered_is_said_so(position: str) -> None:
    """A foreign epoch, a position ahead of the stream, and one that history no longer reaches."""
    world = RealtimeWorld(may_listen=everybody, history_size=2)
    channel = f"room:{ROOM}"
    one, one_wire, _ = await connected(world, person())
    began = await subscribed(one, one_wire, channel)
    assert isinstance(began, SubscribeResult)
    for n in range(3):
        await world.hub.publish([channel], n)
    other, wire, _ = await connected(world, person())

    result = await subscribed(other, wire, channel, ',"recover":true,' + position.replace("EPOCH", began.epoch))

    assert isinstance(result, SubscribeResult)
    assert (result.recovered, result.was_recovering, result.publications) == (False, True, [])
    assert (result.offset, result.epoch) == (3, began.epoch)


async def test_a_client_may_ask_for_an_error_instead_of_an_incomplete_recovery() -> None:
    """Flag 2 (`get_state` of the official clients): error 112, and no subscription."""
    world = RealtimeWorld(may_listen=everybody)
    session, wire, _ = await connected(world, person())

    answer = await subscribed(session, wire, f"room:{ROOM}", ',"recover":true,"offset":3,"epoch":"x","flag":3')

    assert answer == codes.UNRECOVERABLE_POSITION
    assert not world.hub.listens(f"room:{ROOM}")


async def test_only_allowed_channels_can_be_subscribed_to() -> None:
    """Not allowed and not there are refused alike; kinds nobody declared are unknown."""
    actor = person()

    async def only_ana(actor: Actor, room_id: UUID) -> bool:
        return actor.id == ana.id and room_id == ROOM

    ana = actor
    world = RealtimeWorld(may_listen=only_ana)
    session, wire, _ = await connected(world, ana)
    eve, eve_wire, _ = await connected(world, person())

    assert isinstance(await subscribed(session, wire, f"room:{ROOM}"), SubscribeResult)
    assert await subscribed(session, wire, f"room:{new_id()}") == codes.PERMISSION_DENIED
    assert await subscribed(eve, eve_wire, f"room:{ROOM}") == codes.PERMISSION_DENIED
    assert await subscribed(eve, eve_wire, user_channel(ana.id)) == codes.PERMISSION_DENIED
    assert await subscribed(eve, eve_wire, f"ROOM:{ROOM}") == codes.UNKNOWN_CHANNEL
    assert await subscribed(eve, eve_wire, f"room:{ROOM}".upper()) == codes.UNKNOWN_CHANNEL
    assert await subscribed(eve, eve_wire, "") == codes.BAD_COMMAND
    assert await subscribed(eve, eve_wire, "r" * 300) == codes.BAD_COMMAND


@pytest.mark.parametrize(
    ("failure", "answer"),
    [(NotFound(), codes.PERMISSION_DENIED), (Unavailable(), codes.INTERNAL), (ValueError(), codes.INTERNAL)],
)
async def test_a_refusal_of_may_listen_is_an_answer(failure: Exception, answer: ErrorReply) -> None:
    """A bug or an outage in a module costs one subscription attempt, never the connection."""

    async def may_listen(actor: Actor, room_id: UUID) -> bool:
        raise failure

    session, wire, _ = await connected(RealtimeWorld(may_listen=may_listen), person())

    assert await subscribed(session, wire, f"room:{ROOM}") == answer
    assert wire.closed is None


async def test_subscriptions_are_bounded_and_single() -> None:
    """The same channel twice, and one channel too many."""
    world = RealtimeWorld(may_listen=everybody, rules=SessionRules(channels=2))
    session, wire, _ = await connected(world, person())

    answers = [await subscribed(session, wire, f"room:{UUID(int=n)}") for n in (1, 1, 2, 3)]

    assert answers[1] == codes.ALREADY_SUBSCRIBED
    assert answers[3] == codes.LIMIT_EXCEEDED


async def test_after_an_unsubscribe_nothing_comes_any_more() -> None:
    """And a client may always unsubscribe again, but not from its own channel."""
    world, actor, channel = RealtimeWorld(may_listen=everybody), person(), f"room:{ROOM}"
    session, wire, _ = await connected(world, actor)
    await subscribed(session, wire, channel)

    await say(session, f'{{"id":3,"unsubscribe":{{"channel":"{channel}"}}}}')
    await say(session, f'{{"id":4,"unsubscribe":{{"channel":"{channel}"}}}}')
    await say(session, f'{{"id":5,"unsubscribe":{{"channel":"{user_channel(actor.id)}"}}}}')
    await world.hub.publish([channel], "late")

    replies = wire.take()
    assert [reply.unsubscribe is not None for reply in replies] == [True, True, False]
    assert replies[2].error == codes.PERMISSION_DENIED


async def test_history_is_read_both_ways_from_a_position() -> None:
    """What the official clients ask for with `limit`, `since` and `reverse`."""
    world, channel = RealtimeWorld(may_listen=everybody, history_size=4), f"room:{ROOM}"
    session, wire, _ = await connected(world, person())
    began = await subscribed(session, wire, channel)
    assert isinstance(began, SubscribeResult)
    for n in range(1, 7):
        await world.hub.publish([channel], n)
    wire.take()

    async def history(more: str) -> HistoryResult | ErrorReply | None:
        await say(session, f'{{"id":9,"history":{{"channel":"{channel}"{more}}}}}')
        reply = wire.take()[0]
        return reply.history or reply.error

    async def offsets(more: str) -> list[int]:
        result = await history(more)
        assert isinstance(result, HistoryResult)
        assert (result.offset, result.epoch) == (6, began.epoch)
        return [publication.offset for publication in result.publications]

    since = f',"since":{{"offset":4,"epoch":"{began.epoch}"}}'
    assert await offsets("") == []
    assert await offsets(',"limit":-1') == [3, 4, 5, 6]
    assert await offsets(',"limit":2') == [3, 4]
    assert await offsets(',"limit":2,"reverse":true') == [6, 5]
    assert await offsets(',"limit":-1' + since) == [5, 6]
    assert await offsets(',"limit":-1,"reverse":true' + since) == [3]
    assert await history(',"limit":-1,"since":{"offset":4,"epoch":"x"}') == codes.UNRECOVERABLE_POSITION
    assert await history(f',"limit":1,"since":{{"offset":1,"epoch":"{began.epoch}"}}') == codes.UNRECOVERABLE_POSITION
    channel = f"room:{new_id()}"
    assert await history("") == codes.PERMISSION_DENIED
