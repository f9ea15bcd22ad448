"""What a connected client can ask for besides listening: calls, publications, presence, tokens for subscriptions."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec import Raw

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.kit.refusals import Conflict, NotFound, NotSignedIn, TokenIsExpired, Unavailable
from tenfold.platform.realtime import EVERYONE, Channel, codes, user_channel
from tenfold.platform.realtime.codes import ErrorReply
from tenfold.platform.realtime.endings import CLOCKS_DIFFER
from tenfold.platform.realtime.hub import DURABLE_EPOCH
from tenfold.platform.realtime.lobby import Caller, Permit
from tenfold.platform.realtime.protocol import Reply, SubscribeResult
from tests.platform.realtime_faults import Ledger
from tests.platform.realtime_world import (
    RealtimeWorld,
    RecordingWire,
    Stopwatch,
    connected,
    everybody,
    person,
    say,
    subscribed,
)

ROOM = UUID(int=1)
CHANNEL = f"room:{ROOM}"
LEDGER = f"ledger:{ROOM}"


async def nobody(actor: Actor, room_id: UUID) -> bool:
    return False


async def ask(session: Any, wire: RecordingWire, command: str) -> Reply:
    """What is answered to one command."""
    await say(session, f'{{"id":9,{command}}}')
    (reply,) = [reply for reply in wire.take() if reply.id == 9]
    return reply


# Calls


class RoomIsClosed(Conflict):
    """This room is closed."""


async def test_a_call_reaches_the_application_with_who_calls_and_its_answer_comes_back() -> None:
    """Data passes through as the JSON it is."""
    calls: list[tuple[Any, str, bytes]] = []

    async def call(caller: Caller, method: str, data: Raw) -> Raw:
        calls.append((caller.actor, method, bytes(data)))
        return Raw(b'{"id":7}')

    ana = person()
    session, wire, _ = await connected(RealtimeWorld(lobby={"call": call}), ana)

    reply = await ask(session, wire, '"rpc":{"method":"POST /v1/notes","data":{"body": "hi"}}')

    assert calls == [(ana, "POST /v1/notes", b'{"body": "hi"}')]
    assert reply.rpc is not None
    assert bytes(reply.rpc.data) == b'{"id":7}'


@pytest.mark.parametrize(
    ("failure", "answer"),
    [
        (RoomIsClosed("Room 7 is closed."), ErrorReply(1409, "RoomIsClosed: Room 7 is closed.")),
        (RoomIsClosed(), ErrorReply(1409, "RoomIsClosed: This room is closed.")),
        (Unavailable("Later."), ErrorReply(1503, "Unavailable: Later.", temporary=True)),
        (ZeroDivisionError(), codes.INTERNAL),
    ],
)
async def test_a_refused_call_is_an_error_with_its_code_and_sentence(failure: Exception, answer: ErrorReply) -> None:
    """The connection goes on, whatever a door raises."""

    async def call(caller: Caller, method: str, data: Raw) -> Raw:
        raise failure

    session, wire, _ = await connected(RealtimeWorld(lobby={"call": call}), person())

    assert (await ask(session, wire, '"rpc":{"method":"x"}')).error == answer
    assert wire.closed is None


# Publications of clients


async def test_a_client_publishes_where_it_listens_and_the_module_lets_it() -> None:
    """Ephemeral, with who it was; the module may say it better, or refuse."""

    async def may_publish(actor: Actor, data: Raw, room_id: UUID) -> object:
        said = msgspec.json.decode(data)
        if said == "shut":
            raise RoomIsClosed
        return None if said == "bad" else {"typing": said}

    world = RealtimeWorld(channels=[Channel("room:{room_id}", everybody, may_publish=may_publish)])
    ana = person()
    session, wire, reply = await connected(world, ana)
    listener, other, _ = await connected(world, person())
    publish = f'"publish":{{"channel":"{CHANNEL}","data":'
    assert (await ask(session, wire, publish + "true}")).error == codes.PERMISSION_DENIED
    await subscribed(session, wire, CHANNEL)
    await subscribed(listener, other, CHANNEL)

    assert (await ask(session, wire, publish + "true}")).publish is not None
    assert (await ask(session, wire, publish + '"bad"}')).error == codes.PERMISSION_DENIED
    refused = (await ask(session, wire, publish + '"shut"}')).error
    assert refused is not None
    assert refused.code == 1409
    own = f'"publish":{{"channel":"{user_channel(ana.id)}","data":1}}'
    assert (await ask(session, wire, own)).error == codes.PERMISSION_DENIED

    (heard,) = [reply.push.pub for reply in other.take() if reply.push and reply.push.pub]
    assert (bytes(heard.data), heard.offset) == (b'{"typing":true}', 0)
    assert heard.info is not None
    assert (heard.info.user, heard.info.client) == (str(ana.id), reply.client)


# Presence


async def test_presence_is_shown_to_who_listens_where_it_is_declared() -> None:
    """By connection, and counted; on one's own channel one sees one's devices."""
    plain = Channel("plain:{room_id}", everybody)
    world = RealtimeWorld(channels=[Channel("room:{room_id}", everybody, presence=True), plain])
    ana, bob = person(), person()
    session, wire, reply = await connected(world, ana)
    for _ in range(2):
        other, other_wire, _ = await connected(world, bob)
        await subscribed(other, other_wire, CHANNEL)
    stats, presence = f'"presence_stats":{{"channel":"{CHANNEL}"}}', f'"presence":{{"channel":"{CHANNEL}"}}'
    assert (await ask(session, wire, presence)).error == codes.PERMISSION_DENIED
    await subscribed(session, wire, CHANNEL)
    await subscribed(session, wire, f"plain:{ROOM}")

    counts = (await ask(session, wire, stats)).presence_stats
    there = (await ask(session, wire, presence)).presence
    own = (await ask(session, wire, f'"presence":{{"channel":"{user_channel(ana.id)}"}}')).presence
    hidden = await ask(session, wire, f'"presence":{{"channel":"plain:{ROOM}"}}')

    assert counts is not None
    assert (counts.num_clients, counts.num_users) == (3, 2)
    assert there is not None
    assert sorted(info.user for info in there.presence.values()) == sorted([str(ana.id), str(bob.id), str(bob.id)])
    assert own is not None
    assert list(own.presence) == [reply.client]
    assert hidden.error == codes.NOT_AVAILABLE


# Subscription tokens


class Tokens:
    """Subscription tokens of a test: known, expired, or forged."""

    def __init__(self) -> None:
        self.permits: dict[str, Permit] = {}

    def give(self, user_id: UUID, channel: str = CHANNEL, lives: float | None = None) -> str:
        """A token that is newer than anything that has happened."""
        now = datetime.now(UTC)
        expires_at = None if lives is None else now + timedelta(seconds=lives)
        issued_at = now + 2 * CLOCKS_DIFFER
        self.permits[f"t{len(self.permits)}"] = Permit(user_id, channel, issued_at, expires_at)
        return f"t{len(self.permits) - 1}"

    async def read(self, token: str) -> Permit:
        permit = self.permits.get(token)
        if token == "stale":
            raise TokenIsExpired
        if permit is None:
            raise NotSignedIn
        return permit


async def test_a_subscription_token_stands_for_the_modules_answer() -> None:
    """It is good for one user and one channel; anything else about it is refused, an expired one by its own code."""
    tokens = Tokens()
    world = RealtimeWorld(may_listen=nobody, lobby={"subscription_of": tokens.read})
    ana = person()
    session, wire, _ = await connected(world, ana)

    async def answer(token: str) -> Any:
        return await subscribed(session, wire, CHANNEL, f',"token":"{token}"')

    assert await subscribed(session, wire, CHANNEL) == codes.PERMISSION_DENIED
    assert await answer("forged") == codes.PERMISSION_DENIED
    assert await answer(tokens.give(new_id())) == codes.PERMISSION_DENIED
    assert await answer(tokens.give(ana.id, f"room:{new_id()}")) == codes.PERMISSION_DENIED
    assert await answer("stale") == codes.TOKEN_EXPIRED
    assert await answer(tokens.give(ana.id, lives=-1)) == codes.TOKEN_EXPIRED

    for_good = await answer(tokens.give(ana.id))
    assert isinstance(for_good, SubscribeResult)
    assert (for_good.expires, for_good.ttl) == (False, 0)
    assert session.has_permit(CHANNEL)


async def test_a_subscription_ends_with_its_token_unless_it_is_refreshed() -> None:
    """Then the client is told to come back with a new one (2501); the connection stays."""
    watch, tokens = Stopwatch(), Tokens()
    world = RealtimeWorld(may_listen=nobody, monotonic=watch, lobby={"subscription_of": tokens.read})
    ana = person()
    session, wire, _ = await connected(world, ana)
    result = await subscribed(session, wire, CHANNEL, f',"token":"{tokens.give(ana.id, lives=60)}"')
    assert isinstance(result, SubscribeResult)
    assert result.expires
    assert 58 <= result.ttl <= 60

    def wake() -> list[Reply]:
        session.wake(watch())
        session.receive("{}")
        return [reply for reply in wire.take() if reply.push]

    watch.seconds += 70
    assert wake() == []
    refresh = f'"sub_refresh":{{"channel":"{CHANNEL}","token":'
    reply = (await ask(session, wire, refresh + f'"{tokens.give(ana.id, lives=60)}"}}')).sub_refresh
    assert reply is not None
    assert reply.expires
    assert (await ask(session, wire, refresh + '"forged"}')).error == codes.PERMISSION_DENIED
    assert (await ask(session, wire, refresh + '"stale"}')).error == codes.TOKEN_EXPIRED
    watch.seconds += 80
    assert wake() == []

    watch.seconds += 10
    (over,) = wake()
    assert over.push is not None
    assert (over.push.channel, over.push.unsubscribe) == (CHANNEL, codes.SUBSCRIPTION_OVER)
    assert not world.hub.listens(CHANNEL)
    assert (await ask(session, wire, refresh + '"t0"}')).error == codes.PERMISSION_DENIED
    assert wire.closed is None


# What the server ends


async def test_a_lost_membership_ends_the_subscription_and_nothing_else() -> None:
    """Code 2000: official clients do not come back by themselves."""
    world, ana = RealtimeWorld(may_listen=everybody), person()
    session, wire, _ = await connected(world, ana)
    await subscribed(session, wire, CHANNEL)

    await world.hub.unsubscribe(ana.id, CHANNEL)
    await world.hub.publish([CHANNEL], "secret")

    (reply,) = wire.take()
    assert reply.push is not None
    assert reply.push.unsubscribe == codes.SERVER_UNSUBSCRIBED
    assert wire.closed is None
    assert isinstance(await subscribed(session, wire, CHANNEL), SubscribeResult)


async def test_loss_is_told_by_channel_where_the_client_asked_and_by_connection_where_it_did_not() -> None:
    """2500 has it subscribe again with its position; 3010 has it connect again with all of them."""
    world = RealtimeWorld(may_listen=everybody)
    session, wire, _ = await connected(world, person())
    await subscribed(session, wire, CHANNEL)

    session.lose(CHANNEL)
    (reply,) = wire.take()
    assert reply.push is not None
    assert reply.push.unsubscribe == codes.LOST
    assert wire.closed is None

    session.lose(EVERYONE)
    assert wire.closed == codes.INSUFFICIENT_STATE


# Durable channels and welcomes


async def test_a_durable_channel_is_recovered_from_the_database_through_a_session() -> None:
    """With the welcome in the reply, in one frame, and then live."""
    ledger = Ledger()
    for n in range(30):
        ledger.write(ROOM, f"thing {n}", n)

    async def welcome(actor: Actor, room_id: UUID) -> object:
        return {"read": 3}

    world = RealtimeWorld(channels=[ledger.channel(welcome=welcome)])
    session, wire, _ = await connected(world, person())

    result = await subscribed(session, wire, LEDGER, f',"recover":true,"offset":28,"epoch":"{DURABLE_EPOCH}"')
    assert isinstance(result, SubscribeResult)
    assert (result.recovered, result.offset, bytes(result.data)) == (True, 30, b'{"read":3}')
    assert [publication.offset for publication in result.publications] == [29, 30]

    await world.hub.publish_durable(LEDGER, "new", offset=ledger.write(ROOM, "new", 1))
    (reply,) = wire.take()
    assert reply.push is not None
    assert reply.push.pub is not None
    assert reply.push.pub.offset == 31


async def test_the_history_of_a_durable_channel_is_the_databases() -> None:
    """A page at most, forwards; positions of another epoch are none."""
    ledger = Ledger()
    for n in range(5):
        ledger.write(ROOM, f"thing {n}", n)
    world = RealtimeWorld(channels=[ledger.channel()])
    session, wire, _ = await connected(world, person())
    await subscribed(session, wire, LEDGER)

    async def history(more: str) -> Any:
        reply = await ask(session, wire, f'"history":{{"channel":"{LEDGER}"{more}}}')
        return reply.error or (reply.history and [one.offset for one in reply.history.publications])

    assert await history("") == []
    assert await history(',"limit":2') == [1, 2]
    assert await history(f',"limit":-1,"since":{{"offset":3,"epoch":"{DURABLE_EPOCH}"}}') == [4, 5]
    assert await history(',"limit":-1,"since":{"offset":3,"epoch":"x"}') == codes.UNRECOVERABLE_POSITION
    assert await history(',"limit":1,"reverse":true') == codes.NOT_AVAILABLE


@pytest.mark.parametrize(
    ("failure", "answer"),
    [(NotFound(), codes.PERMISSION_DENIED), (Unavailable(), codes.INTERNAL), (KeyError(), codes.INTERNAL)],
)
async def test_a_source_that_refuses_or_fails_costs_one_subscription(failure: Exception, answer: ErrorReply) -> None:
    """And leaves nothing behind: the next attempt asks anew."""
    ledger, fails = Ledger(), True
    ledger.write(ROOM, "a", 1)

    async def positions(ids: Sequence[UUID]) -> dict[UUID, int]:
        if fails:
            raise failure
        return await ledger.positions(ids)

    kind = Channel("ledger:{room_id}", everybody, replay=ledger.replay, positions=positions)
    world = RealtimeWorld(channels=[kind])
    session, wire, _ = await connected(world, person())

    assert await subscribed(session, wire, LEDGER) == answer
    assert not world.hub.listens(LEDGER)
    fails = False
    assert isinstance(await subscribed(session, wire, LEDGER), SubscribeResult)
    assert await subscribed(session, wire, f"ledger:{UUID(int=2)}") == codes.PERMISSION_DENIED


async def test_a_connect_that_fails_halfway_can_be_tried_again_on_the_same_connection() -> None:
    """The temporary error leaves it as it was before."""
    world, ana = RealtimeWorld(), person()
    join, fails = world.hub.join, True

    async def failing(*given: Any, **named: Any) -> Any:
        if fails:
            raise Unavailable
        return await join(*given, **named)

    world.hub.join = failing
    session, wire = world.session()
    connect = f'"connect":{{"token":"{world.token(ana)}"}}'
    assert (await ask(session, wire, connect)).error == codes.INTERNAL
    assert (session.actor, len(world.hub.guests)) == (None, 0)

    fails = False
    assert (await ask(session, wire, connect)).connect is not None


def test_a_durable_channel_has_both_a_replay_and_positions_and_one_id() -> None:
    """A declaration that could not work is refused where it is made."""
    ledger = Ledger()
    with pytest.raises(ValueError, match="both"):
        Channel("room:{room_id}", everybody, replay=ledger.replay)
    with pytest.raises(ValueError, match="one id"):
        Channel("room:{a}:{b}", everybody, replay=ledger.replay, positions=ledger.positions)


async def test_a_subscription_that_outlives_its_connection_leaves_nothing() -> None:
    """The source answers after the socket has gone."""
    ledger = Ledger()
    ledger.write(ROOM, "a", 1)
    world = RealtimeWorld(channels=[ledger.channel()])
    session, wire, _ = await connected(world, person())
    asking = asyncio.create_task(say(session, f'{{"id":2,"subscribe":{{"channel":"{LEDGER}"}}}}'))
    await asyncio.sleep(0)
    session.lost()
    await asking

    assert wire.frames == []
    assert not world.hub.listens(LEDGER)
