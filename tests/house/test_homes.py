"""Every table says where it is at home, and its keys begin there, so that it can be spread over shards one day."""

import re

from tenfold.assembly import MODULES
from tenfold.platform.db import Database, many

tables = many(str, "select tablename::text from pg_tables where schemaname = 'public' order by 1")
unique_keys = many(
    str,
    """
    select c.relname || ' ' || a.attname
      from pg_index i
      join pg_class c on c.oid = i.indrelid
      join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'public'
      join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
     where i.indisunique and c.relkind in ('r', 'p')
     order by 1
    """,
)
HOMES = {table: home for module in MODULES for table, home in module.homes.items()}


async def test_every_table_has_a_home_in_one_manifest(database: Database) -> None:
    """A table that nobody placed would be found out on the day of the move."""
    async with database.read() as tx:
        found = await tables(tx)

    declared = [table for module in MODULES for table in module.homes]
    assert sorted(declared) == sorted(set(declared))
    assert set(found) == set(HOMES)


async def test_unique_keys_begin_with_the_owner(database: Database) -> None:
    """A shard can promise uniqueness only within its own rows."""
    async with database.read() as tx:
        keys = [key.split(" ") for key in await unique_keys(tx)]

    wrong = [(table, column) for table, column in keys if HOMES[table] not in ("reference", "local", column)]
    assert wrong == []


def test_no_module_reads_another_modules_tables() -> None:
    """What a module wants to know of another, it asks at the front door."""
    owners = {table: module.name for module in MODULES for table in module.homes}
    trespasses = [
        f"{statement.name} reads {table}"
        for module in MODULES
        for statement in module.statements()
        for table in re.findall(r"\b(?:from|join|into|update)\s+([a-z_]+)\b", statement.sql)
        if table in owners and owners[table] != module.name
    ]

    assert trespasses == []
