"""A bookshop: a few doors that try everything a door can be told, on a real server and database."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated
from uuid import UUID

import httpx2
import msgspec

from tenfold.kit.actors import Actor
from tenfold.kit.clock import SetClock
from tenfold.kit.ids import new_id
from tenfold.kit.refusals import Conflict, NotFound, NotSignedIn
from tenfold.platform.cache import Cache
from tenfold.platform.cache.memory import MemoryCache
from tenfold.platform.db import Database, Read, Write, many, one, run
from tenfold.platform.http import Client, Door, Extra, door
from tenfold.platform.http.app import Application
from tenfold.platform.http.gate import Gate, HttpPolicy
from tenfold.platform.http.openapi import document_of
from tenfold.platform.http.router import Router
from tenfold.platform.http.rpc import Rpc
from tenfold.platform.http.server import bind, serving
from tenfold.platform.http.standing import standing_handlers
from tenfold.platform.limits.memory import MemoryLimits
from tenfold.platform.limits.policy import LimitPolicy
from tenfold.platform.observe.health import Check
from tenfold.platform.parts import Parts

BOOKS = "create table books (id uuid primary key, title text unique)"
insert_book = run("insert into books values (:id, :title)")
count_books = one(int, "select count(*) from books")
list_titles = many(str, "select title from books order by id")


class BookDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: Annotated[str, msgspec.Meta(max_length=5000)]


class Book(msgspec.Struct, frozen=True):
    id: UUID
    title: str


class BookIsTaken(Conflict):
    """There is a book of this title."""


class BookNotFound(NotFound):
    """There is no such book."""


@dataclass
class Gatekeeper:
    """Holds a door's function at a point until the test lets it go on."""

    arrived: asyncio.Event
    go_on: asyncio.Event


@door.post("/books", limit="write", refuses=[BookIsTaken])
async def add_book(tx: Write, actor: Actor, data: BookDraft) -> Book:
    """Add a book."""
    book = Book(new_id(), data.title)
    if data.title in await list_titles(tx):
        raise BookIsTaken(f"{data.title} is here already.")
    await insert_book(tx, id=book.id, title=book.title)
    return book


@door.post("/slow-books", limit="write")
async def add_book_slowly(db: Database, actor: Actor, data: BookDraft, gate: Gatekeeper) -> Book:
    """Add a book in transactions of its own, when the gatekeeper lets it."""
    gate.arrived.set()
    await gate.go_on.wait()
    book = Book(new_id(), data.title)
    await db.transact(lambda tx: insert_book(tx, id=book.id, title=book.title))
    return book


@door.get("/books", limit="read", public_for=timedelta(seconds=5))
async def list_books(tx: Read, actor: Actor | None) -> list[str]:
    """All titles."""
    return await list_titles(tx)


@door.get("/books/{book_id:uuid}", limit="read", refuses=[BookNotFound], cost=2)
async def get_book(tx: Read, book_id: UUID) -> Book:
    """One book."""
    raise BookNotFound


@door.get("/boom", limit="free")
async def boom() -> str:
    """Fail."""
    raise RuntimeError("a secret detail")


@door.post("/mails", limit="free", extras=[Extra("mail", 2, timedelta(minutes=1))], idempotent=False)
async def send_mail(actor: Actor) -> None:
    """Spend from the limit `mail`."""


@door.get("/staff", limit="free", roles=["admin"])
async def staff(actor: Actor, client: Client) -> str:
    """For administrators."""
    return client.address


async def all_is_well() -> list[Check]:
    return [Check("shelves", True)]


DOORS = [value for value in globals().values() if isinstance(value, Door)]
STANDING = standing_handlers(lambda: document_of(DOORS, title="Bookshop", version="1", server="/"), all_is_well)
ANA = Actor(id=new_id(), session_id=new_id())
BOSS = Actor(id=new_id(), session_id=new_id(), role="admin")


def authenticate(token: str) -> Actor:
    try:
        return {"ana": ANA, "boss": BOSS}[token]
    except KeyError:
        raise NotSignedIn from None


@dataclass
class Site:
    client: httpx2.AsyncClient
    db: Database
    port: int
    hold: Gatekeeper
    rpc: Rpc
    stop: Callable[[], Awaitable[None]]

    async def count(self) -> int:
        async with self.db.read() as tx:
            return await count_books(tx)


@contextlib.asynccontextmanager
async def built(
    db: Database, policy: HttpPolicy | None = None, budgets: LimitPolicy | None = None
) -> AsyncIterator[Site]:
    async with db.write() as tx:
        await tx.connection.execute(BOOKS)
    clock = SetClock()
    parts, hold = Parts(), Gatekeeper(asyncio.Event(), asyncio.Event())
    parts.add(Database, db)
    parts.add(Cache, MemoryCache(1 << 20, clock=clock))
    parts.add(Gatekeeper, hold)
    gate = Gate(authenticate, MemoryLimits(clock), budgets or LimitPolicy(), policy or HttpPolicy())
    router = Router(DOORS, parts, gate, STANDING)
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    async with contextlib.AsyncExitStack() as server:
        await server.enter_async_context(serving(Application(router, gate.policy), listener, grace=5))
        url = f"http://127.0.0.1:{port}"
        async with httpx2.AsyncClient(base_url=url, headers={"authorization": "Bearer ana"}) as client:
            yield Site(client, db, port, hold, Rpc(router), server.aclose)
