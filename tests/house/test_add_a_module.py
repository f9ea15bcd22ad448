"""The page `docs/add-a-module.md` is true: the module it describes is built from it, joins the house, and works."""

import importlib
import re
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from tenfold.platform.db.embedded import Address
from tenfold.platform.module import Module
from tests.world import World, worlds

PAGE = Path(__file__).parents[2] / "docs" / "add-a-module.md"
FILE = re.compile(r"^```\w+\n(?:#|--) (notes/\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Module]:
    for name, text in FILE.findall(PAGE.read_text()):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("notes.manifest").module
    for name in [name for name in sys.modules if name.partition(".")[0] == "notes"]:
        del sys.modules[name]


@pytest.fixture
async def world(notes: Module, database_address: Address, tmp_path: Path) -> AsyncIterator[World]:
    async with worlds(database_address, tmp_path, extra=[notes]) as world:
        yield world


async def test_the_module_of_the_page_joins_the_house(world: World) -> None:
    """Doors, a table, a fact, its follower and the live message, exactly as the page says."""
    kept = await world.ana.post("/v1/notes", {"body": "buy milk"})
    await world.drain()

    listed = await world.ana.get("/v1/notes")
    foreign = await world.bob.delete(f"/v1/notes/{kept.body['id']}")
    too_long = await world.ana.post("/v1/notes", {"body": "x" * 1001})

    assert kept.status == 201
    assert [note["id"] for note in listed.body["items"]] == [kept.body["id"]]
    assert UUID(kept.body["id"]).version == 7
    assert (foreign.status, foreign.code) == (404, "NoteNotFound")
    assert (too_long.status, too_long.body["errors"][0]["field"]) == (400, "body.body")
