"""The cache in this process's memory: its bound, and its end."""

import asyncio
from datetime import timedelta

import pytest

from tenfold.platform.cache.memory import MemoryCache
from tenfold.platform.observe import metrics
from tests.platform.slow_source import Source, settle

MINUTE = timedelta(minutes=1)


@pytest.fixture
def source() -> Source:
    return Source()


async def test_memory_is_bounded_and_the_least_recently_used_leaves(source: Source) -> None:
    """The cache never holds more bytes than it may, and keeps what is asked for."""
    cache = MemoryCache(100_000)
    source.value = "x" * 1000
    evicted = metrics.cache_evictions._value.get()

    for number in range(200):
        await cache.get("c", number, source.one, ttl=MINUTE, tags=[f"tag {number}"])
        await cache.get("c", 0, source.one, ttl=MINUTE)
        assert metrics.cache_bytes._value.get() <= 100_000

    assert source.asked == 200
    assert metrics.cache_evictions._value.get() - evicted > 100
    await cache.get("c", 199, source.one, ttl=MINUTE)
    await cache.get("c", 1, source.one, ttl=MINUTE)
    assert source.asked == 201
    assert len(cache._tagged) < 100


async def test_a_value_larger_than_the_cache_is_given_and_not_kept(source: Source) -> None:
    """One giant answer must not empty the cache for everybody."""
    cache = MemoryCache(10_000)
    await cache.get("c", 1, source.one, ttl=MINUTE)
    source.value = b"x" * 20_000

    await cache.get("c", 2, source.one, ttl=MINUTE)
    await cache.get("c", 2, source.one, ttl=MINUTE)
    await cache.get("c", 1, source.one, ttl=MINUTE)

    assert source.asked == 3


async def test_closing_stops_what_is_being_computed(source: Source) -> None:
    """A process that stops leaves no task behind."""
    cache = MemoryCache(10_000)
    source.gate = asyncio.Event()
    asker = asyncio.create_task(cache.get("c", 1, source.one, ttl=MINUTE))
    await settle()

    await cache.close()

    with pytest.raises(asyncio.CancelledError):
        await asker
