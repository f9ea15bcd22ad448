"""The limits: one suite over every engine, and the arithmetic against a brute-force model."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.kit.clock import Clock, SetClock
from tenfold.platform.limits import Demand, Limits, Rate
from tenfold.platform.limits.gcra import decide
from tenfold.platform.limits.memory import MemoryLimits
from tenfold.platform.observe import metrics

MINUTE = timedelta(minutes=1)
FIVE = Rate(5, MINUTE)


@asynccontextmanager
async def memory(clock: Clock) -> AsyncIterator[Limits]:
    yield MemoryLimits(clock)


ENGINES: list[Callable[[Clock], AbstractAsyncContextManager[Limits]]] = [memory]


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.__name__)
async def limits(request: pytest.FixtureRequest, clock: SetClock) -> AsyncIterator[Limits]:
    async with request.param(clock) as engine:
        yield engine


def calls(who: str, rate: Rate = FIVE, *, cost: int = 1, name: str = "calls") -> Demand:
    return Demand(name, who, rate, cost)


async def test_a_whole_burst_passes_and_the_next_call_waits(limits: Limits) -> None:
    """The rate's calls may all come at once; the answer counts them down and says how long to wait."""
    answers = [await limits.take([calls("ana")]) for _ in range(6)]

    assert [answer.remaining for answer in answers] == [4, 3, 2, 1, 0, 0]
    assert [answer.allowed for answer in answers] == [True] * 5 + [False]
    assert answers[4].retry_after == 0
    assert 11 < answers[5].retry_after <= 12
    assert 59 < answers[5].reset_after <= 60


async def test_calls_come_back_one_by_one(limits: Limits, clock: SetClock) -> None:
    """There is no window whose end gives everything back at once."""
    await limits.take([calls("ana", cost=5)])
    clock.advance(timedelta(seconds=24))

    answers = [await limits.take([calls("ana")]) for _ in range(3)]

    assert [answer.allowed for answer in answers] == [True, True, False]


async def test_askers_and_limits_do_not_share(limits: Limits) -> None:
    """One asker's calls cost no other anything, and one limit is not another."""
    await limits.take([calls("ana", cost=5)])

    assert not (await limits.take([calls("ana")])).allowed
    assert (await limits.take([calls("bob")])).allowed
    assert (await limits.take([calls("ana", name="mail")])).allowed


async def test_demands_are_charged_together_or_not_at_all(limits: Limits) -> None:
    """A call that its door's extra limit refuses costs nothing of the budget."""
    await limits.take([calls("ana", name="mail", cost=5)])

    answer = await limits.take([calls("ana"), calls("ana", name="mail")])

    assert (answer.allowed, answer.demand.name) == (False, "mail")
    assert (await limits.take([calls("ana")])).remaining == 4


async def test_the_answer_is_about_the_tightest_demand(limits: Limits) -> None:
    """A client that is told of one limit is told of the one it will meet first."""
    answer = await limits.take([calls("ana", Rate(300, MINUTE)), calls("ana", name="mail")])

    assert (answer.demand.name, answer.remaining) == ("mail", 4)


async def test_the_longest_wait_is_the_one_told(limits: Limits) -> None:
    """Coming back after the told wait must not meet a second refusal."""
    hour = Rate(1, timedelta(hours=1))
    await limits.take([calls("ana", cost=5), calls("ana", hour, name="upload")])

    answer = await limits.take([calls("ana"), calls("ana", hour, name="upload")])

    assert answer.demand.name == "upload"
    assert answer.retry_after > 3500


async def test_the_same_demand_twice_costs_twice(limits: Limits) -> None:
    """A door may name the same limit as its class does; both count."""
    answer = await limits.take([calls("ana"), calls("ana")])

    assert answer.remaining == 3
    assert (await limits.take([calls("ana")])).remaining == 2


async def test_a_cost_above_the_burst_spends_the_burst(limits: Limits) -> None:
    """A costly door stays usable where a small rate is configured."""
    assert (await limits.take([calls("ana", cost=50)])).remaining == 0
    assert not (await limits.take([calls("ana")])).allowed


async def test_a_rate_of_nothing_refuses_everything(limits: Limits) -> None:
    """An administrator closes a class of doors by setting its rate to 0."""
    answer = await limits.take([calls("ana", Rate(0, MINUTE))])

    assert (answer.allowed, answer.remaining, answer.retry_after) == (False, 0, 60)


async def test_forgetting_gives_a_clean_slate(limits: Limits) -> None:
    """An administrator can let somebody back in; an unknown asker is forgotten without complaint."""
    await limits.take([calls("ana", cost=5)])

    await limits.forget("calls", "ana")
    await limits.forget("calls", "nobody")
    await limits.forget("nothing", "ana")

    assert (await limits.take([calls("ana")])).remaining == 4


async def test_decisions_are_counted(limits: Limits) -> None:
    """How many are refused, by which limit, is what an operator watches."""
    allowed, refused = (metrics.limit_decisions.labels("counted", outcome) for outcome in ("allowed", "refused"))
    before = allowed._value.get(), refused._value.get()

    for _ in range(7):
        await limits.take([calls("ana", name="counted")])

    assert (allowed._value.get() - before[0], refused._value.get() - before[1]) == (5, 2)


async def test_memory_forgets_those_who_owe_nothing(clock: SetClock) -> None:
    """A process that runs for months holds only the askers of the last minutes."""
    limits = MemoryLimits(clock)
    for number in range(5000):
        await limits.take([calls(f"asker {number}")])
    assert len(limits) == 5000

    clock.advance(timedelta(minutes=16))
    await limits.take([calls("ana")])

    assert len(limits) == 1


async def test_a_flood_of_askers_is_bounded_and_washes_nobody_clean(clock: SetClock) -> None:
    """Many addresses with a call each cannot fill the memory, nor make room for one that spent its whole burst."""
    limits = MemoryLimits(clock, max_askers=100)
    await limits.take([calls("eve", cost=5)])

    for number in range(5000):
        await limits.take([calls(f"asker {number}")])
        assert len(limits) <= 100

    assert not (await limits.take([calls("eve")])).allowed


async def test_refused_calls_take_no_memory(clock: SetClock) -> None:
    """What is refused leaves no trace, also for those who were never seen."""
    limits = MemoryLimits(clock)

    for number in range(50):
        await limits.take([calls(f"asker {number}", Rate(0, MINUTE))])

    assert len(limits) == 0


class Tokens:
    """The brute-force model: a bucket of exact fractions of a token, refilled by the passing of time."""

    def __init__(self, size: int, interval: int) -> None:
        self.size, self.interval, self.level, self.at = size, interval, Fraction(size), 0

    def take(self, cost: int, now: int) -> tuple[bool, int, int, int]:
        self.level = min(Fraction(self.size), self.level + Fraction(now - self.at, self.interval))
        self.at = now
        cost = min(cost, self.size)
        allowed = self.level >= cost
        wait = Fraction(0) if allowed else (cost - self.level) * self.interval
        if allowed:
            self.level -= cost
        return allowed, int(self.level), int((self.size - self.level) * self.interval), int(wait)


@given(
    size=st.integers(1, 12),
    interval=st.integers(1, 50),
    asks=st.lists(st.tuples(st.integers(0, 120), st.integers(0, 15)), max_size=60),
)
def test_the_arithmetic_agrees_with_a_bucket_of_tokens(size: int, interval: int, asks: list[tuple[int, int]]) -> None:
    """GCRA keeps one number where a bucket keeps two and a clock; every answer must be the same."""
    model, full_at, now = Tokens(size, interval), 0, 0

    for pause, cost in asks:
        now += pause
        allowed, full_at, *rest = decide(full_at, now, interval, size, cost=cost)

        assert (allowed, *rest) == model.take(cost, now)


@given(full_at=st.integers(0, 10**6), now=st.integers(0, 10**6), cost=st.integers(0, 9))
def test_nobody_waits_longer_than_a_period_whatever_the_clock_did(full_at: int, now: int, cost: int) -> None:
    """A wall clock that was set back must not lock people out until it has caught up."""
    _, kept, remaining, reset_after, retry_after = decide(full_at, now, 100, 5, cost=cost)

    assert now <= kept <= now + 500
    assert 0 <= remaining <= 5
    assert 0 <= reset_after <= 500
    assert 0 <= retry_after <= 500
