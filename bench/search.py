"""The search for the highest rate that a system sustains with 99 of 100 answers within the bound."""

import asyncio
import itertools
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.load import Order, Outcome, play
from bench.machine import Stopwatch
from bench.systems import System

BOUND = 50.0
_CONNECTIONS = 64
_CLOSED_CONNECTIONS = 16
_LONGEST_SETTLING = 20.0
_IDLE_SHARE = 0.15
_LEAST = 4.0


@dataclass(frozen=True)
class Effort:
    """How much time a search takes: seconds per probe and probes in the first and in later rounds."""

    seconds: float
    warm_up: float
    first: int
    later: int
    poisson: bool = False


@dataclass
class Probe:
    """One run at one rate: what came back, and the processor time per request, deferred work included."""

    rate: float
    outcome: Outcome
    server_us: float
    postgres_us: float
    settling: float

    @property
    def holds(self) -> bool:
        """Whether the bound was kept."""
        return not self.outcome.gave_up and self.outcome.answered > 0 and self.outcome.p99 < BOUND


@dataclass
class Trial:
    """One scenario on one system: the best probe of each round."""

    requests: Iterator[bytes]
    best: list[Probe] = field(default_factory=list)
    failed: list[Probe] = field(default_factory=list)

    def median(self, what: str) -> float:
        """The median over the rounds of `throughput`, `server_us`, `postgres_us`, `p50`, `p99` or `settling`."""
        values = [getattr(probe.outcome if hasattr(probe.outcome, what) else probe, what) for probe in self.best]
        return statistics.median(values) if values else 0.0


class Search:
    """Probes one system after the other; the id of the database's process says whose time is Postgres's."""

    def __init__(self, postgres: int, effort: Effort) -> None:
        self._postgres = postgres
        self._effort = effort

    async def round(self, system: System, trial: Trial) -> Probe | None:
        """Find the highest rate that holds, near the one of the rounds before."""
        known = trial.median("throughput")
        rate = known or 0.95 * await self._closed(system, trial)
        probes = self._effort.later if known else self._effort.first
        best: Probe | None = None
        low, high = 0.0, float("inf")
        for number in range(probes + 2):
            if number >= probes and best is not None:
                break
            probe = await self._probe_fairly(system, trial, max(rate, 1.0))
            if probe.holds:
                best, low = probe, rate
                rate = min(rate * (1.4 if probe.outcome.p99 < BOUND / 2 else 1.15), (rate + high) / 2)
            else:
                trial.failed.append(probe)
                high = rate
                rate = (low + high) / 2 if low else rate * (0.85 if probe.outcome.p99 < 4 * BOUND else 0.7)
            if rate < 1.0 or (high - low) / high < 0.03:
                break
        if best is not None:
            trial.best.append(best)
        return best

    async def _probe_fairly(self, system: System, trial: Trial, rate: float) -> Probe:
        """A probe; one that misses by little is made again, since others on the machine may have been the reason."""
        probe = await self.probe(system, trial, rate)
        missed_by_little = not probe.holds and not probe.outcome.gave_up and probe.outcome.p99 < 4 * BOUND
        return await self.probe(system, trial, rate) if missed_by_little else probe

    async def probe(self, system: System, trial: Trial, rate: float) -> Probe:
        """One open-loop run, and then a wait until the deferred work is done."""
        effort = self._effort
        seconds = max(effort.seconds, min(40 / rate, 3 * effort.seconds))
        count = int(rate * (seconds + effort.warm_up) * 1.2) + 10
        order = Order(
            port=system.port,
            requests=list(itertools.islice(trial.requests, count)),
            seconds=seconds,
            rate=rate,
            poisson=effort.poisson,
            warm_up=effort.warm_up,
            connections=_CONNECTIONS,
        )
        watch = Stopwatch(system.pid, self._postgres)
        outcome = await play(order)
        settling = await self.settle(system)
        served = max(1.0, outcome.answered * (seconds + effort.warm_up) / seconds)
        return Probe(rate, outcome, 1e6 * watch.server() / served, 1e6 * watch.postgres() / served, settling)

    async def _closed(self, system: System, trial: Trial) -> float:
        order = Order(
            port=system.port,
            requests=list(itertools.islice(trial.requests, 4000)),
            seconds=self._effort.seconds / 2,
            warm_up=self._effort.warm_up,
            connections=_CLOSED_CONNECTIONS,
        )
        outcome = await play(order)
        await self.settle(system)
        return max(outcome.throughput, _LEAST)

    async def settle(self, system: System) -> float:
        """Seconds until neither the system nor the database is busy any more."""
        waited, step = 0.0, 0.15
        while waited < _LONGEST_SETTLING:
            watch = Stopwatch(system.pid, self._postgres)
            await asyncio.sleep(step)
            if watch.server() + watch.postgres() < _IDLE_SHARE * step:
                break
            waited += step
        return waited
