"""The wheel: wakes many sessions at their times with one timer; a timer or a task for each would cost memory."""

import asyncio
from collections.abc import Callable
from typing import Protocol


class Sleeper(Protocol):
    """Whoever is woken: a session."""

    def wake(self, now: float) -> float | None:
        """Do what is due; answer when to be woken again, or None for never."""
        ...


LATE = 1.0
GRACE = 0.25


class Wheel:
    """Wakes each sleeper in the second after it was due. Its timer runs only while somebody sleeps.

    A timer that fires `LATE` or later means that the process was busy, so what arrived meanwhile (pongs, for one) may
    still wait to be read: then the wheel turns only after a `GRACE` in which that is done.
    """

    def __init__(
        self, monotonic: Callable[[], float], each_second: Callable[[], None] = lambda: None, *, phase: float = 0.0
    ) -> None:
        """`each_second` is called on every turn, before the sleepers. It turns at seconds plus `phase`, below 1.

        The wheels of many processes on a machine need different phases: else all of them turn at once.
        """
        self._now = monotonic
        self._each_second = each_second
        self._phase = phase
        self._slots: dict[int, list[Sleeper]] = {}
        self._turned = self._second(monotonic())
        self._timer: asyncio.TimerHandle | None = None
        self._waits = False

    def add(self, sleeper: Sleeper, due: float) -> None:
        """Wake a sleeper once, when it is due."""
        if self._timer is None:
            self._turned = self._second(self._now())
            self._wind()
        self._slots.setdefault(max(self._second(due), self._turned) + 1, []).append(sleeper)

    def stop(self) -> None:
        """Wake nobody any more."""
        self._slots.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def turn(self) -> None:
        """Wake everybody who is due by now. The timer calls it every second."""
        now = self._now()
        self._waits = not self._waits and now - self._phase - self._turned - 1 > LATE
        if self._waits:
            self._timer = asyncio.get_running_loop().call_later(GRACE, self.turn)
            return
        first, self._turned = self._turned + 1, self._second(now)
        self._each_second()
        for second in range(first, self._turned + 1):
            for sleeper in self._slots.pop(second, ()):
                due = sleeper.wake(now)
                if due is not None:
                    self.add(sleeper, due)
        self._timer = None
        if self._slots:
            self._wind()

    def _wind(self) -> None:
        until_next = self._turned + 1 + self._phase - self._now()
        self._timer = asyncio.get_running_loop().call_later(max(0.0, until_next), self.turn)

    def _second(self, moment: float) -> int:
        return int(moment - self._phase)
