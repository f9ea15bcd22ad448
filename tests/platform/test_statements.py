"""The statement catalogue: names become positions, rows become shapes, mistakes are named."""

from collections.abc import AsyncIterator
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.kit.ids import new_id
from tenfold.platform.db import Database, NoRow, batch, many, maybe, one, run
from tenfold.platform.db.embedded import Address
from tenfold.platform.db.statements import compile_names
from tenfold.platform.observe import metrics


class Pet(msgspec.Struct, frozen=True):
    """A row of the table of these tests."""

    owner_id: UUID
    name: str
    tags: list[str]
    extra: dict[str, int] | None


insert_pets = batch("""
    insert into pets (owner_id, name, tags, extra)
    select owner_id, name, '{}', extra
      from unnest(:owner_id::uuid[], :name::text[], :extra::jsonb[]) as p (owner_id, name, extra)
    on conflict do nothing
""")
insert_pet = run("insert into pets values (:owner_id, :name, :tags, :extra)")
find_pet = maybe(Pet, "select * from pets where owner_id = :owner_id and name = :name")
get_pet = one(Pet, "select * from pets where owner_id = :owner_id and name = :name")
list_names = many(str, "select name from pets where owner_id = :owner_id order by name")
count_pets = one(int, "select count(*) from pets")


class Row(msgspec.Struct):
    """What `insert_pets` takes."""

    owner_id: UUID
    name: str
    extra: dict[str, int]


@pytest.fixture
async def db(empty_address: Address) -> AsyncIterator[Database]:
    db = Database(empty_address.dsn, **empty_address.options)
    await db.open()
    async with db.write() as tx:
        await tx.connection.execute(
            "create table pets (owner_id uuid, name text, tags text[], extra jsonb, primary key (owner_id, name))"
        )
    yield db
    await db.close()


async def test_rows_come_back_in_their_shape(db: Database) -> None:
    """Columns fill the fields in order; arrays, ids and JSON are plain Python values both ways."""
    pet = Pet(new_id(), "Rex", ["good", "dog"], {"legs": 4})
    async with db.write() as tx:
        touched = await insert_pet(tx, owner_id=pet.owner_id, name=pet.name, tags=pet.tags, extra=pet.extra)

    async with db.read() as tx:
        found = await get_pet(tx, owner_id=pet.owner_id, name="Rex")
        names = await list_names(tx, owner_id=pet.owner_id)

    assert (touched, found, names) == (1, pet, ["Rex"])


async def test_no_row_is_none_or_an_error(db: Database) -> None:
    """`maybe` expects that there may be none; for `one` that is a bug, which names the statement."""
    async with db.read() as tx:
        assert await find_pet(tx, owner_id=new_id(), name="Rex") is None
        with pytest.raises(NoRow):
            await get_pet(tx, owner_id=new_id(), name="Rex")


async def test_a_batch_is_one_statement(db: Database) -> None:
    """Many rows cost one round trip; the count is of rows that were touched; no rows cost none."""
    owner = new_id()
    rows = [Row(owner, f"pet {number}", {"n": number}) for number in range(500)]

    async with db.write() as tx:
        first = await insert_pets.each(tx, rows)
        again = await insert_pets.each(tx, [*rows[:3], Row(owner, "new", {})])
        none = await insert_pets.each(tx, [])
        stored = await count_pets(tx)

    assert (first, again, none, stored) == (500, 1, 0, 501)


async def test_wrong_parameters_are_named(db: Database) -> None:
    """A typing error is found by its name, not by a position in the SQL."""
    async with db.read() as tx:
        with pytest.raises(TypeError, match="lacks parameter 'name'"):
            await find_pet(tx, owner_id=new_id())
        with pytest.raises(TypeError, match=r"no parameters \['nam'\]"):
            await find_pet(tx, owner_id=new_id(), name="Rex", nam="Rex")


async def test_a_named_statement_is_measured_under_its_name(db: Database) -> None:
    """Metrics and the server's own statistics show the name that the module gave it."""
    statement = one(str, "select query from pg_stat_activity where pid = pg_backend_pid()")
    statement.named("tests.own_query")
    statement.named("tests.other")

    async with db.read() as tx:
        said = await statement(tx)

    assert said.startswith("/* tests.own_query */ select")
    count = metrics.registry.get_sample_value("tenfold_db_statement_seconds_count", {"statement": "tests.own_query"})
    assert count == 1


@pytest.mark.parametrize(
    ("sql", "compiled", "names"),
    [
        ("select :a, :b, :a", "select $1, $2, $1", ("a", "b")),
        ("select :a::int, x::text", "select $1::int, x::text", ("a",)),
        ("select ':a', ':b''s :c', \":d\"", "select ':a', ':b''s :c', \":d\"", ()),
        (r"select E'it\'s :a', :b", r"select E'it\'s :a', $1", ("b",)),
        ("select $$ :a $$, $x$ :b $$ $x$, :c", "select $$ :a $$, $x$ :b $$ $x$, $1", ("c",)),
        ("select 1 -- :a\n, :b /* :c\n:d */", "select 1 -- :a\n, $1 /* :c\n:d */", ("b",)),
        ("select x[1:2], y := 3", "select x[1:2], y := 3", ()),
    ],
)
def test_only_names_become_positions(sql: str, compiled: str, names: tuple[str, ...]) -> None:
    """What looks like a parameter inside a text, a comment or a cast stays as it is."""
    assert compile_names(sql) == (compiled, names)


@given(st.text(alphabet="ab:' \n-/*$\"", max_size=30))
def test_compiling_never_touches_a_text(text: str) -> None:
    """Whatever stands in a quoted text is the same afterwards."""
    quoted = "'" + text.replace("'", "''") + "'"

    assert compile_names(f"select {quoted}, :a") == (f"select {quoted}, $1", ("a",))
