"""The twins agree: whatever is enqueued, fails, waits, and is replayed, both engines end in the same state."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.platform.db import Database
from tests.platform import jobs_world as shop
from tests.platform.jobs_world import PostPublished, Word, Workshop, workshop

WORDS = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), WORDS, st.none() | WORDS, st.sampled_from([0, 15])),
        st.tuples(st.just("call out"), WORDS, st.none() | WORDS, st.just(0)),
        st.tuples(st.just("publish"), WORDS),
        st.tuples(st.just("roll back"), WORDS),
        st.tuples(st.just("break"), WORDS),
        st.tuples(st.just("repair"), WORDS),
        st.tuples(st.just("wait")),
        st.tuples(st.just("drain")),
        st.tuples(st.just("replay")),
        st.tuples(st.just("drop")),
    ),
    max_size=15,
)
TEN_MINUTES = timedelta(minutes=10)


@settings(max_examples=8, deadline=None)
@given(steps=STEPS)
async def test_both_engines_end_in_the_same_state(shared_database: Database, steps: list[tuple]) -> None:
    """The memory twin is what the promise says, in a hundred lines; the tables must do the same."""
    ends = []
    for engine in ("memory", "postgres"):
        async with shared_database.write() as tx:
            await tx.connection.execute("truncate pgqueuer, job_effects, job_schedules")
        ends.append(await _play(workshop(engine, shared_database), steps))

    assert ends[0] == ends[1]


async def _play(work: Workshop, steps: list[tuple]) -> tuple[object, ...]:
    work.worker = work.hire(concurrency=1)  # of two jobs with one key, the first is the first
    await work.drain()
    for step in (*steps, ("drain",), ("wait",), ("drain",)):
        await _take(work, step)
    dead = [(one.job, one.payload, one.failures) for one in (await work.queue.list_dead(100)).items]
    depths = sorted((one.job, one.waiting, one.dead) for one in await work.queue.depths())
    return sorted(work.diary.lines), sorted(work.diary.calls), sorted(dead), depths


async def _take(work: Workshop, step: tuple) -> None:
    match step:
        case ("say", text, key, minutes):
            await work.enqueue(shop.say, Word(text), key=key, delay=timedelta(minutes=minutes))
        case ("call out", text, key, _):
            await work.enqueue(shop.call_out, Word(text), key=key)
        case ("publish", text):
            await work.publish(PostPublished(author=text, text=text))
        case ("roll back", text):
            await _roll_back(work, text)
        case ("break", text):
            work.diary.broken |= {text, f"fan out {text}"}
        case ("repair", text):
            work.diary.broken -= {text, f"fan out {text}"}
        case ("wait",):
            work.clock.advance(TEN_MINUTES)
        case ("drain",):
            await work.drain()
        case ("replay",):
            await work.queue.replay(job="shop.say")
        case ("drop",):
            await work.queue.drop([one.id for one in (await work.queue.list_dead(100)).items])
        case _:
            raise AssertionError(step)


async def _roll_back(work: Workshop, text: str) -> None:
    try:
        async with work.db.write() as tx:
            tx.publish(PostPublished(author=text, text=text))
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
