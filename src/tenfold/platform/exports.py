"""Exports: how one person's data is gathered from every module, for the door that hands it to them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from tenfold.platform.db import Read

Export = Callable[[Read, UUID], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Exports:
    """What each module knows of a person: module name → a function that answers with a msgspec value."""

    by_module: Mapping[str, Export]
