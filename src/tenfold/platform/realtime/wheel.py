"""The wheel: wakes many sessions at their times with one timer; a timer or a task for each would cost memory."""

import asyncio
from collections.abc import Callable
from typing import Protocol


class Sleeper(Protocol):
    """Whoever is woken: a session."""

    def wake(self, now: float) -> float | None:
        """Do what is due; answer when to be woken again, or None for never."""
        ...


class Wheel:
    """Wakes each sleeper in the second after it was due. Its timer runs only while somebody sleeps."""

    def __init__(self, monotonic: Callable[[], float], each_second: Callable[[], None] = lambda: None) -> None:
        """`each_second` is called on every turn, before the sleepers."""
        self._now = monotonic
        self._each_second = each_second
        self._slots: dict[int, list[Sleeper]] = {}
        self._turned = int(monotonic())
        self._timer: asyncio.TimerHandle | None = None

    def add(self, sleeper: Sleeper, due: float) -> None:
        """Wake a sleeper once, when it is due."""
        if self._timer is None:
            self._turned = int(self._now())
            self._wind()
        self._slots.setdefault(max(int(due), self._turned) + 1, []).append(sleeper)

    def stop(self) -> None:
        """Wake nobody any more."""
        self._slots.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wind(self) -> None:
        until_next = self._turned + 1 - self._now()
        self._timer = asyncio.get_running_loop().call_later(max(0.0, until_next), self._turn)

    def _turn(self) -> None:
        now = self._now()
        first, self._turned = self._turned + 1, int(now)
        self._each_second()
        for second in range(first, self._turned + 1):
            for sleeper in self._slots.pop(second, ()):
                due = sleeper.wake(now)
                if due is not None:
                    self.add(sleeper, due)
        self._timer = None
        if self._slots:
            self._wind()
