"""The wheel that wakes all sessions with one timer."""

import asyncio

import pytest

from tenfold.platform.realtime.lobby import SessionRules
from tenfold.platform.realtime.wheel import Wheel
from tests.platform.realtime_world import RealtimeWorld, Stopwatch, connected, everybody, person


class Sleeper:
    """Wants to be woken again every `period` seconds, `times` in all."""

    def __init__(self, period: float = 0, times: int = 1) -> None:
        self.woken: list[float] = []
        self.period, self.times = period, times

    def wake(self, now: float) -> float | None:
        self.woken.append(now)
        return now + self.period if len(self.woken) < self.times else None


async def test_everybody_is_woken_in_the_second_after_the_time() -> None:
    """Never before it; and the timer ends when nobody sleeps any more."""
    watch, turns = Stopwatch(), []
    wheel = Wheel(watch, each_second=lambda: turns.append(watch()))
    start = watch()
    sleepers = {due: Sleeper() for due in (0.0, 0.9, 1.0, 1.1, 7.5)}
    often = Sleeper(period=2.5, times=3)
    for due, sleeper in sleepers.items():
        wheel.add(sleeper, start + due)
    wheel.add(often, start)

    for _ in range(9):
        watch.seconds += 1
        wheel.turn()

    assert {due: [woken - start for woken in sleeper.woken] for due, sleeper in sleepers.items()} == {
        0.0: [1],
        0.9: [1],
        1.0: [2],
        1.1: [2],
        7.5: [8],
    }
    assert [woken - start for woken in often.woken] == [1, 4, 7]
    assert len(turns) == 9
    assert wheel._timer is None


async def test_the_timer_turns_it() -> None:
    """Without anybody's help."""
    wheel, sleeper = Wheel(asyncio.get_running_loop().time), Sleeper()
    wheel.add(sleeper, 0)

    async with asyncio.timeout(10):
        while not sleeper.woken:
            await asyncio.sleep(0.01)


async def test_a_late_wheel_lets_what_arrived_be_read_first() -> None:
    """A process that was busy must not take the answers it has not read yet for silence."""
    watch, sleeper = Stopwatch(), Sleeper()
    wheel = Wheel(watch)
    wheel.add(sleeper, watch())

    watch.seconds += 5
    wheel.turn()
    assert sleeper.woken == []
    wheel.turn()
    assert sleeper.woken == [watch()]
    wheel.stop()


@pytest.mark.parametrize("phase", [0.0, 0.25, 0.8])
async def test_wheels_of_many_processes_turn_at_moments_of_their_own(phase: float) -> None:
    """Else the pings of a whole machine would leave at once, and every message would wait behind them each second."""
    watch, sleeper = Stopwatch(), Sleeper()
    wheel = Wheel(watch, phase=phase)
    due = watch() + 0.5
    wheel.add(sleeper, due)

    while not sleeper.woken:
        watch.seconds += 0.01
        wheel.turn()

    (woken,) = sleeper.woken
    assert due <= woken <= due + 1.02
    assert (woken - phase) % 1 < 0.02


async def test_a_session_is_woken_when_a_subscription_token_ends() -> None:
    """Not with the next ping, which may be minutes later: until then somebody listens who may not any more."""
    watch = Stopwatch()
    world = RealtimeWorld(rules=SessionRules(ping_interval=120), may_listen=everybody, monotonic=watch)
    session, _, _ = await connected(world, person())
    session.subscribe("room:1", watch() + 60)
    session.subscribe("room:2", watch() + 30)

    assert session.wake(watch()) == watch() + 30
    watch.seconds += 30
    assert session.wake(watch()) == watch() + 30
    assert session.subscriptions == {"room:1": watch() + 30}
