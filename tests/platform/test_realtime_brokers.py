"""What a broker promises, asked of every engine: numbers without a gap, history, several processes, signals."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from tenfold.platform.realtime.protocol import StreamPosition, encode_data
from tests.platform.realtime_engines import ENGINES, SIZE, Installation
from tests.waiting import until


@pytest.fixture(params=list(ENGINES))
async def installation(request: pytest.FixtureRequest) -> AsyncIterator[Installation]:
    async with ENGINES[request.param](request) as installation:
        yield installation


async def test_publications_are_numbered_without_a_gap(installation: Installation) -> None:
    """From where the stream stood; each channel counts for itself."""
    process = await installation.process()
    await process.listen("room:1", "room:2")
    one, two = await process.broker.positions(["room:1", "room:2"])

    await process.broker.publish(["room:1", "room:2"], encode_data("a"))
    await process.broker.publish(["room:1"], encode_data({"b": [1]}))
    await until(lambda: len(process.ear.publications) == 3)

    heard = [entry for entry in process.ear.publications if entry[0] == "room:1"]
    assert heard == [("room:1", one.offset + 1, one.epoch, "a"), ("room:1", one.offset + 2, one.epoch, {"b": [1]})]
    assert ("room:2", two.offset + 1, two.epoch, "a") in process.ear.publications
    after = await process.broker.positions(["room:2", "room:1"])
    assert [position.offset for position in after] == [two.offset + 1, one.offset + 2]


async def test_many_enter_their_channels_in_one_instant(installation: Installation) -> None:
    """Each learns where its own channel stands, and hears everything that is published from there on."""
    process, other = await installation.process(), await installation.process()
    names = [f"user:{number}" for number in range(300)]
    process.ear.wanted.update(names)
    before = dict(zip(names, await process.broker.positions(names), strict=True))
    await process.broker.publish(["user:7"], encode_data("early"))

    positions = await asyncio.gather(*(process.broker.enter(name) for name in names))
    await other.broker.publish(names, encode_data("late"))
    await until(lambda: process.ear.heard.count("late") == 300)

    assert [position.epoch for position in positions] == [before[name].epoch for name in names]
    assert [position.offset for position in positions] == [
        before[name].offset + (1 if name == "user:7" else 0) for name in names
    ]


async def test_what_has_a_number_already_keeps_it(installation: Installation) -> None:
    """A durable channel's number is the database's, and what is ephemeral has none; nothing of it is kept."""
    process = await installation.process()
    await process.listen("room:1")
    (before,) = await process.broker.positions(["room:1"])

    await process.broker.route(["room:1"], encode_data("durable"), offset=42)
    await process.broker.route(["room:1"], encode_data("typing"))
    await until(lambda: len(process.ear.publications) == 2)

    assert process.ear.publications == [("room:1", 42, "", "durable"), ("room:1", 0, "", "typing")]
    assert (await process.broker.positions(["room:1"])) == [before]


async def test_history_is_complete_or_unknown(installation: Installation) -> None:
    """After a position it is all or nothing: foreign epochs, positions ahead and those too old are unknown."""
    process = await installation.process()
    await process.listen("room:1")
    (began,) = await process.broker.positions(["room:1"])
    for n in range(SIZE + 2):
        await process.broker.publish(["room:1"], encode_data(n))

    async def read(since: int | None = None, epoch: str = began.epoch, **options: int | bool) -> list[int] | None:
        position = None if since is None else StreamPosition(offset=began.offset + since, epoch=epoch)
        found = await process.broker.history("room:1", position, **options)
        assert found.position == StreamPosition(offset=began.offset + SIZE + 2, epoch=began.epoch)
        return None if found.publications is None else [msgspec.json.decode(one.data) for one in found.publications]

    assert await read() == [2, 3, 4, 5, 6]
    assert await read(limit=2) == [2, 3]
    assert await read(limit=2, reverse=True) == [6, 5]
    assert await read(limit=0) == []
    assert await read(5) == [5, 6]
    assert await read(2) == [2, 3, 4, 5, 6]
    assert await read(7) == []
    assert await read(5, reverse=True) == [3, 2]
    assert [await read(1), await read(8), await read(5, "another")] == [None, None, None]


async def test_a_publication_reaches_every_process_that_listens(installation: Installation) -> None:
    """The one that publishes need not listen itself."""
    worker, web, other = [await installation.process() for _ in range(3)]
    await web.listen("room:1")
    await other.listen("room:1", "room:2")
    for process in (web, other):
        await process.broker.positions(["room:1", "room:2"])

    await worker.broker.publish(["room:1"], encode_data("numbered"))
    await worker.broker.route(["room:1"], encode_data("routed"), offset=7)
    await worker.broker.publish(["room:2"], encode_data("two"))
    await until(lambda: len(web.ear.heard) == 2 and len(other.ear.heard) == 3)

    assert sorted(web.ear.heard) == ["numbered", "routed"]
    assert sorted(other.ear.heard) == ["numbered", "routed", "two"]
    assert worker.ear.heard == []
    numbers = {entry[:3] for process in (web, other) for entry in process.ear.publications if entry[3] == "numbered"}
    assert len(numbers) == (1 if installation.counts_together else 2)


async def test_after_unsubscribing_nothing_comes_until_the_next_subscription(installation: Installation) -> None:
    """The last word wins, however quickly it changes."""
    web, worker = await installation.process(), await installation.process()
    await web.listen("room:1", "room:2")
    web.ignore("room:1", "room:2")
    await web.listen("room:2")
    await web.broker.positions(["room:2"])

    await worker.broker.publish(["room:1"], encode_data("gone"))
    await worker.broker.publish(["room:2"], encode_data("there"))
    await until(lambda: web.ear.heard)

    assert web.ear.heard == ["there"]


async def test_streams_that_begin_anew_fit_no_position_from_before(installation: Installation) -> None:
    """So whoever was given one is told to reload; other streams are left alone."""
    process = await installation.process()
    await process.listen("room:1", "room:2")
    one, two = await process.broker.positions(["room:1", "room:2"])
    await process.broker.publish(["room:1", "room:2"], encode_data("a"))

    await process.broker.begin_anew(["room:1"])
    assert (await process.broker.history("room:1", one)).publications is None
    kept = await process.broker.history("room:2", two)
    assert [bytes(publication.data) for publication in kept.publications or ()] == [b'"a"']

    await process.broker.begin_anew(None)
    assert (await process.broker.history("room:2", two)).publications is None


async def test_a_signal_reaches_every_other_process(installation: Installation) -> None:
    """Whether it listens to anything or not."""
    one, two, three = [await installation.process() for _ in range(3)]

    await one.broker.signal(encode_data({"user_ids": ["x"]}))
    await until(lambda: two.ear.signals and three.ear.signals)

    assert two.ear.signals == three.ear.signals == [{"user_ids": ["x"]}]


async def test_many_subscriptions_of_an_instant_all_stand(installation: Installation) -> None:
    """A thousand clients come back at once; each of them is heard."""
    web, worker = await installation.process(), await installation.process()
    names = [f"room:{n}" for n in range(300)]
    await asyncio.gather(*(web.listen(name) for name in names))
    positions = await asyncio.gather(*(web.broker.positions([name]) for name in names))

    await worker.broker.publish(names, encode_data("all"))
    await until(lambda: len(web.ear.heard) == len(names))

    assert {entry[0]: entry[1] for entry in web.ear.publications} == {
        name: position.offset + 1 for name, (position,) in zip(names, positions, strict=True)
    }
