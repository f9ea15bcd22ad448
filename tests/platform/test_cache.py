"""The cache: one suite over every engine, and what only the one in memory promises."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from tenfold.kit.clock import Clock, SetClock
from tenfold.platform.bus import Bus, Listener
from tenfold.platform.cache import DROP, Cache
from tenfold.platform.cache.memory import MemoryCache
from tenfold.platform.observe import metrics
from tests.platform.slow_source import Source, settle

MINUTE = timedelta(minutes=1)
Chance = Callable[[], float]


@asynccontextmanager
async def memory(clock: Clock, chance: Chance) -> AsyncIterator[Cache]:
    cache = MemoryCache(1_000_000, clock, chance=chance)
    yield cache
    await cache.close()


ENGINES: list[Callable[[Clock, Chance], AbstractAsyncContextManager[Cache]]] = [memory]


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def draws() -> list[float]:
    """The lots that askers draw, last first; 1.0 (never refresh early) when there are none."""
    return []


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.__name__)
async def cache(request: pytest.FixtureRequest, clock: SetClock, draws: list[float]) -> AsyncIterator[Cache]:
    async with request.param(clock, lambda: draws.pop() if draws else 1.0) as engine:
        yield engine


@pytest.fixture
def source() -> Source:
    return Source()


def counted(name: str, outcome: str) -> float:
    return metrics.cache_requests.labels(name, outcome)._value.get()


async def test_a_value_is_computed_once_until_it_expires(cache: Cache, clock: SetClock, source: Source) -> None:
    """The same answer is given without asking again, for as long as was agreed and no longer."""
    answers = [await cache.get("c", 1, source.one, ttl=MINUTE) for _ in range(3)]
    assert (answers, source.asked) == (["value"] * 3, 1)

    clock.advance(MINUTE)
    await cache.get("c", 1, source.one, ttl=MINUTE)

    assert source.asked == 2


async def test_names_and_keys_are_apart(cache: Cache, source: Source) -> None:
    """Two caches may use the same keys, and one cache any hashable keys."""
    for name, key in [("a", 1), ("b", 1), ("a", 2), ("a", ("x", None))]:
        await cache.get(name, key, source.one, ttl=MINUTE)

    assert source.asked == 4


async def test_five_hundred_misses_compute_once(cache: Cache, source: Source) -> None:
    """A popular value that is not there must not become five hundred queries."""
    before = counted("crowd", "miss"), counted("crowd", "joined"), counted("crowd", "hit")

    answers = await asyncio.gather(*[cache.get("crowd", 1, source.one, ttl=MINUTE) for _ in range(500)])
    await cache.get("crowd", 1, source.one, ttl=MINUTE)

    assert (answers, source.asked) == (["value"] * 500, 1)
    after = counted("crowd", "miss"), counted("crowd", "joined"), counted("crowd", "hit")
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 499, 1]


async def test_a_cancelled_first_asker_cancels_nobody_else(cache: Cache, source: Source) -> None:
    """A client that hangs up while its query runs must not break the requests that wait for the same value."""
    source.gate = asyncio.Event()
    askers = [asyncio.create_task(cache.get("c", 1, source.one, ttl=MINUTE)) for _ in range(3)]
    await settle()

    askers[0].cancel()
    await settle()
    source.gate.set()

    assert await asyncio.gather(*askers[1:]) == ["value"] * 2
    assert askers[0].cancelled()
    assert source.asked == 1


async def test_a_failure_reaches_all_who_wait_and_is_not_kept(cache: Cache, source: Source) -> None:
    """A database that hiccups once must not be remembered as down."""
    source.value = LookupError("away")

    answers = await asyncio.gather(
        *[cache.get("c", 1, source.one, ttl=MINUTE) for _ in range(5)], return_exceptions=True
    )
    assert (set(map(type, answers)), source.asked) == ({LookupError}, 1)

    source.value = "back"
    assert await cache.get("c", 1, source.one, ttl=MINUTE) == "back"


async def test_nothing_found_is_kept_only_when_asked_for(cache: Cache, clock: SetClock, source: Source) -> None:
    """A None is asked again, unless its caller says how long it may be believed."""
    source.value = None
    for _ in range(2):
        assert await cache.get("c", 1, source.one, ttl=MINUTE) is None
    assert source.asked == 2

    for _ in range(2):
        assert await cache.get("c", 2, source.one, ttl=MINUTE, missing_ttl=timedelta(seconds=5)) is None
    assert source.asked == 3

    clock.advance(timedelta(seconds=6))
    await cache.get("c", 2, source.one, ttl=MINUTE, missing_ttl=timedelta(seconds=5))
    assert source.asked == 4


async def test_dropping_a_tag_forgets_what_carries_it(cache: Cache, source: Source) -> None:
    """A changed profile takes every page with it that shows it, and no other."""
    await cache.get("c", 1, source.one, ttl=MINUTE, tags=["user:ana", "page"])
    await cache.get("c", 2, source.one, ttl=MINUTE, tags=["user:bob", "page"])

    await cache.drop("user:ana", "user:nobody")
    await cache.get("c", 1, source.one, ttl=MINUTE, tags=["user:ana", "page"])
    await cache.get("c", 2, source.one, ttl=MINUTE, tags=["user:bob", "page"])
    assert source.asked == 3

    await cache.drop("page")
    await cache.get("c", 1, source.one, ttl=MINUTE)
    await cache.get("c", 2, source.one, ttl=MINUTE)
    assert source.asked == 5


async def test_a_value_computed_from_before_the_drop_is_not_kept(cache: Cache, source: Source) -> None:
    """The classic race: read, change, drop, store. Who asked before gets the old value; who asks after, the new."""
    source.gate, source.value = asyncio.Event(), "old"
    early = asyncio.create_task(cache.get("c", 1, source.one, ttl=MINUTE, tags=["user:ana"]))
    await settle()

    source.value = "new"
    await cache.drop("user:ana")
    late = asyncio.create_task(cache.get("c", 1, source.one, ttl=MINUTE, tags=["user:ana"]))
    await settle()
    source.gate.set()

    assert (await early, await late) == ("old", "new")
    assert await cache.get("c", 1, source.one, ttl=MINUTE) == "new"
    assert source.asked == 2


async def test_many_are_fetched_with_one_call_for_those_missing(cache: Cache, source: Source) -> None:
    """A page of twenty authors costs one query for those that nobody asked for lately."""
    await cache.get_many("m", ["ana", "bob"], source.many, ttl=MINUTE)

    answer = await cache.get_many("m", ["ana", "kim", "eve", "kim", "nobody"], source.many, ttl=MINUTE)
    again = await cache.get_many("m", ["ana", "kim", "eve"], source.many, ttl=MINUTE)

    assert answer == {"ana": "value ana", "kim": "value kim", "eve": "value eve"} == again
    assert source.asked_for == [["ana", "bob"], ["kim", "eve", "nobody"]]
    assert await cache.get_many("m", [], source.many, ttl=MINUTE) == {}


async def test_many_and_one_share_values_and_flights(cache: Cache, source: Source) -> None:
    """Askers of one and of many wait for each other, and drop by the same tags."""
    source.gate = asyncio.Event()
    one = asyncio.create_task(cache.get("m", "ana", source.one, ttl=MINUTE))
    await settle()
    many = asyncio.create_task(
        cache.get_many("m", ["ana", "bob"], source.many, ttl=MINUTE, tag=lambda key: f"user:{key}")
    )
    other = asyncio.create_task(cache.get("m", "bob", source.one, ttl=MINUTE))
    await settle()
    source.gate.set()

    assert (await one, await many, await other) == ("value", {"ana": "value", "bob": "value bob"}, "value bob")
    assert source.asked == 2

    await cache.drop("user:bob")
    await cache.get_many("m", ["ana", "bob"], source.many, ttl=MINUTE)
    assert source.asked_for == [["bob"], ["bob"]]


async def test_a_failure_of_many_reaches_everybody_who_waits(cache: Cache) -> None:
    """An asker of one key of a batch that failed is told, too."""

    async def fail(keys: Sequence[object]) -> dict[object, str]:
        await asyncio.sleep(0)
        raise LookupError("away")

    async def never() -> str:
        raise AssertionError

    batch = asyncio.create_task(cache.get_many("m", ["ana", "bob"], fail, ttl=MINUTE))
    await asyncio.sleep(0)
    one = asyncio.create_task(cache.get("m", "bob", never, ttl=MINUTE))

    answers = await asyncio.gather(batch, one, return_exceptions=True)

    assert set(map(type, answers)) == {LookupError}


def slow(source: Source, seconds: float) -> Callable[[], Awaitable[Any]]:
    async def compute() -> Any:
        await asyncio.sleep(seconds)
        return await source.one()

    return compute


async def test_a_lot_drawn_near_the_end_refreshes_in_the_background(
    cache: Cache, clock: SetClock, source: Source, draws: list[float]
) -> None:
    """A popular value is renewed before it expires, and nobody waits for it."""
    compute = slow(source, 0.02)
    await cache.get("c", 1, compute, ttl=timedelta(seconds=2))
    clock.advance(timedelta(seconds=1.7))
    source.value = "fresh"

    draws[:] = [1e-300, 0.5]
    assert await cache.get("c", 1, compute, ttl=timedelta(seconds=2)) == "value"
    assert await cache.get("c", 1, compute, ttl=timedelta(seconds=2)) == "value"
    assert source.asked == 1
    await asyncio.sleep(0.05)

    assert await cache.get("c", 1, compute, ttl=timedelta(seconds=2)) == "fresh"
    assert source.asked == 2


async def test_many_are_refreshed_early_too(cache: Cache, clock: SetClock, source: Source, draws: list[float]) -> None:
    """A list that everybody reads is renewed in one call."""
    source.gate = asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, source.gate.set)
    await cache.get_many("m", ["ana", "bob"], source.many, ttl=timedelta(seconds=2))
    clock.advance(timedelta(seconds=1.7))
    source.value = "fresh"

    draws[:] = [1e-300, 1e-300]
    assert await cache.get_many("m", ["ana", "bob"], source.many, ttl=MINUTE) == {
        "ana": "value ana",
        "bob": "value bob",
    }
    await settle()

    assert await cache.get_many("m", ["ana", "bob"], source.many, ttl=MINUTE) == {
        "ana": "fresh ana",
        "bob": "fresh bob",
    }
    assert source.asked_for == [["ana", "bob"], ["ana", "bob"]]


async def test_a_refresh_that_fails_keeps_the_value(
    cache: Cache, clock: SetClock, source: Source, draws: list[float]
) -> None:
    """An early refresh is a favour: when it fails nobody is told, and it is counted."""
    compute = slow(source, 0.02)
    await cache.get("favour", 1, compute, ttl=timedelta(seconds=2))
    clock.advance(timedelta(seconds=1.7))
    source.value = LookupError("away")
    before = counted("favour", "failed")

    draws[:] = [1e-300]
    await cache.get("favour", 1, compute, ttl=timedelta(seconds=2))
    await asyncio.sleep(0.05)

    assert await cache.get("favour", 1, compute, ttl=timedelta(seconds=2)) == "value"
    assert counted("favour", "failed") - before == 1


class Wire(Bus):
    """A bus of several processes' caches in this one, for what the cache does with it."""

    def __init__(self) -> None:
        self.listeners: list[tuple[str, Listener]] = []
        self.gaps: list[Callable[[], Any]] = []

    def listen(self, topic: str, listener: Listener) -> None:
        self.listeners.append((topic, listener))

    def on_gap(self, callback: Callable[[], Any]) -> None:
        self.gaps.append(callback)

    async def send_in(self, connection: Any, signals: list[tuple[str, Any]]) -> None:
        for topic, payload in signals:
            await self.send(topic, payload)

    async def send(self, topic: str, payload: object) -> None:
        for wanted, listener in self.listeners:
            if wanted == topic:
                listener(payload)

    async def open(self) -> None: ...

    async def close(self) -> None: ...


class Deed:
    """A transaction that has yet to commit."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.signals: list[tuple[str, Any]] = []
        self.callbacks: list[Callable[[], None]] = []

    def signal(self, topic: str, payload: object) -> None:
        self.signals.append((topic, payload))

    def on_commit(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)


async def test_a_deed_drops_tags_in_every_process_when_it_commits(cache: Cache, source: Source) -> None:
    """Here before the deed's answer leaves, so that its author reads his own write; elsewhere by the bus."""
    bus, elsewhere = Wire(), MemoryCache(10_000)
    cache.attach(bus)
    elsewhere.attach(bus)
    for one in (cache, elsewhere):
        await one.get("c", 1, source.one, ttl=MINUTE, tags=["user:ana"])
    deed = Deed(bus)

    cache.drop_with(deed, "user:ana")
    for one in (cache, elsewhere):
        await one.get("c", 1, source.one, ttl=MINUTE, tags=["user:ana"])
    assert source.asked == 2

    deed.callbacks[0]()
    await cache.get("c", 1, source.one, ttl=MINUTE, tags=["user:ana"])
    assert source.asked == 3

    assert deed.signals == [(DROP, ["user:ana"])]
    await bus.send(*deed.signals[0])
    await elsewhere.get("c", 1, source.one, ttl=MINUTE)
    assert source.asked == 4


async def test_after_a_gap_in_the_signals_nothing_is_believed(cache: Cache, source: Source) -> None:
    """A drop that was missed would otherwise live as long as its value's time."""
    bus = Wire()
    cache.attach(bus)
    await cache.get("c", 1, source.one, ttl=MINUTE)
    source.gate = asyncio.Event()
    flying = asyncio.create_task(cache.get("c", 2, source.one, ttl=MINUTE))
    await settle()

    bus.gaps[0]()
    source.gate.set()
    await flying
    for key in (1, 2):
        await cache.get("c", key, source.one, ttl=MINUTE)

    assert source.asked == 4
