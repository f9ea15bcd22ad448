"""Limits: how much of something one asker may do in a time, by the generic cell rate algorithm, with weighted cost.

All demands of one request are decided together: either every one is charged, or none.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import timedelta

import msgspec


class Rate(msgspec.Struct, frozen=True):
    """`calls` per `period`, all of which may come at once (the burst). A rate of no calls refuses everything."""

    calls: int
    period: timedelta


class Demand(msgspec.Struct, frozen=True):
    """What a request wants to spend: `cost` calls of the limit `name` (with its `rate`) by `who` (`user:…`, `ip:…`)."""

    name: str
    who: str
    rate: Rate
    cost: int = 1


class Decision(msgspec.Struct, frozen=True):
    """The answer, about the tightest demand: how many calls are left, seconds until full, seconds until one would pass.

    The tightest is the one with the longest wait when refused, the one with the fewest calls left when allowed.
    """

    allowed: bool
    demand: Demand
    remaining: int
    reset_after: float
    retry_after: float


class Limits(ABC):
    """Decides demands. When its engine is away: `take` raises nothing, allows, and counts it, unless `fail_closed`."""

    @abstractmethod
    async def take(self, demands: Sequence[Demand], *, fail_closed: bool = False) -> Decision:
        """Charge all demands, or none when one does not fit. `demands` is not empty."""

    @abstractmethod
    async def forget(self, name: str, who: str) -> None:
        """Give an asker a clean slate (after a successful sign-in, or by an admin)."""
