"""Spreading: something is done with many items by the groups that they are in, and the answers come back in order."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from tenfold.kit.gatherer import Gatherer
from tenfold.platform.redis.client import Redis

T = TypeVar("T")
R = TypeVar("R")
_MOST = 250  # items in one call: a script blocks Redis while it runs, so none takes longer than a few milliseconds
_AT_ONCE = 4


def gathering(work: Callable[[list[T]], Awaitable[Sequence[R]]]) -> Gatherer[T, R]:
    """A gatherer for what is asked of Redis."""
    return Gatherer(work, most=_MOST, at_once=_AT_ONCE)


async def spread(
    redis: Redis,
    items: Sequence[T],
    work: Callable[[int, Sequence[T]], Awaitable[Sequence[R]]],
    *,
    name: Callable[[T], str] = str,
) -> list[R]:
    """What `work(group, items)` answers for each item, in the order of all items; an item's `name` is in a group."""
    places: dict[int, list[int]] = {}
    for place, item in enumerate(items):
        places.setdefault(redis.group_of_name(name(item)), []).append(place)
    parts = [(group, at[n : n + _MOST]) for group, at in places.items() for n in range(0, len(at), _MOST)]
    if len(parts) == 1:
        return list(await work(parts[0][0], items))
    answers = await asyncio.gather(*(work(group, [items[place] for place in at]) for group, at in parts))
    pairs = zip(parts, answers, strict=True)
    found = {place: answer for (_, at), part in pairs for place, answer in zip(at, part, strict=True)}
    return [found[place] for place in range(len(items))]
