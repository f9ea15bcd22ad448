"""Rhythms: when a job of the clock is due next, by a span or by a cron expression in UTC."""

from datetime import datetime, timedelta

from croniter import croniter

Rhythm = timedelta | str


def name_of(rhythm: Rhythm) -> str:
    """A rhythm as text, to tell whether it has been changed since it was stored."""
    return rhythm if isinstance(rhythm, str) else f"every {rhythm.total_seconds():g} s"


def next_after(rhythm: Rhythm, last: datetime, now: datetime) -> datetime:
    """The first tick after `now`, in the rhythm that ticked at `last`: however many were missed, they are one."""
    if isinstance(rhythm, str):
        return croniter(rhythm, max(last, now)).get_next(datetime)
    if now < last:
        return last + rhythm
    return last + ((now - last) // rhythm + 1) * rhythm
