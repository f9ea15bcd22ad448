"""The keyed lock: one at a time for each key, in the order of asking."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.kit.locks import KeyedLock
from tenfold.kit.refusals import Unavailable

LONG = timedelta(seconds=10)


async def test_keys_do_not_wait_for_each_other() -> None:
    """Whoever holds one stands in the way of nobody with another, and nothing is left of either."""
    lock = KeyedLock[str]()
    async with lock.hold("a", LONG), lock.hold("b", LONG):
        assert len(lock) == 2
    assert len(lock) == 0


async def test_whose_turn_does_not_come_is_refused() -> None:
    """The next in line is not: it gets the key when it is free."""
    lock = KeyedLock[str]()
    async with lock.hold("a", LONG):
        behind = asyncio.create_task(lock.acquire("a", LONG))
        with pytest.raises(Unavailable):
            async with lock.hold("a", timedelta(milliseconds=10)):
                raise AssertionError("held by two")
        assert not behind.done()
    await behind
    lock.release("a")
    assert len(lock) == 0


async def test_who_is_cancelled_as_its_turn_comes_passes_it_on() -> None:
    """In the very turn of the loop in which it was given the key."""
    lock = KeyedLock[str]()
    await lock.acquire("a", LONG)
    gone, behind = (asyncio.create_task(lock.acquire("a", LONG)) for _ in range(2))
    await asyncio.sleep(0)
    lock.release("a")
    gone.cancel()
    async with asyncio.timeout(1):
        await behind
    assert gone.cancelled()
    lock.release("a")
    assert len(lock) == 0


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.booleans()), max_size=12))
@settings(max_examples=60, deadline=None)
def test_a_key_is_held_by_one_in_the_order_of_asking(script: list[tuple[str, int, bool]]) -> None:
    """Whatever the holders do meanwhile, and whoever of those that wait is cancelled."""

    async def main() -> None:
        lock, inside, order = KeyedLock[str](), set[str](), list[int]()

        async def hold(number: int, key: str, pauses: int) -> None:
            async with lock.hold(key, LONG):
                assert key not in inside
                inside.add(key)
                order.append(number)
                try:
                    for _ in range(pauses):
                        await asyncio.sleep(0)
                finally:
                    inside.discard(key)

        tasks = [asyncio.create_task(hold(number, key, pauses)) for number, (key, pauses, _) in enumerate(script)]
        await asyncio.sleep(0)
        for task, (_, _, is_cancelled) in zip(tasks, script, strict=True):
            if is_cancelled:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for key in "ab":
            mine = [number for number in order if script[number][0] == key]
            assert mine == sorted(mine)
        assert {n for n, (_, _, is_cancelled) in enumerate(script) if not is_cancelled} <= set(order)
        assert len(lock) == 0

    asyncio.run(main())
