"""The gatherer: one call for all who ask in an instant."""

import asyncio

from tenfold.kit.gatherer import Gatherer
from tests.platform.redis_world import until


async def test_what_is_gathered_is_asked_together_and_answered_to_each() -> None:
    """One call per instant; a failure belongs to those who were in that call."""
    calls: list[list[int]] = []

    async def work(numbers: list[int]) -> list[int]:
        calls.append(numbers)
        await asyncio.sleep(0)
        if 13 in numbers:
            raise ValueError(13)
        return [2 * number for number in numbers]

    gatherer: Gatherer[int, int] = Gatherer(work, most=10, at_once=4)
    answers = await asyncio.gather(*(gatherer.ask(n) for n in range(25)), return_exceptions=True)

    assert calls == [list(range(10)), list(range(10, 20)), list(range(20, 25))]
    assert answers[:10] + answers[20:] == [2 * n for n in [*range(10), *range(20, 25)]]
    assert all(isinstance(answer, ValueError) for answer in answers[10:20])
    assert await gatherer.ask(30) == 60


async def test_who_asks_when_the_last_call_has_just_ended_is_not_forgotten() -> None:
    """Four calls end in one turn, and one of their askers asks again before they are cleared away: nobody else will."""
    gate, under_way = asyncio.Event(), 0

    async def work(numbers: list[int]) -> list[int]:
        nonlocal under_way
        under_way += 1
        await gate.wait()
        return numbers

    async def ask_twice() -> int:
        await gatherer.ask(1)
        return await gatherer.ask(5)

    gatherer: Gatherer[int, int] = Gatherer(work, most=250, at_once=4)
    twice = asyncio.create_task(ask_twice())
    await until(lambda: under_way == 1)
    others = []
    for number in (2, 3, 4):
        others.append(gatherer.ask(number))
        await until(lambda number=number: under_way == number)
    gate.set()

    async with asyncio.timeout(2):
        assert [await twice, *[await other for other in others]] == [5, 2, 3, 4]
