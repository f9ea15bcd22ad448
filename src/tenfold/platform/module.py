"""The manifest: what a module brings to the house, gathered from its files."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from tenfold.kit.refusals import Refusal
from tenfold.platform.db import Statement
from tenfold.platform.events import Fact
from tenfold.platform.exports import Export
from tenfold.platform.jobs import Job
from tenfold.platform.realtime import Channel

if TYPE_CHECKING:
    from tenfold.platform.http.doors import Door

T = TypeVar("T")
Home = str | Literal["reference", "local"]


@dataclass(frozen=True, kw_only=True)
class Module:
    """One module: its files, by kind, and what cannot be read off them.

    `homes` names, for each table, the owner's column that distributes it (or `reference`: small and copied everywhere;
    or `local`: stays on the coordinator). `costs` is the planner's: operations per door, relative to a read by key.
    `export` gathers what the module knows of one person.
    """

    name: str
    package: str
    api: ModuleType | Sequence[ModuleType] = ()
    live: ModuleType | None = None
    jobs: ModuleType | Sequence[ModuleType] = ()
    queries: ModuleType | Sequence[ModuleType] = ()
    events: ModuleType | None = None
    errors: ModuleType | None = None
    homes: Mapping[str, Home] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    export: Export | None = None

    def __post_init__(self) -> None:
        for name, job in self._found(Job, self.jobs):
            job.name = job.name or f"{self.name}.{name}"
        for name, statement in self._found(Statement, self.queries):
            statement.named(f"{self.name}.{name}")

    @property
    def migrations(self) -> Path | None:
        """The folder of this module's migrations, or None."""
        spec = __import__(self.package, fromlist=["__path__"])
        folder = Path(spec.__path__[0]) / "migrations"
        return folder if folder.is_dir() else None

    def doors(self) -> "list[Door]":
        """Every HTTP door, in the order of the file."""
        from tenfold.platform.http.doors import Door

        return [door for _, door in self._found(Door, self.api)]

    def channels(self) -> list[Channel]:
        """Every kind of realtime channel."""
        return [channel for _, channel in self._found(Channel, self.live)]

    def all_jobs(self) -> list[Job]:
        """Every job, whatever starts it."""
        return [job for _, job in self._found(Job, self.jobs)]

    def statements(self) -> list[Statement[Any]]:
        """Every SQL statement."""
        return [statement for _, statement in self._found(Statement, self.queries)]

    def facts(self) -> list[type[Fact]]:
        """Every kind of fact this module publishes."""
        return list(_classes(Fact, self.events))

    def refusals(self) -> list[type[Refusal]]:
        """Every refusal this module raises."""
        return list(_classes(Refusal, self.errors))

    def _found(self, kind: type[T], where: ModuleType | Sequence[ModuleType] | None) -> Iterator[tuple[str, T]]:
        files = [where] if isinstance(where, ModuleType) else where or ()
        seen: set[int] = set()
        for file in files:
            for name, value in vars(file).items():
                if isinstance(value, kind) and id(value) not in seen:
                    seen.add(id(value))
                    yield name, value


def _classes(base: type[T], file: ModuleType | None) -> Iterator[type[T]]:
    if file is None:
        return
    for value in vars(file).values():
        if inspect.isclass(value) and issubclass(value, base) and value.__module__ == file.__name__:
            yield value
