"""Works: many coroutines by one task, each as if it had one of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tenfold.platform.realtime.gateway.works import Works

name: ContextVar[str] = ContextVar("name", default="nobody")


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every task that a loop makes from now on."""
    made: list[Any] = []
    create = asyncio.BaseEventLoop.create_task

    def creates(loop: Any, work: Any, **options: Any) -> Any:
        made.append(work)
        return create(loop, work, **options)

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_task", creates)
    return made


def on_plain_loop(main: Callable[[], Awaitable[None]]) -> None:
    """Run on the standard library's loop, in which tasks can be counted."""
    with asyncio.Runner() as runner:
        runner.run(main())  # type: ignore[arg-type]


async def settled(done: list[Any], count: int) -> None:
    """Wait until so many are done."""
    async with asyncio.timeout(5):
        while len(done) < count:
            await asyncio.sleep(0)


def test_what_does_not_wait_shares_a_task(tasks: list[Any]) -> None:
    """A hundred works that never wait are one task, done in order."""

    async def main() -> None:
        works, done = Works(asyncio.get_running_loop()), list[int]()
        before = len(tasks)

        async def work() -> None:
            pass

        for number in range(100):
            works.do(work(), lambda number=number: done.append(number))
        assert done == []
        await settled(done, 100)
        assert done == list(range(100))
        assert len(tasks) - before == 1

    on_plain_loop(main)


async def test_a_work_that_waits_holds_up_nobody() -> None:
    """The others go on meanwhile; it is done when what it waits for is."""
    works, done, gate = Works(asyncio.get_running_loop()), list[str](), asyncio.Event()

    async def waits() -> None:
        await gate.wait()
        await asyncio.sleep(0)
        done.append("waited")

    async def passes() -> None:
        done.append("passed")

    works.do(waits(), lambda: done.append("first"))
    works.do(passes(), lambda: done.append("second"))
    await settled(done, 2)
    assert done == ["passed", "second"]
    works.do(passes(), lambda: done.append("third"))
    await settled(done, 4)
    gate.set()
    await settled(done, 6)
    assert done[-2:] == ["waited", "first"]


async def test_those_that_wait_do_so_together() -> None:
    """What a crowd asks of a server in one turn must be able to go there in one piece: all begin in two turns."""
    works, begun, gate = Works(asyncio.get_running_loop()), list[int](), asyncio.Event()

    async def waits(number: int) -> None:
        begun.append(number)
        await gate.wait()

    for number in range(100):
        works.do(waits(number), lambda: None)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert begun == list(range(100))
    gate.set()
    await asyncio.sleep(0)


async def test_a_work_is_in_one_task_from_beginning_to_end() -> None:
    """So a timeout that it sets cuts off its own waiting, and nobody else's."""
    works, done, gate = Works(asyncio.get_running_loop()), list[object](), asyncio.Event()

    async def patient() -> None:
        own = asyncio.current_task()
        await gate.wait()
        assert asyncio.current_task() is own
        done.append("patient")

    async def hasty() -> None:
        own = asyncio.current_task()
        try:
            async with asyncio.timeout(0.01):
                await gate.wait()
        except TimeoutError:
            done.append("late")
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        assert asyncio.current_task() is own
        done.append(own is not None and own.cancelling())

    for work in (patient(), hasty(), patient()):
        works.do(work, lambda: None)
    await settled(done, 2)
    assert done == ["late", 0]
    gate.set()
    await settled(done, 4)
    assert done[2:] == ["patient", "patient"]


async def test_each_work_has_a_context_of_its_own() -> None:
    """What one sets, another in the same task does not see, before and after it has waited."""
    works, seen = Works(asyncio.get_running_loop()), list[str]()

    async def sets(who: str, *, waits: bool) -> None:
        seen.append(name.get())
        name.set(who)
        if waits:
            await asyncio.sleep(0)
        seen.append(name.get())

    for who in ("ana", "bob", "eve"):
        works.do(sets(who, waits=who == "bob"), lambda: None)
    await settled(seen, 6)
    assert seen.count("nobody") == 3
    assert sorted(seen)[:3] == ["ana", "bob", "eve"]
    assert name.get() == "nobody"


async def test_what_follows_a_work_does_not_see_its_context() -> None:
    """A connection's next message is begun at the end of the one before, with whatever else comes in that turn."""
    works, seen = Works(asyncio.get_running_loop()), list[str]()

    async def looks() -> None:
        seen.append(name.get())

    async def sets() -> None:
        await asyncio.sleep(0)
        name.set("ana")

    for _ in range(2):
        works.do(sets(), lambda: works.do(looks(), lambda: None))
    await settled(seen, 2)
    assert seen == ["nobody", "nobody"]


@pytest.mark.parametrize("waits", [False, True])
async def test_one_that_fails_is_logged_and_ends(waits: bool) -> None:
    """Whoever started it hears that it is over, and the others are done."""
    works, done = Works(asyncio.get_running_loop()), list[str]()

    async def fails() -> None:
        if waits:
            await asyncio.sleep(0)
        raise ValueError("no")

    async def passes() -> None:
        pass

    with capture_logs() as logs:
        works.do(fails(), lambda: done.append("failed"))
        works.do(passes(), lambda: done.append("passed"))
        await settled(done, 2)
    assert sorted(done) == ["failed", "passed"]
    assert [line["event"] for line in logs] == ["gateway.command_failed"]


@pytest.mark.parametrize("waits", [False, True])
async def test_one_that_is_cancelled_ends_alone(waits: bool) -> None:
    """As when it awaits what was cancelled: nobody logs that, and those behind it are done."""
    works, done = Works(asyncio.get_running_loop()), list[str]()
    gone = asyncio.get_running_loop().create_future()
    gone.cancel()

    async def gives_up() -> None:
        if waits:
            await asyncio.sleep(0)
        await gone

    async def passes() -> None:
        pass

    with capture_logs() as logs:
        works.do(gives_up(), lambda: done.append("gave up"))
        works.do(passes(), lambda: done.append("passed"))
        await settled(done, 2)
        works.do(passes(), lambda: done.append("passed later"))
        await settled(done, 3)
    assert logs == []


@given(st.lists(st.lists(st.integers(0, 2), max_size=4), min_size=1, max_size=12), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_works_of_any_shape_are_done_once_each(script: list[list[int]], at_once: int) -> None:
    """However often each waits, and whenever it comes, it runs to its end, and `done` is called after that."""

    async def main() -> None:
        works, ran, done = Works(asyncio.get_running_loop()), list[int](), list[int]()

        async def work(number: int, pauses: list[int]) -> None:
            for pause in pauses:
                for _ in range(pause):
                    await asyncio.sleep(0)
            ran.append(number)

        def ended(number: int) -> None:
            assert number in ran
            done.append(number)

        for number, pauses in enumerate(script):
            works.do(work(number, pauses), lambda number=number: ended(number))
            if number % at_once == 0:
                await asyncio.sleep(0)
        await settled(done, len(script))
        assert sorted(done) == sorted(ran) == list(range(len(script)))

    on_plain_loop(main)
