"""The cache: get or compute, once per process however many ask, with tags that a transaction's commit drops.

It falls back to computing when its engine is away. Nothing that must be true when the answer is sent is read from it.

    profile = await cache.get("profile", user_id, load, ttl=HOUR, tags=[f"user:{user_id}"])    # a door
    cache.drop_with(tx, f"user:{user_id}")                                                     # the deed

`compute` may run after its caller has gone (he was cancelled, or the value was refreshed early), in a task of its own:
it opens the transaction it needs (`async with db.read()`), and never uses the caller's.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import Protocol, TypeVar

from tenfold.platform.bus import Bus

T = TypeVar("T")
K = TypeVar("K")
DROP = "cache.drop"
"""The topic of the bus on which tags to drop travel, as a list of texts: `tx.signal(DROP, ["user:…"])`."""


class Announces(Protocol):
    """What `drop_with` needs of a write transaction."""

    def signal(self, topic: str, payload: object) -> None:
        """Tell every process at the commit."""
        ...

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call something in this process right after the commit."""
        ...


class Cache(ABC):
    """A bounded store of computed values. `name` labels the metrics and prefixes the keys; values are msgspec values.

    A value is shared by all who ask for it: nobody may change it.
    """

    @abstractmethod
    async def get(
        self,
        name: str,
        key: object,
        compute: Callable[[], Awaitable[T]],
        *,
        ttl: timedelta,
        tags: Iterable[str] = (),
        missing_ttl: timedelta | None = None,
    ) -> T:
        """The value of `key`, computed at most once at a time; None is kept for `missing_ttl` (default: not kept)."""

    @abstractmethod
    async def get_many(
        self,
        name: str,
        keys: Sequence[K],
        compute: Callable[[Sequence[K]], Awaitable[dict[K, T]]],
        *,
        ttl: timedelta,
        tag: Callable[[K], str] | None = None,
    ) -> dict[K, T]:
        """The values of several keys, with one call of `compute` for those that are missing."""

    @abstractmethod
    async def drop(self, *tags: str) -> None:
        """Forget every value that carries one of these tags, also those being computed now."""

    @abstractmethod
    def drop_here(self, *tags: str) -> None:
        """Like `drop`, at once, for what this process itself holds."""

    @abstractmethod
    def drop_all_here(self) -> None:
        """Forget everything that this process itself holds, also what is being computed now."""

    def drop_with(self, tx: Announces, *tags: str) -> None:
        """Drop these tags when the transaction commits: here before the caller goes on, elsewhere at the bus's pace."""
        tx.on_commit(lambda: self.drop_here(*tags))
        tx.signal(DROP, list(tags))

    def attach(self, bus: Bus) -> None:
        """Follow the drops of all processes; forget everything after a gap. Call before the bus opens."""
        bus.listen(DROP, lambda tags: self.drop_here(*tags))
        bus.on_gap(self.drop_all_here)
