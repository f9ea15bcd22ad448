"""The statement catalogue: SQL that is named, typed and compiled once. It writes no SQL of its own."""

import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import asyncpg
import msgspec
import structlog

from tenfold.platform.observe import metrics, traces
from tenfold.platform.observe.histograms import Series

T = TypeVar("T")
R = TypeVar("R")

_log = structlog.get_logger("tenfold.db")
_SLOW = 0.5

# A quoted text (with escapes or without), a quoted name, a dollar-quoted body, a comment, a cast, or `:name`: only the
# last is a parameter.
_TOKENS = re.compile(
    r"\b[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$(\w*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/|::|:=|:([a-z_][a-z0-9_]*)",
    re.DOTALL,
)


class NoRow(LookupError):
    """A statement that must return a row returned none."""


class Reads(Protocol):
    """What a statement needs of a transaction: its connection."""

    @property
    def connection(self) -> asyncpg.Connection:
        """The connection that is lent to it."""
        ...


def compile_names(sql: str) -> tuple[str, tuple[str, ...]]:
    """Turn `:name` parameters into `$n`; the same name twice is the same position."""
    positions: dict[str, int] = {}

    def numbered(match: re.Match[str]) -> str:
        name = match.group(2)
        if name is None:
            return match.group()
        return f"${positions.setdefault(name, len(positions) + 1)}"

    return _TOKENS.sub(numbered, sql), tuple(positions)


class Statement(Generic[R]):
    """One SQL statement with its parameters' names and the shape it answers with. Call it with a transaction."""

    def __init__(self, sql: str, shape: type[Any] | None, fetch: "_Fetch") -> None:
        self.sql, self.parameters = compile_names(sql)
        self.shape = shape
        self.name = ""
        self._fetch = fetch
        self._timing: Series | None = None
        self.build: Callable[[asyncpg.Record], Any] = _builder(shape)

    def named(self, name: str) -> None:
        """Give this statement the name under which logs, metrics and the server's own statistics show it."""
        if self.name:
            return
        self.name = name
        self.sql = f"/* {name} */ {self.sql.strip()}"
        self._timing = metrics.statement_seconds.labels(name)

    async def __call__(self, tx: Reads, /, **params: object) -> R:
        """Run it. Parameters are given by name; a missing or unknown one raises TypeError."""
        try:
            arguments = [params[name] for name in self.parameters]
        except KeyError as missing:
            raise TypeError(f"statement {self.name} lacks parameter {missing}") from None
        if len(arguments) != len(params):
            raise TypeError(f"statement {self.name} has no parameters {sorted(set(params) - set(self.parameters))}")
        started = time.perf_counter()
        try:
            with traces.span(self.name):
                return await self._fetch(self, tx.connection, arguments)
        finally:
            took = time.perf_counter() - started
            if self._timing is not None:
                self._timing.observe(took)
            if took > _SLOW:
                _log.warning("a statement was slow", statement=self.name, seconds=round(took, 3))


_Fetch = Callable[[Statement[Any], Any, Any], Any]


def _builder(shape: type[Any] | None) -> Callable[[asyncpg.Record], Any]:
    """How a row becomes a value: a Struct takes the columns in order, anything else is the first column."""
    if shape is not None and isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        return lambda row: shape(*row)
    return lambda row: row[0]


async def _one(statement: Statement[Any], connection: Any, arguments: list[object]) -> Any:
    row = await connection.fetchrow(statement.sql, *arguments)
    if row is None:
        raise NoRow(statement.name)
    return statement.build(row)


async def _maybe(statement: Statement[Any], connection: Any, arguments: list[object]) -> Any:
    row = await connection.fetchrow(statement.sql, *arguments)
    return None if row is None else statement.build(row)


async def _many(statement: Statement[Any], connection: Any, arguments: list[object]) -> Any:
    rows = await connection.fetch(statement.sql, *arguments)
    build = statement.build
    return [build(row) for row in rows]


async def _run(statement: Statement[Any], connection: Any, arguments: list[object]) -> int:
    tag: str = await connection.execute(statement.sql, *arguments)
    count = tag.rpartition(" ")[2]
    return int(count) if count.isdigit() else 0


def one(shape: type[T], sql: str) -> Statement[T]:
    """A statement that answers with exactly one row (the first); raises `NoRow` when there is none."""
    return Statement(sql, shape, _one)


def maybe(shape: type[T], sql: str) -> Statement[T | None]:
    """A statement that answers with one row or None."""
    return Statement(sql, shape, _maybe)


def many(shape: type[T], sql: str) -> Statement[list[T]]:
    """A statement that answers with a list of rows."""
    return Statement(sql, shape, _many)


def run(sql: str) -> Statement[int]:
    """A statement that answers with the number of rows it touched."""
    return Statement(sql, None, _run)


class Batch(Statement[R]):
    """A statement over many rows at once: each field of the rows' Struct becomes an array parameter of that name.

    insert_likes = batch("insert into likes select * from unnest(:user_id::uuid[], :post_id::uuid[])")
    """

    def __init__(self, sql: str, shape: type[Any] | None, fetch: "_Fetch", *, nothing: Callable[[], R]) -> None:
        super().__init__(sql, shape, fetch)
        self._nothing = nothing

    async def each(self, tx: Reads, rows: Sequence[msgspec.Struct], /, **params: object) -> R:
        """Run it over the rows; an empty sequence touches nothing and asks nothing of the database."""
        if not rows:
            return self._nothing()
        columns = {field: [getattr(row, field) for row in rows] for field in rows[0].__struct_fields__}
        return await self(tx, **columns, **params)


def batch(sql: str) -> Batch[int]:
    """Declare a statement that takes a list of Structs as parallel arrays (see `Batch`): how many rows it touched."""
    return Batch(sql, None, _run, nothing=int)


def batch_of(shape: type[T], sql: str) -> Batch[list[T]]:
    """The same for one that answers with a list of rows."""
    return Batch(sql, shape, _many, nothing=list)
