"""The generic cell rate algorithm: pure arithmetic on whole microseconds, the same in every engine.

Source: ITU-T I.371 (virtual scheduling), in the form with weighted cost that Brandur Leach describes in "Rate Limiting,
Cells, and GCRA" (brandur.org/rate-limiting). The whole state of one asker is one number: the instant at which his burst
will be full again (the "theoretical arrival time"). Whole microseconds since 1970 stay below 2**53 until the year 2255,
so that an engine which only has doubles computes exactly the same.
"""

# (allowed, full_at, remaining, reset_after, retry_after): the state to keep (on a refusal without its cost), the calls
# left, and the µs until the burst is full and until this cost would pass. A plain tuple: it is made on every request.
Step = tuple[bool, int, int, int, int]


def decide(full_at: int, now: int, interval: int, calls: int, *, cost: int) -> Step:
    """Charge `cost` calls at `now` to a burst of `calls`, one of which comes back every `interval` µs.

    A cost above the burst spends the whole burst, or it could never pass. A state further ahead than a whole burst (the
    wall clock was set back, or the rate was lowered) counts as an empty burst, so that nobody waits over a period.
    """
    span = interval * calls
    if full_at < now:
        full_at = now
    elif full_at > now + span:
        full_at = now + span
    spent = full_at + interval * (cost if cost < calls else calls)
    wait = spent - span - now
    if wait > 0:
        return False, full_at, (now + span - full_at) // interval, full_at - now, wait
    return True, spent, -wait // interval, spent - now, 0
