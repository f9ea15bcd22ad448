"""Durable channels: numbered and kept by the database, complete for any gap, whatever happens on the way."""

import asyncio
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from tenfold.kit.actors import Actor
from tenfold.platform.realtime import mending
from tenfold.platform.realtime.hub import DURABLE_EPOCH, Hub
from tenfold.platform.realtime.kinds import Kinds
from tenfold.platform.realtime.memory import MemoryBroker, MemoryPresence
from tenfold.platform.realtime.protocol import StreamPosition
from tests.platform.realtime_faults import Ledger, ShakyBroker
from tests.platform.realtime_readers import Reader, Steps, play
from tests.platform.realtime_world import Ear, person
from tests.waiting import until

ROOM = UUID(int=1)
LEDGER = f"ledger:{ROOM}"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mending, "PATIENCE", 0.0)


Things = st.sampled_from(["a", "b", "c", "d"])


@settings(deadline=None, max_examples=200)
@given(Steps, st.lists(Things, min_size=1, max_size=7))
def test_durable_channels_give_the_state_of_a_fresh_load(
    steps: list[tuple[int, tuple[str, Any]]], things: list[str]
) -> None:
    """With every publication lost, doubled or late: state from what was heard = state as the database has it."""

    async def run() -> None:
        broker, ledger = ShakyBroker(), Ledger()
        hubs = [Hub(broker, MemoryPresence(), kinds=Kinds([ledger.channel()])) for _ in range(2)]
        readers = [Reader(hub, LEDGER) for hub in hubs]
        ledger.write(ROOM, "a", 0)
        for reader in readers:
            reader.epoch = DURABLE_EPOCH
            await reader.come()
        count = 0

        async def publish() -> None:
            nonlocal count
            count += 1
            thing = things[count % len(things)]
            offset = ledger.write(ROOM, thing, count)
            await hubs[count % 2].publish_durable(LEDGER, ledger.entry(ROOM, offset), offset=offset)

        await play(broker, readers, steps, publish)
        for reader in readers:
            assert reader.reloads == 0
            assert reader.offset == count + 1
            assert state_of(reader) == ledger.state(ROOM)
        for hub in hubs:
            await hub.mender.close()

    asyncio.run(run())


def state_of(reader: Reader) -> dict[str, int]:
    state: dict[str, int] = {}
    for _, data in reader.seen:
        change = msgspec.json.decode(data) if not isinstance(data, dict) else data
        state[change["thing"]] = change["value"]
    return state


async def test_a_number_that_comes_too_early_waits_for_those_before_it() -> None:
    """Two transactions that committed one after the other may tell in the other order: no query, no gap."""
    broker, ledger, ear = ShakyBroker(), Ledger(), Ear()
    hub = Hub(broker, MemoryPresence(), kinds=Kinds([ledger.channel()]))
    ledger.write(ROOM, "a", 0)
    await hub.join(ear, LEDGER)
    reads = ledger.reads

    await hub.publish_durable(LEDGER, 3, offset=3)
    await hub.publish_durable(LEDGER, 2, offset=2)
    broker.flow()

    assert ear.heard() == [(2, 2), (3, 3)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert ledger.reads == reads


async def test_what_was_never_told_is_found_in_the_database() -> None:
    """The process that wrote it was killed between its commit and its word."""
    broker, ledger, ear = ShakyBroker(), Ledger(), Ear()
    hub = Hub(broker, MemoryPresence(), kinds=Kinds([ledger.channel()]))
    ledger.write(ROOM, "a", 0)
    await hub.join(ear, LEDGER)

    ledger.write(ROOM, "a", 1)
    hub.checker.check_all()
    async with asyncio.timeout(5):
        while not ear.frames:
            await asyncio.sleep(0.001)

    assert ear.heard() == [(2, {"thing": "a", "value": 1})]


async def test_a_crowd_that_comes_back_costs_one_statement() -> None:
    """Where many durable channels stand is asked once for all of an instant, and short gaps are remembered here."""
    broker, ledger = ShakyBroker(), Ledger()
    hub = Hub(broker, MemoryPresence(), kinds=Kinds([ledger.channel()]))
    rooms = [UUID(int=n) for n in range(1, 51)]
    for room in rooms:
        ledger.write(room, "a", 0)
    await asyncio.gather(*(hub.join(Ear(), f"ledger:{room}") for room in rooms))
    assert ledger.asked == [50]

    for n in range(2, 6):
        await hub.publish_durable(LEDGER, {"new": n}, offset=n)
    broker.flow()
    joined = await hub.join(Ear(), LEDGER, StreamPosition(offset=2, epoch=DURABLE_EPOCH))

    assert [publication.offset for publication in joined.missed] == [3, 4, 5]
    assert (joined.recovered, ledger.reads, ledger.asked) == (True, 0, [50])


async def test_a_durable_gap_of_any_length_is_recovered_page_by_page_unless_it_is_gone() -> None:
    """Beyond what the source keeps, the client is told to reload."""
    broker, ledger = ShakyBroker(), Ledger()
    hub = Hub(broker, MemoryPresence(), kinds=Kinds([ledger.channel()]))
    for n in range(1234):
        ledger.write(ROOM, f"thing {n}", n)

    joined = await hub.join(Ear(), LEDGER, StreamPosition(offset=1, epoch=DURABLE_EPOCH))
    assert [publication.offset for publication in joined.missed] == list(range(2, 1235))
    assert (joined.recovered, joined.offset) == (True, 1234)

    ledger.keeps = 10
    for offset, epoch in ((1, DURABLE_EPOCH), (9999, DURABLE_EPOCH), (1230, "another")):
        late = await hub.join(Ear(), LEDGER, StreamPosition(offset=offset, epoch=epoch))
        assert (late.recovered, late.missed, late.offset) == (False, (), 1234)


async def test_what_was_replaced_is_given_to_nobody_who_comes_later() -> None:
    """A deleted text that hubs remember would be read by who had no right to it when it was said."""
    broker, ledger = ShakyBroker(), Ledger()
    hub = Hub(broker, MemoryPresence(), kinds=Kinds([ledger.channel()]))
    ledger.write(ROOM, "a", 0)
    await hub.join(Ear(), LEDGER)

    async def write(thing: str, value: int) -> None:
        offset = ledger.write(ROOM, thing, value)
        await hub.publish_durable(LEDGER, ledger.entry(ROOM, offset), offset=offset)
        broker.flow()

    async def given(since: int) -> list[tuple[int, Any]]:
        joined = await hub.join(Ear(), LEDGER, StreamPosition(offset=since, epoch=DURABLE_EPOCH))
        assert (joined.recovered, joined.offset) == (True, len(ledger.changes[ROOM]))
        return [(one.offset, msgspec.json.decode(one.data)["value"]) for one in joined.missed]

    for thing, value in (("b", 1), ("c", 2), ("b", 3), ("d", 4), ("e", 5)):
        await write(thing, value)

    assert await given(1) == [(3, 2), (4, 3), (5, 4), (6, 5)]
    assert ledger.reads == 1
    assert await given(4) == [(5, 4), (6, 5)]
    assert ledger.reads == 1


async def test_who_missed_very_much_is_given_it_in_parts_while_others_hear_what_is_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Complete, in order, once each; no part is larger than a connection should hold, and only that one waits."""
    monkeypatch.setattr(mending, "LARGE", 4096)
    broker, ledger, ear, other = ShakyBroker(), Ledger(), Ear(), Ear()
    hub = Hub(broker, MemoryPresence(), kinds=Kinds([ledger.channel()]))
    for n in range(12_000):
        ledger.changes.setdefault(ROOM, []).append((f"thing {n}", n))
    monkeypatch.setattr(ledger, "entry", lambda room, number: {"value": number})
    await hub.join(other, LEDGER)

    joined = await hub.join(ear, LEDGER, StreamPosition(offset=1, epoch=DURABLE_EPOCH))
    for _ in range(3):
        offset = ledger.write(ROOM, "new", 0)
        await hub.publish_durable(LEDGER, offset, offset=offset)
        broker.flow()
    assert [offset for offset, _ in other.heard()] == [12_001, 12_002, 12_003]
    await hub.publish_ephemeral([LEDGER], "typing")
    broker.flow()
    await until(lambda: ear.heard()[-1][0] >= 12_003)
    await hub.publish_durable(LEDGER, "live", offset=12_004)
    broker.flow()

    heard = [offset for offset, _ in ear.heard() if offset]
    assert joined.recovered
    assert joined.offset == joined.missed[-1].offset < 12_000
    assert [*(one.offset for one in joined.missed), *heard] == [*range(2, 12_001), 12_003, 12_004]
    assert (0, "typing") in ear.heard()
    assert max(len(frame) for frame in ear.frames) < 10 * 4096


async def test_who_does_not_read_is_not_read_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a slow client has not taken waits in the database, not in memory; when it is gone, nothing more is read."""
    monkeypatch.setattr(mending, "LARGE", 64)
    broker, ledger, ear = ShakyBroker(), Ledger(), Ear(is_ready=False)
    hub = Hub(broker, MemoryPresence(), kinds=Kinds([ledger.channel()]))
    for n in range(100):
        ledger.write(ROOM, f"thing {n}", n)

    joined = await hub.join(ear, LEDGER, StreamPosition(offset=1, epoch=DURABLE_EPOCH))
    reads = ledger.reads
    for _ in range(20):
        await asyncio.sleep(0)
    assert (ledger.reads, ear.frames) == (reads, [])
    ear.is_ready = True
    await until(lambda: ear.frames)
    hub.leave(ear, LEDGER)
    frames = len(ear.frames)
    for _ in range(20):
        await asyncio.sleep(0)

    assert len(ear.frames) == frames
    assert ear.heard()[0][0] == joined.offset + 1
    assert ear.lost == []


async def test_who_is_given_what_they_missed_can_be_told_that_it_cannot_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database goes away in between: the client comes back, and goes on where it stopped."""
    monkeypatch.setattr(mending, "LARGE", 64)
    broker, ledger, ear = ShakyBroker(), Ledger(), Ear()
    hub = Hub(broker, MemoryPresence(), kinds=Kinds([ledger.channel()]))
    for n in range(100):
        ledger.write(ROOM, f"thing {n}", n)

    joined = await hub.join(ear, LEDGER, StreamPosition(offset=1, epoch=DURABLE_EPOCH))
    ledger.is_away = True
    await until(lambda: ear.lost)

    assert joined.recovered
    assert ear.lost == [LEDGER]


async def test_a_gap_of_any_length_is_mended_without_sending_anybody_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty thousand messages of somebody who is erased are told to nobody, and found by the check."""
    monkeypatch.setattr(mending, "LARGE", 4096)
    broker, ledger, ear = ShakyBroker(), Ledger(), Ear()
    hub = Hub(broker, MemoryPresence(), kinds=Kinds([ledger.channel()]))
    ledger.write(ROOM, "a", 0)
    await hub.join(ear, LEDGER)
    for n in range(12_000):
        ledger.changes[ROOM].append((f"thing {n}", n))
    monkeypatch.setattr(ledger, "entry", lambda room, number: {"value": number})

    hub.checker.check_all()
    await until(lambda: len(ear.frames) == 12_000)

    assert [offset for offset, _ in ear.heard()] == list(range(2, 12_002))
    assert ear.lost == []


async def test_nobody_reads_with_the_rights_of_somebody_else() -> None:
    """A recovery is read as the one who recovers; a repair for all, as nobody."""
    asked: list[Actor | None] = []
    broker, ledger = ShakyBroker(), Ledger()
    channel = ledger.channel()

    async def replay(actor: Actor | None, **rest: Any) -> Any:
        asked.append(actor)
        return await ledger.replay(actor=actor, **rest)

    object.__setattr__(channel, "replay", replay)
    hub, ana = Hub(broker, MemoryPresence(), kinds=Kinds([channel])), person()
    for n in range(40):
        ledger.write(ROOM, f"{n}", n)

    await hub.join(Ear(actor=ana), LEDGER, StreamPosition(offset=1, epoch=DURABLE_EPOCH))
    ledger.write(ROOM, "new", 1)
    hub.checker.check_all()
    for _ in range(30):
        await asyncio.sleep(0)

    assert asked == [ana, None]


async def test_a_durable_channel_is_checked_soon_even_if_its_broker_loses_nothing() -> None:
    """The broker cannot lose what a killed writer never gave it; nothing follows, and the client does nothing."""
    ledger, ear = Ledger(), Ear()
    hub = Hub(
        MemoryBroker(), MemoryPresence(), kinds=Kinds([ledger.channel()]), check_every=3600, check_durable_every=0.05
    )
    await hub.open()
    ledger.write(ROOM, "a", 0)
    await hub.join(ear, LEDGER)

    ledger.write(ROOM, "a", 1)
    await until(lambda: ear.frames)
    await hub.close()

    assert ear.heard() == [(2, {"thing": "a", "value": 1})]


async def test_a_gap_is_filled_when_the_database_is_back_though_nothing_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The early publication is here, what is before it cannot be read yet, and no other comes to remind of it."""
    monkeypatch.setattr(mending, "AGAIN", 0.01)
    broker, ledger, ear = ShakyBroker(), Ledger(), Ear()
    hub = Hub(broker, MemoryPresence(), kinds=Kinds([ledger.channel()]))
    for value in range(3):
        ledger.write(ROOM, f"{value}", value)
        if value == 0:
            await hub.join(ear, LEDGER)
    ledger.is_away = True

    await hub.publish_durable(LEDGER, "late", offset=3)
    broker.flow()
    await until(lambda: ledger.refused > 1)
    assert ear.heard() == []
    ledger.is_away = False
    await until(lambda: ear.frames)

    assert [offset for offset, _ in ear.heard()] == [2, 3]
    assert ear.lost == []


async def test_what_is_found_to_be_missing_during_a_read_is_read_afterwards() -> None:
    """The read may have begun before it was written, and nothing else may ever tell of it."""
    broker, ledger, ear = ShakyBroker(), Ledger(), Ear()
    hub = Hub(broker, MemoryPresence(), kinds=Kinds([ledger.channel()]))
    ledger.write(ROOM, "a", 0)
    await hub.join(ear, LEDGER)

    def write_and_check() -> None:
        if ledger.reads == 1:
            hub.mender.suspect(hub.topics[LEDGER], ledger.write(ROOM, "c", 2))

    ledger.after_reading = write_and_check
    ledger.write(ROOM, "b", 1)
    hub.checker.check_all()

    await until(lambda: [offset for offset, _ in ear.heard()] == [2, 3])


async def test_a_busy_channel_with_a_new_gap_after_each_read_is_not_lost() -> None:
    """Many processes write at once, so that numbers overtake each other all the time: that is no loss."""
    broker, ledger, ear = ShakyBroker(), Ledger(), Ear()
    hub = Hub(broker, MemoryPresence(), kinds=Kinds([ledger.channel()]))
    ledger.write(ROOM, "0", 0)
    await hub.join(ear, LEDGER)

    def overtaken() -> int:
        """One change is told, the one before it is still on its way."""
        ledger.write(ROOM, f"{len(ear.frames)} slow", 0)
        return ledger.write(ROOM, f"{len(ear.frames)} fast", 0)

    rounds = 3 * mending.TRIES
    ledger.after_reading = lambda: hub.received(LEDGER, overtaken(), "", Raw(b"1")) if ledger.reads < rounds else None
    hub.received(LEDGER, overtaken(), "", Raw(b"1"))
    await until(lambda: ledger.reads == rounds and len(ear.frames) == 2 * rounds)

    assert [offset for offset, _ in ear.heard()] == list(range(2, 2 * rounds + 2))
    assert ear.lost == []
