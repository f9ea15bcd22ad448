"""Company: whether other processes hear what this one tells over the bus.

Telling costs a transaction for each publication. So a process that is mostly alone tells nothing while it hears of
nobody, and says that something is missing when somebody comes after all.
"""

import math
import time
from collections.abc import Awaitable, Callable

from tenfold.platform.realtime.presence import KEPT_AFTER, LEASE

LASTS = (1 + KEPT_AFTER) * LEASE.total_seconds()
"""Seconds after which somebody who said nothing is gone, here as in presence: every process says that it is there."""

ANSWERED = 3.0
"""Seconds after the start in which whoever is there has answered: each asks a newcomer at once for what it has."""


class Company:
    """In doubt there is company: after the start, and whenever somebody was heard or may not have been."""

    def __init__(self, *, is_certain: bool = True, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`is_certain` says that there is always some."""
        self._now = monotonic
        self._until = math.inf if is_certain else monotonic() + ANSWERED
        self._returned: list[Callable[[], Awaitable[None]]] = []

    @property
    def is_here(self) -> bool:
        """Whether others must be told."""
        return self._now() < self._until

    def on_return(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Call this when somebody has come who was not told what was said before."""
        self._returned.append(callback)

    async def note(self) -> None:
        """Somebody was heard, or may have come unheard: from now on they are told."""
        was_here = self.is_here
        self._until = max(self._until, self._now() + LASTS)
        if not was_here:
            for callback in self._returned:
                await callback()
