"""What the numbers of a run say: percentiles over sends by when they were due, and when a spike was over. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.chat.generator import NEVER, Outcome

BOUND = 0.2
"""Seconds within which 95 of 100 messages must be at the other member's socket."""
_LONGEST = 60.0  # what never came counts as this


@dataclass(frozen=True)
class Latency:
    """Percentiles in milliseconds."""

    p50: float
    p95: float
    p99: float
    longest: float

    def as_json(self) -> dict[str, float]:
        """Rounded for the report."""
        return {
            "p50_ms": _ms(self.p50),
            "p95_ms": _ms(self.p95),
            "p99_ms": _ms(self.p99),
            "longest_ms": _ms(self.longest),
        }


def latency(seconds: Sequence[float]) -> Latency:
    """The percentiles of some waits (nearest rank, so that each is a wait that somebody had)."""
    if not seconds:
        return Latency(*(4 * [_LONGEST * 1_000]))
    ordered = sorted(seconds)
    picked = (ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.95, 0.99, 1.0))
    return Latency(*(1_000 * wait for wait in picked))


def due_between(outcome: Outcome, begin: float, end: float) -> range:
    """The sends that came due in a stretch of a run."""
    numbers = [number for number, due in enumerate(outcome.due) if begin <= due < end]
    return range(numbers[0], numbers[-1] + 1) if numbers else range(0)


def durable(outcome: Outcome, numbers: Sequence[int]) -> Latency:
    """From when sends were due until they were acknowledged; a refusal is as bad as silence."""
    return latency([_wait(outcome.due[n], outcome.answered[n] if outcome.seqs[n] else NEVER) for n in numbers])


def delivery(outcome: Outcome, numbers: Sequence[int]) -> Latency:
    """From when sends were due until the other member's socket had them."""
    return latency([_wait(outcome.due[n], outcome.delivered[n]) for n in numbers])


def lateness(outcome: Outcome, numbers: Sequence[int]) -> Latency:
    """How late the generator itself was: from when sends were due until they were written to a socket."""
    return latency([outcome.left[n] - outcome.due[n] for n in numbers if outcome.left[n] != NEVER])


def acknowledged(outcome: Outcome, numbers: Sequence[int]) -> int:
    """How many of some sends were acknowledged."""
    return sum(1 for n in numbers if outcome.seqs[n])


def refusals(outcome: Outcome) -> dict[str, int]:
    """What else than an acknowledgement was answered, by status; `none` is no answer at all."""
    counted: dict[str, int] = {}
    for status, seq in zip(outcome.statuses, outcome.seqs, strict=True):
        if not seq:
            name = str(status) if status else "none"
            counted[name] = counted.get(name, 0) + 1
    return counted


def seconds_to_recover(outcome: Outcome, since: float, until: float) -> float | None:
    """How long after `since` the sends that came due were late: up to the first second from which on every second
    keeps the bound. None when the last one does not."""
    recovered: float | None = None
    second = since
    while second + 1 <= until:
        holds = delivery(outcome, due_between(outcome, second, second + 1)).p95 < BOUND * 1_000
        recovered = (second - since if recovered is None else recovered) if holds else None
        second += 1
    return recovered


def by_second(outcome: Outcome, until: float) -> list[dict[str, Any]]:
    """A row per second: sends due, acknowledgements that came, and the p95 of delivery of what was due."""
    came = [int(at) for at, seq in zip(outcome.answered, outcome.seqs, strict=True) if seq]
    rows: list[dict[str, Any]] = []
    for second in range(int(until)):
        due = due_between(outcome, second, second + 1)
        rows.append({"due": len(due), "acknowledged": came.count(second), "p95_ms": _ms(delivery(outcome, due).p95)})
    return rows


def _wait(due: float, happened: float) -> float:
    return _LONGEST if happened == NEVER else happened - due


def _ms(value: float) -> float:
    return round(value, 1)
