"""The arithmetic of jobs: fair shares, ranks, rests and rhythms, against what they promise."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.platform.jobs import Priority, Retry
from tenfold.platform.jobs.backoff import rest_before
from tenfold.platform.jobs.fairness import FairShares, to_rank
from tenfold.platform.jobs.registry import Registry
from tenfold.platform.jobs.rhythm import next_after
from tests.platform import jobs_world as shop

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SPANS = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=365))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 200)), max_size=200))
def test_a_tenant_is_never_further_back_than_its_own_jobs(arrivals: list[tuple[str, int]]) -> None:
    """Whatever others enqueue, a tenant's next job starts after its own at most: the definition of a fair share."""
    shares, own = FairShares(cost=timedelta(seconds=1)), dict.fromkeys("abc", 0)
    at = 0
    for tenant, gap in arrivals:
        at += gap
        start = shares.start_of(tenant, NOW + timedelta(seconds=at))

        assert NOW + timedelta(seconds=at) <= start <= NOW + timedelta(seconds=at + own[tenant])
        own[tenant] += 1


@given(st.integers(1, 300))
def test_ten_jobs_overtake_a_flood(flood: int) -> None:
    """At most as many jobs of the flood go first as there are of the other."""
    shares = FairShares()
    loud = [shares.start_of("loud", NOW) for _ in range(flood)]
    quiet = [shares.start_of("quiet", NOW) for _ in range(10)]

    assert sum(start < quiet[-1] for start in loud) <= 10


def test_a_tenant_falls_behind_for_a_bounded_time_only() -> None:
    """The last of a million jobs is overtaken for an hour at most."""
    shares = FairShares(longest_lead=timedelta(hours=1))

    starts = [shares.start_of("loud", NOW) for _ in range(40_000)]

    assert max(starts) == NOW + timedelta(hours=1)


def test_a_crowd_of_tenants_is_forgotten() -> None:
    """The ends of jobs that are long over take no memory."""
    shares = FairShares()
    for number in range(25_000):
        shares.start_of(str(number), NOW + timedelta(seconds=number))

    assert len(shares._ends) <= 10_000


@given(SPANS, SPANS, st.sampled_from(["high", "normal", "low"]))
def test_the_earlier_start_has_the_higher_rank(one: timedelta, other: timedelta, priority: Priority) -> None:
    """Within a priority the order is that of the starts, to a tenth of a second."""
    first, second = sorted((one, other))

    assert to_rank(NOW + first, priority) >= to_rank(NOW + second, priority)
    if second - first > timedelta(milliseconds=100):
        assert to_rank(NOW + first, priority) > to_rank(NOW + second, priority)


def test_low_never_starves() -> None:
    """A low job goes before every high one that came more than eleven minutes later."""
    low = to_rank(NOW, "low")

    assert to_rank(NOW, "high") > to_rank(NOW, "normal") > low
    assert low > to_rank(NOW + timedelta(minutes=12), "high")


@given(st.datetimes(timezones=st.just(UTC)), st.sampled_from(["high", "normal", "low"]))
def test_a_rank_fits_its_column(start: datetime, priority: Priority) -> None:
    """Whatever the clock says, the number is one that Postgres takes for an integer."""
    try:
        rank = to_rank(start, priority)
    except OverflowError:  # a head start of the first minute that Python knows, or of the last
        return

    assert -(2**31) <= rank < 2**31


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 30))
def test_rests_grow_until_the_longest(one: float, other: float, failures: int) -> None:
    """However the chances fall, the next rest is not shorter while it doubles, and never above the longest."""
    retry = Retry(tries=100, first=timedelta(seconds=1), longest=timedelta(minutes=10))
    rest, following = rest_before(retry, failures, one), rest_before(retry, failures + 1, other)

    assert rest is not None
    assert following is not None
    assert timedelta(milliseconds=500) <= rest <= timedelta(minutes=10)
    assert following >= min(rest, timedelta(minutes=5))


def test_the_last_try_is_the_last() -> None:
    """Eight tries are eight tries."""
    assert rest_before(Retry(tries=8), 7, 0) is not None
    assert rest_before(Retry(tries=8), 8, 0) is None


@given(SPANS, st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=30)))
def test_the_next_tick_is_the_first_after_now_and_in_phase(gone: timedelta, rhythm: timedelta) -> None:
    """However many ticks were missed, one comes next, in the old rhythm."""
    following = next_after(rhythm, NOW, NOW + gone)

    assert NOW + gone < following <= NOW + gone + rhythm
    assert (following - NOW) % rhythm == timedelta(0)


def test_two_jobs_of_one_name_are_a_mistake() -> None:
    """The rows of one would be run by the other."""
    twin = shop.job()(shop.say.function)
    twin.name = shop.say.name

    with pytest.raises(ValueError, match=r"two jobs are named shop\.say"):
        Registry([shop.say, twin])
