"""The session of a connection, without a transport: who is let in, what is answered, and when it ends."""

import asyncio
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.kit.refusals import Unavailable
from tenfold.platform.realtime import Channel, codes, user_channel
from tenfold.platform.realtime.codes import Disconnect, ErrorReply
from tenfold.platform.realtime.lobby import Authenticated, Lobby, SessionRules
from tenfold.platform.realtime.protocol import METHODS, decode_commands
from tenfold.platform.realtime.session import Session
from tests.platform.realtime_world import (
    RealtimeWorld,
    RecordingWire,
    Stopwatch,
    connected,
    everybody,
    metric,
    person,
    say,
)

ROOM = UUID(int=1)
FIELDS = ["token", "channel", "data", "subs", "recover", "offset", "epoch", "since", "limit", "reverse", "flag"]


async def test_a_valid_token_connects_and_subscribes_to_ones_own_channel() -> None:
    """Everyone hears of what is theirs without asking."""
    world, actor = RealtimeWorld(), person()

    session, wire, connect = await connected(world, actor)
    await world.hub.publish([user_channel(actor.id), user_channel(new_id())], {"hello": 1})

    own = connect.subs[user_channel(actor.id)]
    assert (own.recoverable, own.positioned, own.offset, own.was_recovering) == (True, True, 0, False)
    assert (connect.client, connect.ping, connect.pong, connect.expires) == (session.id, 25, True, False)
    assert wire.frames == [
        f'{{"push":{{"channel":"user:{actor.id}","pub":{{"data":{{"hello":1}},"offset":1}}}}}}'.encode()
    ]


async def test_a_forged_token_ends_the_connection_for_good() -> None:
    """The client must not come back with it."""
    session, wire = RealtimeWorld().session()

    await say(session, '{"id":1,"connect":{"token":"forged"}}')

    assert wire.closed == codes.INVALID_TOKEN
    assert wire.frames == []


async def test_an_expired_token_is_told_apart_so_that_the_client_gets_a_new_one() -> None:
    """Error 109 makes official clients ask their application for a token and come back."""
    world = RealtimeWorld()
    session, wire = world.session()

    await say(session, f'{{"id":1,"connect":{{"token":"{world.token(person(), lives=timedelta(seconds=-1))}"}}}}')

    assert wire.take()[0].error == codes.TOKEN_EXPIRED
    assert wire.closed is None


@pytest.mark.parametrize("failure", [Unavailable(), RuntimeError("a bug")])
async def test_a_check_that_fails_is_a_temporary_error(failure: Exception) -> None:
    """When sign-in is away, clients wait and try again; they are not signed out."""

    async def authenticate(_: str) -> Authenticated:
        raise failure

    wire = RecordingWire()
    session = Session(Lobby(RealtimeWorld().hub, authenticate), wire)

    await say(session, '{"id":1,"connect":{"token":"t"}}')

    assert wire.take()[0].error == codes.INTERNAL
    assert wire.closed is None


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ('"publish":{"channel":"room:1","data":{}}', codes.PERMISSION_DENIED),
        ('"rpc":{"method":"send_message","data":{}}', codes.METHOD_NOT_FOUND),
        ('"presence":{"channel":"room:1"}', codes.PERMISSION_DENIED),
        ('"presence_stats":{"channel":"room:1"}', codes.PERMISSION_DENIED),
        ('"sub_refresh":{"channel":"room:1","token":"t"}', codes.PERMISSION_DENIED),
    ],
)
async def test_what_is_not_offered_is_refused_and_the_connection_goes_on(command: str, answer: ErrorReply) -> None:
    """An official client turns these into errors for its application."""
    session, wire, _ = await connected(RealtimeWorld(), person())

    await say(session, f'{{"id":7,{command}}}\n{{"id":8,"ping":{{}}}}')

    replies = wire.take()
    assert (replies[0].id, replies[0].error) == (7, answer)
    assert (replies[1].id, replies[1].ping is not None) == (8, True)
    assert wire.closed is None


@pytest.mark.parametrize(
    ("frame", "disconnect"),
    [
        ("hello", codes.BAD_REQUEST),
        ('{"id":2}', codes.BAD_REQUEST),
        ('{"id":2,"connect":{"token":"t"}}', codes.BAD_REQUEST),
        ('{"id":2,"ping":{},"rpc":{}}', codes.BAD_REQUEST),
        ('{"subscribe":{"channel":"room:1"}}', codes.BAD_REQUEST),
        ('{"id":2,"ping":{}}' + " " * 70_000, codes.BAD_REQUEST),
        ('{"send":{"data":{}}}', codes.NO_SUCH_SERVICE),
    ],
)
async def test_what_no_sane_client_says_ends_the_connection(frame: str, disconnect: Disconnect) -> None:
    """Malformed, too large, ambiguous, out of order."""
    session, wire, _ = await connected(RealtimeWorld(), person())
    before = metric("tenfold_realtime_disconnects_total", reason=disconnect.reason)

    await say(session, frame)
    await say(session, '{"id":3,"ping":{}}')

    assert wire.closed == disconnect
    assert wire.frames == []
    assert metric("tenfold_realtime_disconnects_total", reason=disconnect.reason) == before + 1


async def test_nothing_is_answered_before_connect() -> None:
    """Every other command needs to know who asks."""
    session, wire = RealtimeWorld().session()

    await say(session, '{"id":1,"subscribe":{"channel":"room:1"}}')

    assert wire.closed == codes.BAD_REQUEST


async def test_too_many_commands_are_refused_and_a_flood_ends_the_connection() -> None:
    """A pause restores the allowance."""
    watch = Stopwatch()
    rules = SessionRules(commands_per_second=8, command_burst=16)
    session, wire, _ = await connected(RealtimeWorld(rules=rules, monotonic=watch), person())

    async def ping(times: int) -> list[bool]:
        await say(session, "\n".join(['{"id":2,"ping":{}}'] * times))
        return [reply.error is None for reply in wire.take()]

    assert await ping(18) == [True] * 15 + [False] * 3
    watch.seconds += 1
    assert await ping(9) == [True] * 5 + [False] * 4
    await ping(40)
    assert wire.closed == codes.TOO_MANY_REQUESTS


async def test_a_flood_of_pongs_ends_the_connection_too() -> None:
    """The shortest frame is a frame."""
    session, wire, _ = await connected(RealtimeWorld(monotonic=Stopwatch()), person())

    for _ in range(600):
        await say(session, b"{}")

    assert wire.closed == codes.TOO_MANY_REQUESTS


async def test_pings_are_sent_and_must_be_answered() -> None:
    """A connection whose other side is dead is closed after one ping and its patience."""
    watch = Stopwatch()
    session, wire, _ = await connected(RealtimeWorld(monotonic=watch), person())

    def run(seconds: int) -> int:
        pings = 0
        for _ in range(seconds):
            watch.seconds += 1
            session.wake(watch())
            if b"{}" in wire.frames:
                pings += 1
                wire.frames.clear()
                session.receive("{}")
        return pings

    assert run(22) == 0, "the first comes in the last tenth of the interval"
    assert [run(3), run(25), run(25)] == [1, 1, 1]
    while not wire.frames:
        watch.seconds += 1
        session.wake(watch())
    due = session.wake(watch())
    assert due == watch() + 8
    watch.seconds += 8
    assert session.wake(watch()) is None
    assert wire.closed == codes.NO_PONG


async def test_who_came_at_any_time_is_pinged_with_many_others() -> None:
    """At few moments of an interval, since each wakes a process: never later than the interval, nor much earlier."""
    watch = Stopwatch()
    world = RealtimeWorld(rules=SessionRules(ping_interval=240, pong_timeout=1000), monotonic=watch)
    here = []
    for _ in range(240):
        here.append((await connected(world, person()))[:2])
        watch.seconds += 1

    moments, pings, last = set[float](), 0, dict[int, float]()
    for _ in range(4 * 240):
        watch.seconds += 1
        for number, (session, wire) in enumerate(here):
            session.wake(watch())
            if b"{}" in wire.frames:
                wire.frames.clear()
                session.receive("{}")
                if number in last:
                    assert 0.97 * 240 <= watch() - last[number] <= 241
                last[number] = watch()
                moments.add(watch())
                pings += 1

    assert pings >= 3 * 240
    assert len(moments) <= 5 * 48


async def test_a_connection_that_does_not_sign_in_is_closed() -> None:
    """Ten seconds, then its place is free."""
    watch = Stopwatch()
    session, wire = RealtimeWorld(monotonic=watch).session()

    watch.seconds += 9
    assert session.wake(watch()) is not None
    watch.seconds += 1
    assert session.wake(watch()) is None

    assert wire.closed == codes.STALE


async def test_a_refreshed_token_keeps_the_connection_open_past_the_end_of_the_first() -> None:
    """The reply says when the next refresh is due; without one the connection ends after a grace."""
    watch, actor = Stopwatch(), person()
    world = RealtimeWorld(monotonic=watch)
    session, wire, connect = await connected(world, actor, lives=timedelta(seconds=60))
    assert connect.expires
    assert 58 <= connect.ttl <= 60

    watch.seconds += 70
    session.wake(watch())
    session.receive("{}")
    renewed = world.token(actor, lives=timedelta(seconds=60))
    await say(session, f'{{"id":5,"refresh":{{"token":"{renewed}"}}}}')
    refresh = wire.take()[-1].refresh
    assert refresh is not None
    assert refresh.expires
    assert wire.closed is None

    watch.seconds += 84
    session.wake(watch())
    session.receive("{}")
    assert wire.closed is None
    watch.seconds += 2
    session.wake(watch())
    assert wire.closed == codes.CONNECTION_EXPIRED


async def test_a_refresh_cannot_change_who_is_connected() -> None:
    """Somebody else's token, a forged one and an expired one each end the connection, the last with a way back."""
    world, actor = RealtimeWorld(), person()
    tokens = {
        world.token(person()): codes.INVALID_TOKEN,
        "forged": codes.INVALID_TOKEN,
        world.token(actor, lives=timedelta(seconds=-1)): codes.CONNECTION_EXPIRED,
    }

    for token, disconnect in tokens.items():
        session, wire, _ = await connected(world, actor)
        await say(session, f'{{"id":5,"refresh":{{"token":"{token}"}}}}')
        assert wire.closed == disconnect


async def test_a_disconnect_closes_all_connections_of_a_session_or_a_user_and_no_other() -> None:
    """By session: this device. By user: all devices."""
    world, ana, bob = RealtimeWorld(), person(), person()
    phone = Actor(id=ana.id, session_id=new_id())
    wires = {
        name: (await connected(world, who))[1]
        for name, who in {"a1": ana, "a2": ana, "phone": phone, "bob": bob}.items()
    }

    await world.hub.disconnect(session_ids=[ana.session_id])
    assert [name for name, wire in wires.items() if wire.closed == codes.FORCE_DISCONNECT] == ["a1", "a2"]

    await world.hub.disconnect(user_ids=[ana.id])
    assert [name for name, wire in wires.items() if wire.closed] == ["a1", "a2", "phone"]


async def test_a_session_revoked_while_its_token_is_checked_is_not_let_in() -> None:
    """The check may have read the state from before the revocation."""
    world, actor = RealtimeWorld(), person()
    may_answer = asyncio.Event()

    async def authenticate(_: str) -> Authenticated:
        await may_answer.wait()
        return Authenticated(actor)

    wires = [RecordingWire() for _ in range(2)]
    sessions = [Session(Lobby(world.hub, authenticate), wire) for wire in wires]
    connects = [asyncio.create_task(say(session, '{"id":1,"connect":{"token":"t"}}')) for session in sessions]
    await asyncio.sleep(0)
    sessions[1].lost()
    await world.hub.disconnect(session_ids=[actor.session_id])
    may_answer.set()
    await asyncio.gather(*connects)

    assert wires[0].closed == codes.FORCE_DISCONNECT
    assert (wires[1].frames, wires[1].closed) == ([], None)
    assert world.hub.listening([user_channel(actor.id)]) == []


async def test_a_connection_lost_while_it_subscribes_leaves_nothing_behind() -> None:
    """The module's answer comes after the socket has gone."""
    may_answer = asyncio.Event()

    async def may_listen(actor: Actor, room_id: UUID) -> bool:
        await may_answer.wait()
        return True

    world = RealtimeWorld(may_listen=may_listen)
    session, wire, _ = await connected(world, person())
    asking = asyncio.create_task(say(session, f'{{"id":2,"subscribe":{{"channel":"room:{ROOM}"}}}}'))
    await asyncio.sleep(0)
    session.lost()
    may_answer.set()
    await asking

    assert wire.frames == []
    assert world.hub.listening([f"room:{ROOM}"]) == []


def test_the_channels_of_users_cannot_be_declared() -> None:
    """They are the server's."""
    world = RealtimeWorld()

    with pytest.raises(ValueError, match="user:"):
        Lobby(world.hub, world.authenticate, channels=[Channel("user:{user_id}", everybody)])


async def test_open_sockets_are_counted() -> None:
    """From the first byte to the last, whoever ends it."""
    before = metric("tenfold_realtime_sockets")
    world = RealtimeWorld()
    session, _, _ = await connected(world, person())
    other, _ = world.session()
    during = metric("tenfold_realtime_sockets")

    session.end(codes.SHUTDOWN)
    session.lost()
    other.lost()

    assert (during - before, metric("tenfold_realtime_sockets") - before) == (2, 0)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), inner),
    max_leaves=8,
)
_commands = st.dictionaries(st.sampled_from(["id", *METHODS]), _values, max_size=2)
_polite = st.builds(
    lambda id_, method, request: {"id": id_, method: request},
    st.integers(1, 2**32 - 1),
    st.sampled_from(METHODS),
    st.fixed_dictionaries({}, optional={"channel": st.sampled_from([f"room:{ROOM}", "x", ""]), "limit": st.integers()}),
)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=50) | st.one_of(_commands, _polite).map(msgspec.json.encode), max_size=8))
def test_whatever_is_said_is_answered_or_ends_the_connection(frames: list[bytes]) -> None:
    """No client can make the server raise, and none waits in vain."""

    async def talk() -> None:
        session, wire, _ = await connected(RealtimeWorld(may_listen=everybody), person())
        for frame in frames:
            await say(session, frame)
            replies = wire.take()
            asked = [] if wire.closed else [command for command in decode_commands(frame) if command.id]
            assert wire.closed or [reply.id for reply in replies] == [command.id for command in asked]
        session.lost()

    asyncio.run(talk())
