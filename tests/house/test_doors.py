"""Every door × every kind of asker: what is closed is closed to everybody it should be, and nothing ever breaks."""

from uuid import UUID

import pytest

from tenfold.assembly import MODULES
from tenfold.platform.http import Door
from tenfold.platform.http.openapi import document_of, undeclared
from tenfold.platform.http.plan import path_parameters, plan_of
from tests.world import Person, World

DOORS = [door for module in MODULES for door in module.doors()]
ABSENT = "01890000-0000-7000-8000-000000000000"


def address(door: Door) -> str:
    path = door.path
    for name, kind in path_parameters(path).items():
        nothing = {"uuid": ABSENT, "int": "7"}.get(kind, "nobody")
        path = path.replace(f"{{{name}:{kind}}}" if kind else f"{{{name}}}", nothing)
    return f"/v1{path}"


async def knock(person: Person, door: Door) -> int:
    return (await person.ask(door.method, address(door), {} if plan_of(door, None).body is not None else None)).status


async def test_a_visitor_stays_outside_where_an_actor_is_needed(world: World) -> None:
    """401 for every such door, before anything else is looked at."""
    wrong = {}
    for door in DOORS:
        status = await knock(world.visitor, door)
        if (status == 401) is not plan_of(door, None).needs_actor and status != 401:
            wrong[door.name] = status

    assert wrong == {}


async def test_a_forged_token_opens_nothing(world: World) -> None:
    """Not even a public door: a client whose token is bad must learn it."""
    forged = Person(world.client, token=(world.ana.token or "")[:-4] + "AAAA")

    statuses = {door.name: await knock(forged, door) for door in DOORS}

    assert {name: status for name, status in statuses.items() if status != 401} == {}


async def test_doors_for_roles_do_not_exist_for_others(world: World) -> None:
    """What you may not see does not exist for you: not found, never forbidden."""
    for_roles = [door for door in DOORS if door.roles]

    statuses = {door.name: await knock(world.ana, door) for door in for_roles}

    assert for_roles
    assert {name: status for name, status in statuses.items() if status != 404} == {}


@pytest.mark.parametrize("kind", ["visitor", "ana", "admin"])
async def test_no_door_breaks_for_anybody(world: World, kind: str) -> None:
    """An address of nothing, an empty body: a refusal or an answer, never an error of ours."""
    person: Person = getattr(world, kind)
    broken = {}
    for door in sorted(DOORS, key=lambda door: door.method == "DELETE" and door.path.startswith("/sessions")):
        status = await knock(person, door)
        if status >= 500:
            broken[door.name] = status

    assert broken == {}


def test_a_door_to_one_thing_declares_that_it_may_be_missing() -> None:
    """A client reads in the document that 404 can come, and under which code."""
    assert undeclared(DOORS) == []


def test_the_document_names_every_door_and_only_them() -> None:
    """What is not in the document does not exist for the makers of clients."""
    document = document_of(DOORS, title="Tenfold", version="0", server="http://localhost")

    named = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert len(named) == len(DOORS)
    assert all(operation["summary"] for methods in document["paths"].values() for operation in methods.values())


def test_names_and_addresses_of_doors_are_unique() -> None:
    """Two doors of one address would hide one another."""
    names = [door.name for door in DOORS]

    assert len(set(names)) == len(names)
    assert UUID(ABSENT).version == 7
