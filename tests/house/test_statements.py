"""Every declared statement is one that the migrated database takes, and answers with the columns of its shape."""

import inspect
from typing import Any

import msgspec
import pytest

from tenfold.assembly import MODULES
from tenfold.platform.db import Database, Statement

STATEMENTS = [statement for module in MODULES for statement in module.statements()]


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.name)
async def test_a_statement_prepares_and_fits_its_shape(database: Database, statement: Statement[Any]) -> None:
    """A wrong column name or a missing table is found here, not by somebody's request."""
    async with database.read() as tx:
        prepared = await tx.connection.prepare(statement.sql)

    columns = [attribute.name for attribute in prepared.get_attributes()]
    if inspect.isclass(statement.shape) and issubclass(statement.shape, msgspec.Struct):
        fields = msgspec.structs.fields(statement.shape)
        assert len(columns) <= len(fields), statement.name
        assert all(field.required is False for field in fields[len(columns) :]), statement.name
        assert all(_same(column, field.name) for column, field in zip(columns, fields, strict=False)), (
            statement.name,
            columns,
            [field.name for field in fields],
        )


def _same(column: str, field: str) -> bool:
    """A column is named as its field, or says more (`post_id` for `id`); a computed one may have no name of its own."""
    return column == field or column.endswith(f"_{field}") or column in ("?column?", "coalesce", "case", "bool")


def test_every_statement_has_a_name_of_its_own() -> None:
    """Metrics, logs and the server's statistics show it under that name."""
    names = [statement.name for statement in STATEMENTS]

    assert len(set(names)) == len(names)
    assert all(names)
