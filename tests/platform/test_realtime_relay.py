"""Realtime over the bus: what is published in one process reaches the sockets of the others, once."""

from typing import Any
from uuid import UUID

import msgspec

from tenfold.platform.bus import Bus, Listener
from tenfold.platform.realtime import codes, user_channel
from tenfold.platform.realtime.relay import RelayedRealtime
from tests.platform.realtime_world import RealtimeWorld, person, say


class Wires:
    """The network between the processes of a test."""

    def __init__(self) -> None:
        self.listeners: list[tuple[str, Listener]] = []
        self.sent: list[bytes] = []


class WiredBus(Bus):
    """A bus between parts of one test process; what it carries goes through JSON, as everywhere."""

    def __init__(self, wires: Wires) -> None:
        self._wires = wires

    def listen(self, topic: str, listener: Listener) -> None:
        self._wires.listeners.append((topic, listener))

    def on_gap(self, callback: Any) -> None:
        raise NotImplementedError

    async def send_in(self, connection: Any, signals: list[tuple[str, Any]]) -> None:
        raise NotImplementedError

    async def send(self, topic: str, payload: object) -> None:
        text = msgspec.json.encode(payload)
        self._wires.sent.append(text)
        for wanted, listener in self._wires.listeners:
            heard = listener(msgspec.json.decode(text)) if wanted == topic else None
            if heard is not None:
                await heard

    async def open(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


class Process:
    """A hub of its own, wired to the others."""

    def __init__(self, wires: Wires) -> None:
        self.world = RealtimeWorld()
        self.live = RelayedRealtime(self.world.hub, WiredBus(wires))

    async def connect(self, actor):
        session, wire = self.world.session()
        await say(session, f'{{"id":1,"connect":{{"token":"{self.world.token(actor)}"}}}}')
        wire.take()
        return wire


class Post(msgspec.Struct):
    id: UUID
    likes: int


async def test_a_publication_reaches_every_process_once() -> None:
    """A worker without sockets publishes; so does the process that holds one."""
    wires, ana = Wires(), person()
    worker, web, web2 = Process(wires), Process(wires), Process(wires)
    sockets = [await web.connect(ana), await web2.connect(ana)]

    await worker.live.publish([user_channel(ana.id)], Post(ana.id, 3))
    await web.live.publish([user_channel(ana.id)], {1: "x"})

    for socket in sockets:
        publications = [reply.push.pub for reply in socket.take() if reply.push and reply.push.pub]
        assert [publication.offset for publication in publications] == [1, 2]
        assert msgspec.json.decode(publications[0].data, type=Post) == Post(ana.id, 3)
        assert msgspec.json.decode(publications[1].data) == {"1": "x"}


async def test_a_disconnect_reaches_every_process() -> None:
    """A revoked session has sockets wherever the load balancer put them."""
    wires, ana, bob = Wires(), person(), person()
    worker, web = Process(wires), Process(wires)
    ana_socket, bob_socket = await web.connect(ana), await web.connect(bob)

    await worker.live.disconnect(session_ids=[ana.session_id])
    assert (ana_socket.closed, bob_socket.closed) == (codes.FORCE_DISCONNECT, None)
    await worker.live.disconnect(user_ids=[bob.id])
    assert bob_socket.closed == codes.FORCE_DISCONNECT


async def test_a_fan_out_is_cut_into_signals_that_a_bus_can_carry() -> None:
    """A post to a thousand followers; and nothing at all for none."""
    wires, channels = Wires(), [user_channel(person().id) for _ in range(1000)]
    worker, web = Process(wires), Process(wires)
    last = person()
    socket = await web.connect(last)

    await worker.live.publish([*channels, user_channel(last.id)], {"kind": "post"})
    await worker.live.publish([], {"kind": "post"})

    assert len(wires.sent) == 16
    assert max(map(len, wires.sent)) < 4000
    assert len(socket.take()) == 1


def test_every_channel_may_have_a_listener_elsewhere() -> None:
    """So a fan-out that asks first must not skip anybody."""
    assert Process(Wires()).live.listening(["user:1", "user:2"]) == ["user:1", "user:2"]
