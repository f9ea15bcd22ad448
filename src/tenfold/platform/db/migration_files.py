"""Migration files: plain SQL, numbered per source, each with a tag that says what it does to code that is running."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from tenfold.kit.refusals import CannotStart

Kind = Literal["expand", "backfill", "contract"]

_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_TAG = re.compile(r"-- tenfold: (expand|backfill|contract)( concurrently)?\s*")
_PIECE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$(\w*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/|(;)", re.DOTALL)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_REPEATABLE = re.compile(
    r"create (unique )?index concurrently (if not exists )?\w+ on "
    r"|drop index concurrently if exists "
    r"|alter table \w+ validate constraint "
    r"|alter type \w+ add value if not exists "
    r"|(vacuum|analyze)\b",
    re.IGNORECASE,
)
_INDEX = re.compile(r"create (?:unique )?index concurrently (?:if not exists )?(\w+) on ", re.IGNORECASE)


class MalformedMigration(CannotStart):
    """A migration file has a name, a tag or a statement that the runner does not take."""


class MissingMigration(CannotStart):
    """The numbers of a source's migrations have a gap, or the same number twice."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where migrations come from: a module or a part of the platform, and its folder of `0001_name.sql` files."""

    name: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration file. `expand` may run under old code, `contract` only under new code, `backfill` beside both."""

    source: str
    number: int
    name: str
    kind: Kind
    concurrently: bool
    sql: str

    @property
    def label(self) -> str:
        """`feed/0003_add_language`."""
        return f"{self.source}/{self.number:04}_{self.name}"

    @property
    def checksum(self) -> str:
        """The SHA-256 of the text, the same for both kinds of line ends."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def statements(self) -> list[str]:
        """The statements, one by one, without comments around them."""
        ends = [0, *(found.end() for found in _PIECE.finditer(self.sql) if found.group(2)), len(self.sql)]
        pieces = (self.sql[start:end] for start, end in pairwise(ends))
        bare = (_flat(piece) for piece in pieces)
        return [statement for statement in bare if statement]


def index_of(statement: str) -> str | None:
    """The name of the index that a statement creates concurrently, or None."""
    found = _INDEX.match(" ".join(statement.split()))
    return found.group(1) if found else None


def read_source(source: Source) -> list[Migration]:
    """Every migration of a source, in order. Raises when a file is not well-formed or a number is missing."""
    found = [_read(source, path) for path in sorted(source.folder.glob("*.sql"))]
    _must_be_complete(source, [migration.number for migration in found])
    return found


def _read(source: Source, path: Path) -> Migration:
    named = _NAME.fullmatch(path.name)
    if named is None:
        raise MalformedMigration(f"The migration {path} must be named like 0001_what_it_does.sql; rename it.")
    sql = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    tag = _TAG.fullmatch(sql.partition("\n")[0])
    if tag is None:
        raise MalformedMigration(
            f"The migration {path} must begin with a line like `-- tenfold: expand` (or backfill, or contract); add it."
        )
    kind: Kind = tag.group(1)  # type: ignore[assignment] - the pattern has these three
    migration = Migration(source.name, int(named.group(1)), named.group(2), kind, tag.group(2) is not None, sql)
    _must_be_runnable(migration)
    return migration


def _must_be_complete(source: Source, numbers: Sequence[int]) -> None:
    for expected, number in enumerate(numbers, start=1):
        if number != expected:
            problem = f"has two numbered {number:04}" if number < expected else f"lacks number {expected:04}"
            raise MissingMigration(f"The migrations in {source.folder} {problem}; number them 0001, 0002 … in order.")


def _must_be_runnable(migration: Migration) -> None:
    statements = migration.statements()
    if migration.kind == "backfill":
        if len(statements) != 1 or ":after" not in migration.sql or ":batch" not in migration.sql:
            raise MalformedMigration(
                f"The backfill {migration.label} must be one statement that goes on from :after, handles at most "
                ":batch rows, and returns the last key handled, or no row at the end."
            )
    elif migration.concurrently:
        for statement in statements:
            if not _REPEATABLE.match(" ".join(statement.split())):
                raise MalformedMigration(
                    f"The migration {migration.label} runs outside a transaction, so each statement must be safe to "
                    f"run again; this one is not known to be: {statement[:60]}"
                )


def _flat(piece: str) -> str:
    """A statement without the comments before it, and nothing when it is only comments."""
    text = piece.strip().removesuffix(";").strip()
    while (comment := _COMMENT.match(text)) is not None:
        text = text[comment.end() :].lstrip()
    return text
