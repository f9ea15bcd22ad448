"""The clock: where every part takes its time from, so that a test can set it."""

from datetime import UTC, datetime, timedelta

_A_CENTURY = timedelta(days=36_525)


class Clock:
    """Says what time it is, in UTC."""

    def now(self) -> datetime:
        """The current instant, with its zone (UTC)."""
        return datetime.now(UTC)


def lies_ahead(instant: datetime, now: datetime) -> bool:
    """Whether an instant has a zone and comes after now, within a hundred years; not every later one can be stored."""
    return instant.tzinfo is not None and timedelta() < instant - now < _A_CENTURY


class SetClock(Clock):
    """A clock that runs on from wherever it was last set, for tests and for what-if runs."""

    def __init__(self) -> None:
        self._offset = timedelta()

    def now(self) -> datetime:
        """The current instant, moved by what this clock was advanced."""
        return datetime.now(UTC) + self._offset

    def advance(self, span: timedelta) -> None:
        """Move this clock forward by a span."""
        self._offset += span
