"""The promise of jobs, over both engines."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tenfold.kit.ids import new_id
from tenfold.platform.db import Database
from tenfold.platform.jobs import Enqueued
from tenfold.platform.jobs.gauges import Gauges
from tenfold.platform.jobs.runner import Runner
from tenfold.platform.observe import metrics
from tests.platform import jobs_world as shop
from tests.platform.jobs_world import PostPublished, PostRead, Word, Workshop, workshop


@pytest.fixture(params=["memory", "postgres"])
async def work(request: pytest.FixtureRequest, shared_database: Database) -> Workshop:
    async with shared_database.write() as tx:
        await tx.connection.execute("truncate pgqueuer, job_effects, job_schedules restart identity")
    return workshop(request.param, shared_database)


async def test_each_follower_of_a_fact_runs_once(work: Workshop) -> None:
    """Followers are jobs of their own, and what they enqueue runs too."""
    await work.publish(PostPublished(author="ana", text="one"))

    ran = await work.drain()

    assert sorted(work.diary.lines) == ["fan out one", "index one", "indexed one"]
    assert ran == 3


async def test_a_fact_that_nobody_follows_leaves_nothing(work: Workshop) -> None:
    """Stating a fact is free until somebody follows it."""
    await work.publish(PostRead(text="one"))

    assert await work.drain() == 0
    assert await work.queue.depths() == []


async def test_a_rolled_back_transaction_leaves_no_job(work: Workshop) -> None:
    """A fact that did not happen is not followed."""
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the block is the transaction
        async with work.db.write() as tx:
            tx.publish(PostPublished(author="ana", text="one"))
            tx.enqueue(shop.say, Word("one"))
            raise ZeroDivisionError

    assert await work.drain() == 0
    assert work.diary.calls == []


async def test_a_job_that_is_not_declared_cannot_be_enqueued(work: Workshop) -> None:
    """It would wait for ever; so the transaction fails where the mistake is."""
    work = workshop("memory", work.db, without=(shop.say,))

    with pytest.raises(LookupError, match=r"shop\.say"):
        await work.enqueue(shop.say, Word("one"))


async def test_a_delayed_job_waits_for_its_time(work: Workshop) -> None:
    """Time is the clock's, which tests can set."""
    await work.enqueue(shop.say, Word("later"), delay=timedelta(hours=1))
    await work.drain()
    assert work.diary.lines == []

    work.clock.advance(timedelta(hours=1))
    await work.drain()

    assert "later" in work.diary.lines


async def test_a_failing_job_is_tried_again_after_growing_rests_then_kept(work: Workshop) -> None:
    """Three tries: at once, after 5 to 10 seconds, after 10 to 20; then it is a dead letter with its traceback."""
    work.diary.broken.add("oops")
    await work.enqueue(shop.say, Word("oops"))
    await work.enqueue(shop.say, Word("fine"))
    tries = []
    for seconds in (0, 4, 6, 9, 11):
        work.clock.advance(timedelta(seconds=seconds))
        await work.drain()
        tries.append(work.diary.calls.count("oops"))

    dead = (await work.queue.list_dead()).items

    assert tries == [1, 1, 2, 2, 3]
    assert work.diary.lines == ["fine"]
    assert [(one.job, one.payload, one.failures, one.type, one.message) for one in dead] == [
        ("shop.say", '{"text":"oops"}', 3, "RuntimeError", "oops is broken")
    ]
    assert "jobs_world.py" in (dead[0].traceback or "")


async def test_dead_letters_are_paged_replayed_and_dropped(work: Workshop) -> None:
    """Somebody repairs the cause, runs most of them again, and forgets one."""
    work.diary.broken |= {"a", "b", "c"}
    for text in ("a", "b", "c"):
        await work.enqueue(shop.say, Word(text))
    for _ in range(3):
        await work.drain()
        work.clock.advance(timedelta(minutes=1))

    first = await work.queue.list_dead(limit=2)
    rest = await work.queue.list_dead(limit=2, cursor=first.next)
    assert [one.payload for one in (*first.items, *rest.items)] == [
        '{"text":"c"}',
        '{"text":"b"}',
        '{"text":"a"}',
    ]
    assert rest.next is None

    work.diary.broken.clear()
    assert await work.queue.drop([first.items[0].id]) == 1
    assert await work.queue.replay([rest.items[0].id]) == 1
    assert await work.queue.replay(job="shop.say") == 1
    assert await work.queue.replay(job="shop.say") == 0
    await work.drain()

    assert sorted(set(work.diary.lines) - {"sweep", "lock up"}) == ["a", "b"]
    assert (await work.queue.list_dead()).items == []


async def test_two_jobs_with_one_key_take_effect_once(work: Workshop) -> None:
    """Together or one after the other, and for each kind of job by itself."""
    for _ in range(2):
        for _ in range(3):
            await work.enqueue(shop.say, Word("once"), key="k")
            await work.enqueue(shop.call_out, Word("once out"), key="k")
        await work.drain()

    assert sorted(work.diary.lines) == ["once", "once out"]


async def test_a_key_is_free_again_when_its_job_failed(work: Workshop) -> None:
    """What did not take effect has not been done."""
    work.diary.broken.add("again")
    await work.enqueue(shop.say, Word("again"), key="k")
    await work.drain()
    work.diary.broken.clear()

    work.clock.advance(timedelta(minutes=1))
    await work.drain()

    assert work.diary.lines == ["again"]


async def test_a_job_that_is_delivered_twice_takes_effect_once(work: Workshop) -> None:
    """The first worker was thought dead, and was only slow."""
    await work.enqueue(shop.say, Word("one"))
    slow, quick = uuid4(), uuid4()
    runner = Runner(work.db, work.queue, work.parts)

    [first] = await work.queue.pick(slow, 10, timedelta(minutes=1))
    assert await work.queue.pick(quick, 10, timedelta(minutes=1)) == []
    await asyncio.sleep(0.01)
    [second] = await work.queue.pick(quick, 10, timedelta(milliseconds=1))
    endings = [(await runner.run(worker, one)).ending for worker, one in ((quick, second), (slow, first))]

    assert endings == ["done", "skipped"]
    assert work.diary.lines == ["one"]


async def test_a_worker_that_gives_signs_of_life_keeps_its_jobs(work: Workshop) -> None:
    """A long job is not taken away from its worker."""
    await work.enqueue(shop.call_out, Word("one"))
    worker, other = uuid4(), uuid4()
    [picked] = await work.queue.pick(worker, 10, timedelta(minutes=1))
    await asyncio.sleep(0.2)

    await work.queue.beat(worker, [picked.id])

    assert await work.queue.pick(other, 10, timedelta(milliseconds=150)) == []


async def test_a_job_that_kills_its_workers_becomes_a_dead_letter(work: Workshop) -> None:
    """Its three tries, and three workers more: then it is put aside, before it takes every worker with it."""
    await work.enqueue(shop.say, Word("poison"))
    for _ in range(7):
        await work.queue.pick(uuid4(), 10, timedelta(milliseconds=1))
        await asyncio.sleep(0.01)

    quick = work.hire(silence=timedelta(milliseconds=1))
    await quick.drain()

    [dead] = (await work.queue.list_dead()).items
    assert (dead.type, work.diary.calls) == ("WorkersLostError", [])


async def test_a_payload_that_no_longer_decodes_becomes_a_dead_letter_at_once(work: Workshop) -> None:
    """Trying again would not make it any better, and the worker goes on."""
    async with work.db.write() as tx:
        tx.enqueue(shop.count, Word("not a number"))
        tx.enqueue(shop.say, Word("fine"))

    await work.drain()

    [dead] = (await work.queue.list_dead()).items
    assert (dead.job, dead.failures, dead.type) == ("shop.count", 1, "PayloadError")
    assert work.diary.lines == ["fine"]


async def test_a_job_that_takes_too_long_fails(work: Workshop) -> None:
    """A timeout is a failure like any other."""
    await work.enqueue(shop.dawdle)

    await work.drain()

    [dead] = (await work.queue.list_dead()).items
    assert dead.type == "TimeoutError"


async def test_jobs_run_by_priority_and_then_in_order(work: Workshop) -> None:
    """High is a head start of a minute, low a handicap of ten."""
    alone = work.hire(concurrency=1)
    async with work.db.write() as tx:
        for priority in ("low", "normal", "high"):
            for number in (1, 2):
                tx.enqueue(shop.say, Word(f"{priority} {number}"), priority=priority)

    await alone.drain()

    assert work.diary.lines == ["high 1", "high 2", "normal 1", "normal 2", "low 1", "low 2"]


async def test_one_tenant_cannot_starve_another(work: Workshop) -> None:
    """Ana floods the queue; Bob comes after her, and is served among the first.

    Each second that passes until he comes lets ten of hers go before: the more, the slower the machine.
    """
    registry = work.queue.registry
    async with work.db.write() as tx:
        wishes = [Enqueued(job=shop.say, payload=Word(f"ana {n}"), tenant="ana") for n in range(5_000)]
        await work.queue.write(tx, wishes, ())
    async with work.db.write() as tx:
        wishes = [Enqueued(job=shop.say, payload=Word(f"bob {n}"), tenant="bob") for n in range(10)]
        await work.queue.write(tx, wishes, ())

    first = await work.queue.pick(uuid4(), 320, timedelta(minutes=1))

    assert len(registry.names) == len(shop.JOBS)
    assert sum(b"bob" in (one.payload or b"") for one in first) == 10


async def test_ticks_that_were_missed_are_run_once(work: Workshop) -> None:
    """After a night without workers the floor is swept once, and then in its rhythm."""
    await work.drain()
    work.clock.advance(timedelta(hours=9))
    await work.drain()
    assert work.diary.lines.count("sweep") == 1

    for _ in range(3):
        work.clock.advance(timedelta(minutes=10))
        await work.drain()

    assert work.diary.lines.count("sweep") == 4


async def test_a_cron_expression_ticks_at_its_time(work: Workshop) -> None:
    """Three o'clock comes once a day."""
    await work.drain()
    now = work.clock.now()
    three = datetime(now.year, now.month, now.day, 3, tzinfo=UTC)
    until = (three if three > now else three + timedelta(days=1)) - now

    work.clock.advance(until - timedelta(minutes=1))
    await work.drain()
    before = work.diary.lines.count("lock up")
    work.clock.advance(timedelta(minutes=2))
    await work.drain()

    assert (before, work.diary.lines.count("lock up")) == (0, 1)


async def test_a_tick_of_two_workers_runs_once(work: Workshop) -> None:
    """The clock has one hand, however many look at it."""
    workers = [work.hire() for _ in range(4)]
    work.clock.advance(timedelta(minutes=10))

    await asyncio.gather(*(worker.drain() for worker in workers))

    assert work.diary.lines.count("sweep") == 1


async def test_a_failing_clock_job_leaves_only_its_last_dead_letter(work: Workshop) -> None:
    """A job that fails each minute does not fill the box of dead letters."""
    work.diary.broken.add("sweep")
    for _ in range(3):
        work.clock.advance(timedelta(minutes=10))
        await work.drain()

    dead = [one for one in (await work.queue.list_dead()).items if one.job == "shop.sweep"]

    assert len(dead) == 1
    assert work.diary.calls.count("sweep") == 3


async def test_a_commit_rouses_the_worker_of_its_own_process(work: Workshop) -> None:
    """Nobody waits for the next look at the queue."""
    worker = work.hire(poll=timedelta(seconds=30))
    await worker.start()
    await asyncio.sleep(0.1)
    started = time.monotonic()

    await work.enqueue(shop.say, Word("now"))
    while "now" not in work.diary.lines and time.monotonic() - started < 5:
        await asyncio.sleep(0.005)

    await worker.stop()
    assert time.monotonic() - started < 2


async def test_stopping_finishes_what_runs_and_gives_back_what_has_not_begun(work: Workshop) -> None:
    """A worker that leaves in good order leaves nothing half done, and nothing lost."""
    worker = work.hire(concurrency=1)
    for text in ("first", "second", "third"):
        await work.enqueue(shop.wait, Word(text))
    await worker.start()
    await asyncio.wait_for(work.diary.entered.wait(), 5)

    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0.05)
    work.diary.gate.set()
    await stopping
    finished = list(work.diary.lines)
    await work.drain()

    assert finished == ["first"]
    assert sorted(work.diary.lines) == ["first", "second", "third"]


async def test_a_job_that_outlasts_the_grace_is_given_back_untouched(work: Workshop) -> None:
    """It is cancelled, its transaction undone, and its try not counted."""
    worker = work.hire()
    await work.enqueue(shop.wait, Word("long"))
    await worker.start()
    await asyncio.wait_for(work.diary.entered.wait(), 5)

    await worker.stop(timedelta(milliseconds=50))
    [again] = await work.queue.pick(uuid4(), 10, timedelta(minutes=1))

    assert (again.job, again.failures) == ("shop.wait", 0)
    assert work.diary.lines == []


async def test_a_strict_drain_raises_what_jobs_raised(work: Workshop) -> None:
    """Tests of modules hear of a broken follower."""
    work.diary.broken.add("oops")
    await work.enqueue(shop.say, Word("oops"))

    with pytest.raises(ExceptionGroup) as raised:
        await work.worker.drain(strict=True)

    assert [str(error) for error in raised.value.exceptions] == ["oops is broken"]


async def test_the_gauges_show_what_waits(work: Workshop) -> None:
    """Depth by job, and the age of the oldest that is due."""
    await work.enqueue(shop.say, Word("one"))
    await work.enqueue(shop.say, Word("two"), delay=timedelta(hours=1))
    work.clock.advance(timedelta(minutes=2))
    gauges = Gauges(work.queue, work.clock)

    await gauges.refresh()
    waiting = metrics.registry.get_sample_value("tenfold_queue_depth", {"job": "shop.say"})
    age = metrics.registry.get_sample_value("tenfold_queue_age_seconds") or 0
    await work.drain()
    await gauges.refresh()

    assert waiting == 1
    assert 119 < age < 200
    assert metrics.registry.get_sample_value("tenfold_queue_depth", {"job": "shop.say"}) == 0


async def test_jobs_carry_the_request_they_come_from(work: Workshop) -> None:
    """A line of a job can be found by the request that caused it; the version says which shape the fact has."""
    from tenfold.platform.observe import logs

    request = str(new_id())
    logs.bind_request(request)
    await work.publish(PostPublished(author="ana", text="one"))

    picked = await work.queue.pick(uuid4(), 10, timedelta(minutes=1))

    assert [one.headers for one in picked] == [{"request_id": request, "version": 3}] * 2
