"""Fairness: in which order jobs run, so that one tenant's flood delays nobody else and no priority starves another.

Start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queueing", SIGCOMM 1996): each job has a virtual start
time, jobs run in the order of these, and a tenant's next job starts when its previous one virtually ends:

    start = max(now, end of the tenant's previous job);   end = start + cost

We take the wall clock as the virtual time (as Zhang's VirtualClock, SIGCOMM 1990, does), because processes share it
without talking to each other. So ten jobs of one tenant overtake thousands of another, whose own order is kept.

A priority is a head start in seconds, and how far a tenant may fall behind is bounded: whatever waits is overtaken for
a bounded time only. A job that is due later starts later, so what waits for its time never stands in the way. The ends
are kept per process: a tenant that writes through several processes has a share in each.
"""

from datetime import UTC, datetime, timedelta

from tenfold.platform.jobs import Priority

HEAD_START: dict[Priority, timedelta] = {
    "high": timedelta(seconds=60),
    "normal": timedelta(0),
    "low": timedelta(minutes=-10),
}
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_TICK = timedelta(milliseconds=100)
_LARGEST = 2**31 - 1
_CROWD = 10_000


class FairShares:
    """The virtual end of each tenant's last job, in this process."""

    def __init__(
        self, *, cost: timedelta = timedelta(milliseconds=100), longest_lead: timedelta = timedelta(hours=1)
    ) -> None:
        """`cost` is a job's virtual length: 1/cost jobs per second are a tenant's share when everybody wants to run."""
        self._cost = cost
        self._longest_lead = longest_lead
        self._ends: dict[str, datetime] = {}

    def start_of(self, tenant: str | None, due: datetime) -> datetime:
        """The virtual start of a tenant's next job; a job of nobody starts when it is due."""
        if tenant is None:
            return due
        start = min(max(due, self._ends.get(tenant, due)), due + self._longest_lead)
        if len(self._ends) >= _CROWD:
            self._ends = {name: end for name, end in self._ends.items() if end > due}
        self._ends[tenant] = start + self._cost
        return start


def to_rank(start: datetime, priority: Priority) -> int:
    """A virtual start as PgQueuer's integer priority: the earlier, the higher; in steps of 100 ms, good until 2039."""
    ticks = (start - HEAD_START[priority] - _EPOCH) // _TICK
    return _LARGEST - min(max(ticks, 0), 2**32 - 1)
