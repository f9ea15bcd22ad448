"""The engine in this process's memory: one number per asker and limit, bounded however many askers come."""

from collections.abc import Sequence
from itertools import islice

from prometheus_client import Counter

from tenfold.kit.clock import Clock
from tenfold.platform.limits import Decision, Demand, Limits, Rate
from tenfold.platform.limits.gcra import Step, decide
from tenfold.platform.observe import metrics

_SWEEP_EVERY = 15 * 60 * 1_000_000
_SMALLEST_SWEEP = 1024
_SAMPLE = 1001


class MemoryLimits(Limits):
    """Limits of one process: what it is told, it knows alone. It is never away."""

    def __init__(self, clock: Clock | None = None, *, max_askers: int = 200_000) -> None:
        """Holds at most `max_askers` numbers (about 200 bytes each); beyond, those who owe least are forgotten."""
        self._clock = clock or Clock()
        self._max = max_askers
        self._full_at: dict[str, dict[str, int]] = {}
        self._held = 0
        self._sweep_at = min(_SMALLEST_SWEEP, max_askers)
        self._swept = 0
        self._counters: dict[tuple[str, bool], Counter] = {}

    def __len__(self) -> int:
        return self._held

    async def take(self, demands: Sequence[Demand], *, fail_closed: bool = False) -> Decision:
        """Charge all demands, or none; `fail_closed` changes nothing here."""
        now = int(self._clock.now().timestamp() * 1e6)
        demand, step = self._take_one(demands[0], now) if len(demands) == 1 else self._take_all(demands, now)
        allowed, _, remaining, reset_after, retry_after = step
        try:
            self._counters[demand.name, allowed].inc()
        except KeyError:
            self._count_first(demand.name, allowed)
        return Decision(allowed, demand, remaining, reset_after / 1e6, retry_after / 1e6)

    async def forget(self, name: str, who: str) -> None:
        """Forget what an asker owes; his burst is full again."""
        if self._full_at.get(name, {}).pop(who, None) is not None:
            self._held -= 1

    def _take_one(self, demand: Demand, now: int) -> tuple[Demand, Step]:
        known = self._full_at.get(demand.name)
        step = _step(demand, 0 if known is None else known.get(demand.who, 0), now)
        if step[0] and demand.cost:
            self._keep(demand.name, demand.who, step[1], now)
        return demand, step

    def _take_all(self, demands: Sequence[Demand], now: int) -> tuple[Demand, Step]:
        charged: dict[tuple[str, str], int] = {}
        taken: list[tuple[Demand, Step]] = []
        for demand in demands:
            key = (demand.name, demand.who)
            full_at = charged[key] if key in charged else self._full_at.get(demand.name, {}).get(demand.who, 0)
            step = _step(demand, full_at, now)
            charged[key] = step[1]
            taken.append((demand, step))
        refused = [one for one in taken if not one[1][0]]
        if refused:
            return max(refused, key=_wait)
        for (name, who), full_at in charged.items():
            if full_at > now:
                self._keep(name, who, full_at, now)
        return min(taken, key=_calls_left)

    def _keep(self, name: str, who: str, full_at: int, now: int) -> None:
        table = self._full_at.get(name)
        if table is None:
            table = self._full_at[name] = {}
        if who not in table:
            if self._held >= self._sweep_at or now - self._swept > _SWEEP_EVERY:
                self._sweep(now)
                table = self._full_at.setdefault(name, {})
            self._held += 1
        table[who] = full_at

    def _sweep(self, now: int) -> None:
        """Forget whoever owes nothing. When that makes too little room, forget the half that owes least.

        The price of a sweep is spread over as many new askers as it has left, so that each pays a constant share.
        """
        self._keep_above(now)
        if 4 * self._held > 3 * self._max:
            every = (full_at for table in self._full_at.values() for full_at in table.values())
            sample = sorted(islice(every, 0, None, max(1, self._held // _SAMPLE)))
            self._keep_above(sample[len(sample) // 2])
        self._swept = now
        self._sweep_at = min(max(2 * self._held, _SMALLEST_SWEEP), self._max)

    def _keep_above(self, floor: int) -> None:
        kept = {
            name: {who: full_at for who, full_at in table.items() if full_at > floor}
            for name, table in self._full_at.items()
        }
        self._full_at = {name: table for name, table in kept.items() if table}
        self._held = sum(map(len, self._full_at.values()))

    def _count_first(self, name: str, allowed: bool) -> None:
        counter = metrics.limit_decisions.labels(name, "allowed" if allowed else "refused")
        self._counters[name, allowed] = counter
        counter.inc()


def _step(demand: Demand, full_at: int, now: int) -> Step:
    rate = demand.rate
    if rate.calls < 1:
        return _nothing(rate, now)
    interval = int(rate.period.total_seconds() * 1e6) // rate.calls or 1
    return decide(full_at, now, interval, rate.calls, cost=demand.cost)


def _nothing(rate: Rate, now: int) -> Step:
    return False, now, 0, 0, int(rate.period.total_seconds() * 1e6)


def _wait(taken: tuple[Demand, Step]) -> int:
    return taken[1][4]


def _calls_left(taken: tuple[Demand, Step]) -> int:
    return taken[1][2]
