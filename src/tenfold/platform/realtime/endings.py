"""Endings: who lost the right to a channel, so that a subscription token from before that is not taken at its word.

A token says what was true when it was issued, and lasts for minutes; a client of somebody's own making could use it.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from tenfold.kit.clock import Clock

CLOCKS_DIFFER = timedelta(seconds=2)
"""A token that is issued on a machine whose clock is ahead bears a later time than the loss of the right."""
REMEMBERED = 10_000


class Endings:
    """What one process has heard of. What it has not heard, or forgotten, it knows that it does not know."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ended: dict[tuple[UUID, str], datetime] = {}
        self._known_since = clock.now()

    def note(self, user_ids: Iterable[UUID], channel: str) -> None:
        """These users have lost the right to a channel just now. The oldest endings are forgotten."""
        now = self._clock.now()
        for user_id in user_ids:
            self._ended.pop((user_id, channel), None)
            self._ended[user_id, channel] = now
        while len(self._ended) > REMEMBERED:
            self._known_since = max(self._known_since, self._ended.pop(next(iter(self._ended))))

    def doubt(self) -> None:
        """Endings may have been missed until now."""
        self._ended.clear()
        self._known_since = self._clock.now()

    def may_outdate(self, issued_at: datetime, user_id: UUID, channel: str) -> bool:
        """Whether the user may have lost the right since then: the module must be asked."""
        ended_at = self._ended.get((user_id, channel), self._known_since)
        return issued_at <= max(ended_at, self._known_since) + CLOCKS_DIFFER
