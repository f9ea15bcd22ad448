"""The cache: get or compute, once per process however many ask, with tags that a transaction's commit drops.

It falls back to computing when its engine is away. Nothing that must be true when the answer is sent is read from it.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import TypeVar

T = TypeVar("T")


class Cache(ABC):
    """A bounded store of computed values. `name` labels the metrics and prefixes the keys; values are msgspec values."""

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
        """The value of `key`, computed at most once at a time; None answers are kept for `missing_ttl` (default: not kept)."""

    @abstractmethod
    async def get_many(
        self,
        name: str,
        keys: Sequence[object],
        compute: Callable[[Sequence[object]], Awaitable[dict[object, T]]],
        *,
        ttl: timedelta,
        tag: Callable[[object], str] | None = None,
    ) -> dict[object, T]:
        """The values of several keys, with one call of `compute` for those that are missing."""

    @abstractmethod
    async def drop(self, *tags: str) -> None:
        """Forget every value that carries one of these tags, also those being computed now."""
