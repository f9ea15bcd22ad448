"""The gate before every door: who asks, may they come in, and can they afford it. It runs before anything is parsed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from tenfold.kit.actors import Actor
from tenfold.kit.refusals import NotSignedIn, SecondFactorDue, TooManyRequests
from tenfold.platform.http.doors import Client, Door
from tenfold.platform.http.problems import EmailNotVerified, UnknownPath
from tenfold.platform.limits import Decision, Limits
from tenfold.platform.limits.address import client_address
from tenfold.platform.limits.policy import LimitPolicy

Authenticate = Callable[[str], Actor]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpPolicy:
    """What the settings say about the doors."""

    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    cors_origins: tuple[str, ...] = ()
    verified_only: frozenset[str] = frozenset()
    compression: bool = True
    log_requests: bool = False


class Gate:
    """Recognises the asker and charges the request to a budget. Holds no connection and runs no statement."""

    def __init__(
        self, authenticate: Authenticate, limits: Limits, budgets: LimitPolicy | None, policy: HttpPolicy
    ) -> None:
        """`authenticate` turns a token into its actor or raises `NotSignedIn`. Without `budgets` nothing is limited."""
        self._authenticate = authenticate
        self._limits = limits
        self._budgets = budgets
        self.policy = policy

    def actor_of(self, headers: dict[bytes, bytes]) -> Actor | None:
        """The actor of the access token, None without one. Raises `NotSignedIn` for a token that is not valid."""
        authorization = headers.get(b"authorization")
        if authorization is None:
            return None
        scheme, _, token = authorization.partition(b" ")
        if scheme.lower() != b"bearer" or not token.isascii():
            raise NotSignedIn("The Authorization header must be `Bearer` and an access token.")
        return self._authenticate(token.decode())

    def client_of(self, scope: dict[str, object], headers: dict[bytes, bytes]) -> Client:
        """The address at the other end, past trusted proxies, and the user agent (at most 400 characters)."""
        peer = scope.get("client")
        address = peer[0] if isinstance(peer, Sequence) else "127.0.0.1"
        if self.policy.trusted_proxies:
            lines = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]  # type: ignore[union-attr]
            address = client_address(address, b",".join(lines).decode("latin-1"), self.policy.trusted_proxies)
        return Client(address, headers.get(b"user-agent", b"")[:400].decode("latin-1"))

    def must_be_let_in(self, door: Door, actor: Actor | None, *, needs_actor: bool) -> None:
        """Raise the refusal of this door for this actor. A door for a role does not exist for others."""
        if actor is None:
            if needs_actor:
                raise NotSignedIn
        elif door.name in self.policy.verified_only and not actor.verified:
            raise EmailNotVerified
        if door.roles and (actor is None or actor.role not in door.roles):
            if actor is not None and actor.second_factor_due and "admin" in door.roles:
                raise SecondFactorDue
            raise UnknownPath

    async def charge(self, door: Door, actor: Actor | None, client: Client) -> Decision | None:
        """Charge the request; None when this door is free. The caller refuses when it was not allowed."""
        if self._budgets is None:
            return None
        demands = self._budgets.demands(door.limit, door.cost, door.extras, actor, address=client.address)
        if not demands:
            return None
        return await self._limits.take(demands, fail_closed=door.limit == "sign_in")


def refuse_when_spent(decision: Decision | None) -> None:
    """Raise `TooManyRequests` when the budget did not reach."""
    if decision is not None and not decision.allowed:
        raise TooManyRequests(
            f"The limit `{decision.demand.name}` is used up.",
            retry_after=decision.retry_after,
            limit=decision.demand.name,
        )
