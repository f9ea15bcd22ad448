"""Backoff: how long a failed job rests before its next try."""

from datetime import timedelta

from tenfold.platform.jobs import Retry


def rest_before(retry: Retry, failures: int, spread: float) -> timedelta | None:
    """The rest after so many failures, or None when that was the last try.

    The span `first * 2**n`, at most `longest`; one half of it is kept, the other spread by chance (`spread`, 0 to 1):
    the "equal jitter" of M. Brooker, "Exponential Backoff and Jitter" (AWS, 2015), so that rests grow and crowds part.
    """
    if failures >= retry.tries:
        return None
    whole = min(retry.first * 2 ** min(failures - 1, 20), retry.longest)
    return whole * (0.5 + spread / 2)
