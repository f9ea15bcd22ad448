"""Realtime over the bus: what is published in one process reaches the sockets of the others, once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import msgspec
import pytest

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.kit.refusals import Unavailable
from tenfold.platform.bus.memory import MemoryBus
from tenfold.platform.realtime import codes, user_channel
from tenfold.platform.realtime.codes import Disconnect
from tenfold.platform.realtime.company import LASTS, Company
from tenfold.platform.realtime.presence import Present
from tenfold.platform.realtime.protocol import Publication, SubscribeResult
from tenfold.platform.realtime.relay import RelayedBroker
from tenfold.platform.realtime.relay_presence import RelayedPresence
from tests.platform.realtime_world import RealtimeWorld, RecordingWire, Stopwatch, person, say
from tests.waiting import until


class Line(MemoryBus):
    """The bus between the processes of a test, which can be torn, also only for what has a certain field.

    When it is slow, what is sent leaves some turns of the event loop later. When it is deaf, it takes and drops it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_torn = False
        self.is_slow = False
        self.torn_for = ""
        self.deaf_to = ""
        self.sent: list[dict[str, Any]] = []

    @property
    def sizes(self) -> list[int]:
        return [len(msgspec.json.encode(payload)) for payload in self.sent]

    async def send(self, topic: str, payload: object) -> None:
        assert isinstance(payload, dict)
        if self.is_torn or self.torn_for in payload:
            raise Unavailable
        self.sent.append(payload)
        if self.is_slow:
            await self.settle()
        if self.deaf_to not in payload:
            await super().send(topic, payload)

    async def settle(self) -> None:
        """Wait until all that was sent has been heard."""
        for _ in range(20):
            await asyncio.sleep(0)

    @property
    def ends(self) -> int:
        """How many have asked to hear of gaps."""
        return len(self._gaps)

    async def tell_of_gap(self, ends: int | None = None) -> None:
        """As when the connection of all, or of the first so many who asked to hear of it, was lost and is back."""
        everybody, self._gaps = self._gaps, self._gaps[:ends]
        await self._tell_of_gap()
        self._gaps = everybody


class Process:
    """A hub of its own, on the line with the others."""

    def __init__(self, line: Line, company: Company | None = None) -> None:
        self.presence = RelayedPresence(line, company)
        self.world = RealtimeWorld(broker=RelayedBroker(line, company), presence=self.presence)
        self.live = self.world.hub

    async def says_that_it_is_there(self) -> None:
        """As its hub does, every few seconds."""
        await self.presence.renew(self.live.node)

    async def connect(self, actor: Actor, sub: str = "{}") -> tuple[RecordingWire, SubscribeResult]:
        """Somebody's socket in this process, and how its own channel began."""
        session, wire = self.world.session()
        subs = f'"subs":{{"{user_channel(actor.id)}":{sub}}}'
        await say(session, f'{{"id":1,"connect":{{"token":"{self.world.token(actor)}",{subs}}}}}')
        reply = wire.take()[0].connect
        assert reply is not None
        return wire, reply.subs[user_channel(actor.id)]


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    line = Line()
    await line.open()
    yield line
    await line.close()


class Post(msgspec.Struct):
    id: UUID
    likes: int


def publications(wire: RecordingWire) -> list[Publication]:
    return [reply.push.pub for reply in wire.take() if reply.push and reply.push.pub]


def ends(*wires: RecordingWire) -> list[Disconnect | None]:
    return [wire.closed for wire in wires]


async def test_a_publication_reaches_every_process_once(line: Line) -> None:
    """A worker without sockets publishes; so does the process that holds one."""
    ana = person()
    worker, web, web2 = Process(line), Process(line), Process(line)
    sockets = [(await process.connect(ana))[0] for process in (web, web2)]

    await worker.live.publish([user_channel(ana.id)], Post(ana.id, 3))
    await line.settle()
    await web.live.publish([user_channel(ana.id)], {1: msgspec.Raw(b'"x"')})
    await line.settle()

    for socket in sockets:
        heard = publications(socket)
        assert [publication.offset for publication in heard] == [1, 2]
        assert msgspec.json.decode(heard[0].data, type=Post) == Post(ana.id, 3)
        assert msgspec.json.decode(heard[1].data) == {"1": "x"}


async def test_a_disconnect_reaches_every_process(line: Line) -> None:
    """A revoked session has sockets wherever the load balancer put them."""
    ana, bob = person(), person()
    worker, web = Process(line), Process(line)
    wires = [(await web.connect(who))[0] for who in (ana, bob)]

    await worker.live.disconnect(session_ids=[ana.session_id])
    await line.settle()
    assert ends(*wires) == [codes.FORCE_DISCONNECT, None]
    await worker.live.disconnect(user_ids=[bob.id])
    await line.settle()
    assert ends(*wires) == [codes.FORCE_DISCONNECT, codes.FORCE_DISCONNECT]


async def test_a_fan_out_is_cut_into_signals_that_a_bus_can_carry(line: Line) -> None:
    """A post to a thousand followers; and nothing at all for none."""
    channels = [user_channel(person().id) for _ in range(1000)]
    worker, web, last = Process(line), Process(line), person()
    socket, _ = await web.connect(last)

    await worker.live.publish([*channels, user_channel(last.id)], {"kind": "post", "body": "x" * 1000})
    await worker.live.publish([], {"kind": "post"})
    await line.settle()

    assert len(line.sizes) == 8
    assert max(line.sizes) < 7900
    assert len(publications(socket)) == 1


async def test_who_comes_back_to_another_process_is_told_to_reload(line: Line) -> None:
    """Positions belong to the process that gave them; in the same process they are good."""
    ana = person()
    web, web2 = Process(line), Process(line)
    _, began = await web.connect(ana)
    await web2.connect(ana)
    position: dict[str, Any] = {"recover": True, "offset": began.offset, "epoch": began.epoch}
    sub = msgspec.json.encode(position).decode()

    _, same = await web.connect(ana, sub)
    _, other = await web2.connect(ana, sub)

    assert (same.recovered, other.recovered, other.was_recovering) == (True, False, True)


@pytest.mark.parametrize("torn", ["sender", "listener"])
async def test_after_a_loss_on_the_bus_nobody_believes_to_be_complete(line: Line, torn: str) -> None:
    """Publishing goes on locally meanwhile; then listeners come back, are told `recovered: false`, and reload."""
    ana = person()
    worker, web = Process(line), Process(line)
    wire, began = await web.connect(ana)
    here, _ = await worker.connect(ana)

    if torn == "sender":
        line.is_torn = True
        await worker.live.publish([user_channel(ana.id)], "lost")
        line.is_torn = False
        assert len(publications(here)) == 1
        await worker.live.publish([user_channel(ana.id)], "told")
        await line.settle()
        assert here.closed is None
    else:
        await line.tell_of_gap()
        await line.settle()

    assert wire.closed == codes.INSUFFICIENT_STATE
    position: dict[str, Any] = {"recover": True, "offset": began.offset, "epoch": began.epoch}
    wire, back = await web.connect(ana, msgspec.json.encode(position).decode())
    assert (back.recovered, back.was_recovering) == (False, True)
    await worker.live.publish([user_channel(ana.id)], "live")
    await line.settle()
    assert [bytes(publication.data) for publication in publications(wire)] == [b'"live"']


@pytest.mark.parametrize("said", ["a publication", "a lost right"])
async def test_what_could_not_be_told_is_made_good_although_nothing_else_is_said(line: Line, said: str) -> None:
    """A listener elsewhere would else believe to be complete, or be there without a right, until something comes."""
    ana = person()
    worker, web = Process(line), Process(line)
    wire, _ = await web.connect(ana)

    line.is_torn = True
    if said == "a publication":
        await worker.live.publish([user_channel(ana.id)], "lost")
    else:
        await worker.live.disconnect(user_ids=[ana.id])
    await line.settle()
    assert wire.closed is None
    line.is_torn = False

    await until(lambda: wire.closed is not None)
    assert wire.closed == (codes.INSUFFICIENT_STATE if said == "a publication" else codes.FORCE_DISCONNECT)
    await worker.live.close()


async def test_every_channel_may_have_a_listener_elsewhere(line: Line) -> None:
    """So a fan-out that asks first must not skip anybody."""
    assert Process(line).live.listening(["user:1", "user:2"]) == ["user:1", "user:2"]


async def test_one_that_is_alone_tells_the_bus_nothing(line: Line) -> None:
    """That is a transaction for each publication. At the start it does not know yet; what is rare it always says."""
    watch, ana = Stopwatch(), person()
    serve = Process(line, Company(is_certain=False, monotonic=watch))
    socket, _ = await serve.connect(ana)
    await serve.live.publish([user_channel(ana.id)], "in doubt")
    assert len(line.sizes) == 1

    watch.seconds += LASTS
    await serve.live.publish([user_channel(ana.id)], "alone")
    await serve.live.publish_durable("conversation:1", "alone", offset=1)
    await serve.says_that_it_is_there()
    assert len(line.sizes) == 1
    assert serve.live.listening([user_channel(ana.id), "user:2"]) == [user_channel(ana.id)]

    await serve.live.unsubscribe(ana.id, "conversation:1")
    assert len(line.sizes) == 2
    assert [bytes(publication.data) for publication in publications(socket)] == [b'"in doubt"', b'"alone"']


async def test_who_comes_is_told_everything_from_then_on(line: Line) -> None:
    """And whoever listened there before it was heard reloads at once, since something may be missing: nobody later."""
    watch, ana, bob = Stopwatch(), person(), person()
    serve = Process(line, Company(is_certain=False, monotonic=watch))
    watch.seconds += LASTS
    gateway = Process(line)
    early, _ = await gateway.connect(ana)
    await serve.live.publish([user_channel(ana.id)], "unheard")

    await gateway.says_that_it_is_there()
    await line.settle()
    late, _ = await gateway.connect(bob)
    await serve.live.publish([user_channel(bob.id)], "heard")
    await line.settle()

    assert ends(early, late) == [codes.INSUFFICIENT_STATE, None]
    assert [bytes(publication.data) for publication in publications(late)] == [b'"heard"']


async def test_what_one_that_was_alone_noted_is_known_to_who_comes(line: Line) -> None:
    """Also where an older state is still known: of one that was late, and had been given up."""
    watch, names = Stopwatch(), ["a", "b"]
    company = Company(is_certain=False, monotonic=watch)
    serve, gateway = RelayedPresence(line, company, now=watch), RelayedPresence(line, now=watch)
    entries = [("room:1", Present(new_id(), name, new_id(), "serve", 1.0)) for name in names]
    await gateway.renew("gateway")
    await serve.renew("serve")
    await serve.enter(entries[:1])
    await line.settle()

    watch.seconds += LASTS
    await serve.leave(entries[:1])
    await serve.enter(entries[1:])
    await gateway.renew("gateway")
    await line.settle()
    await serve.renew("serve")
    await line.settle()

    (present,) = await gateway.present(["room:1"])
    assert [entry.client for entry in present] == ["b"]


async def test_what_is_opened_again_has_numbers_of_its_own(line: Line) -> None:
    """Processes that fork are built once: with one epoch, they would give the same number to different messages."""
    broker, ana = RelayedBroker(line), user_channel(person().id)
    epochs: list[str] = []

    for _ in range(2):
        await broker.open()
        (position,) = await broker.positions([ana])
        epochs.append(position.epoch)

    assert epochs[0] != epochs[1]
