"""The search for the highest rate of sends that is at the other members' sockets in time."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from bench.chat import figures
from bench.chat.generator import Outcome
from bench.chat.verify import Verdict

_STEP = 1.3
_CLOSE_ENOUGH = 0.06
_LEAST = 5.0


@dataclass(frozen=True)
class Cores:
    """How many cores each was busy with, over a run."""

    server: float
    postgres: float
    generator: float

    def as_json(self) -> dict[str, float]:
        """Rounded for the report."""
        return {
            "server": round(self.server, 2),
            "postgres": round(self.postgres, 2),
            "generator": round(self.generator, 2),
        }


@dataclass(frozen=True)
class Probe:
    """One run at one rate; the figures are of the sends that came due after the warm-up."""

    rate: float
    warm_up: float
    seconds: float
    outcome: Outcome
    cores: Cores
    verdict: Verdict

    @property
    def numbers(self) -> range:
        """The sends that count."""
        return figures.due_between(self.outcome, self.warm_up, self.warm_up + self.seconds)

    @property
    def per_second(self) -> float:
        """Acknowledged sends per second."""
        return figures.acknowledged(self.outcome, self.numbers) / self.seconds

    @property
    def holds(self) -> bool:
        """Whether everything was acknowledged, and delivered within the bound for 95 of 100."""
        if self.outcome.gave_up or not self.numbers or not self.verdict.is_clean:
            return False
        is_complete = figures.acknowledged(self.outcome, self.numbers) == len(self.numbers)
        return is_complete and figures.delivery(self.outcome, self.numbers).p95 < figures.BOUND * 1_000

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        sends = max(1, figures.acknowledged(self.outcome, range(len(self.outcome.due))))
        return {
            "rate": round(self.rate, 1),
            "holds": self.holds,
            "gave_up": self.outcome.gave_up,
            "acknowledged_per_second": round(self.per_second, 1),
            "durable": figures.durable(self.outcome, self.numbers).as_json(),
            "delivery": figures.delivery(self.outcome, self.numbers).as_json(),
            "generator_late": figures.lateness(self.outcome, self.numbers).as_json(),
            "refusals": figures.refusals(self.outcome),
            "cores": self.cores.as_json(),
            "server_us_per_send": round(1e6 * self.cores.server * self.outcome.seconds / sends),
            "postgres_us_per_send": round(1e6 * self.cores.postgres * self.outcome.seconds / sends),
            "verdict": self.verdict.as_json(),
        }


async def highest(
    probe: Callable[[float], Awaitable[Probe]], start: float, most: int, say: Callable[[Probe], None]
) -> tuple[Probe | None, list[Probe]]:
    """Step up until a rate does not hold, then halve what is between; at most so many probes.

    A rate that misses is tried once more before it counts, since others on the machine may have been the reason.
    """
    best: Probe | None = None
    made: list[Probe] = []
    low, high, rate = 0.0, float("inf"), start
    while len(made) < most and rate >= _LEAST:
        tried = await probe(rate)
        made.append(tried)
        say(tried)
        if not tried.holds and not tried.outcome.gave_up and len(made) < most:
            tried = await probe(rate)
            made.append(tried)
            say(tried)
        if tried.holds:
            best, low = tried, rate
            rate = rate * _STEP if high == float("inf") else (low + high) / 2
        else:
            high = rate
            rate = (low + high) / 2 if low else rate / _STEP**2
        if low and (high - low) / high < _CLOSE_ENOUGH:
            break
    return best, made
