"""The clock: where every part takes its time from, so that a test can set it."""

from datetime import UTC, datetime, timedelta


class Clock:
    """Says what time it is, in UTC."""

    def now(self) -> datetime:
        """The current instant, with its zone (UTC)."""
        return datetime.now(UTC)


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
