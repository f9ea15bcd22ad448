"""The policy: which demands a call makes, by the class of its door and by who asks. Its values come from settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Literal, Protocol
from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.platform.limits import Demand, Rate
from tenfold.platform.limits.address import client_key

LimitClass = Literal["read", "write", "sign_in", "costly", "free"]
CALLS = "calls"
SIGN_IN = "sign_in"


class NamedRate(Protocol):
    """A limit of one door beside the class's (see `platform.http.Extra`)."""

    @property
    def name(self) -> str:
        """What clients see it called."""
        ...

    @property
    def rate(self) -> Rate:
        """The rate that the door declares."""
        ...


def user_key(user_id: UUID) -> str:
    """Who a signed-in user is to the limits: the same on every device and from every address."""
    return f"user:{user_id.hex}"


@dataclass(frozen=True, kw_only=True)
class LimitPolicy:
    """How much each kind of asker may do.

    A signed-in user has one budget, `calls`, for everything. An address without a user has one of that name too, and a
    smaller one, `sign_in`, for doors at which accounts are made or guessed. That one is charged for signed-in callers
    as well: having an account buys no guesses at others.
    """

    window: timedelta = timedelta(minutes=15)
    """The span over which the budgets below come back."""
    anonymous: int = 300
    """Weighted calls per window and address without a user."""
    anonymous_sign_in: int = 50
    """Weighted calls per window and address at doors of the class `sign_in`."""
    tiers: tuple[int, ...] = (300, 300, 300, 500, 500, 1000)
    """Weighted calls per window and user, by tier from 0; a tier above the last counts as the last."""
    read: int = 1
    """What a call of the class `read` weighs."""
    write: int = 1
    """What a call of the class `write` weighs."""
    sign_in: int = 1
    """What a call of the class `sign_in` weighs."""
    costly: int = 5
    """What a call of the class `costly` weighs."""
    extras: Mapping[str, Rate] = field(default_factory=dict)
    """Rates of extra limits by name (`mail`, `ai`, `upload` …), in place of those that doors declare."""

    def demands(
        self,
        limit: LimitClass,
        cost: int,
        extras: Sequence[NamedRate],
        actor: Actor | None,
        *,
        address: str,
    ) -> list[Demand]:
        """What a call through a door of class `limit` and weight `cost` wants to spend; at a `free` door only extras.

        `address` is the client's, as `client_address` found it. An extra weighs one, whatever the door's cost.
        """
        demands: list[Demand] = []
        who = client_key(address) if actor is None else user_key(actor.id)
        if limit != "free":
            weight = cost * self._weights[limit]
            if actor is not None or limit != "sign_in":
                demands.append(Demand(CALLS, who, self._budget(actor), weight))
            if limit == "sign_in":
                demands.append(Demand(SIGN_IN, client_key(address), self._rates[SIGN_IN], weight))
        demands.extend(Demand(extra.name, who, self.extras.get(extra.name) or extra.rate) for extra in extras)
        return demands

    def _budget(self, actor: Actor | None) -> Rate:
        if actor is None:
            return self._rates[CALLS]
        tier = actor.tier
        rates = self._tier_rates
        return rates[tier] if 0 <= tier < len(rates) else rates[-1 if tier > 0 else 0]

    @cached_property
    def _weights(self) -> Mapping[str, int]:
        return {"read": self.read, "write": self.write, "sign_in": self.sign_in, "costly": self.costly}

    @cached_property
    def _rates(self) -> Mapping[str, Rate]:
        return {CALLS: Rate(self.anonymous, self.window), SIGN_IN: Rate(self.anonymous_sign_in, self.window)}

    @cached_property
    def _tier_rates(self) -> Sequence[Rate]:
        return [Rate(calls, self.window) for calls in self.tiers]
