"""One small world: named people, the house they live in on a real database and a real server, and what they can do."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import msgspec
import pytest

from tenfold.assembly import MODULES, House
from tenfold.kit.actors import Actor
from tenfold.kit.clock import SetClock
from tenfold.modules.identity import Guard, grant_admin
from tenfold.platform.db.embedded import Address
from tenfold.platform.http.server import bind, serving
from tenfold.platform.jobs.worker import Worker
from tenfold.platform.mail.memory import MemoryMailer
from tenfold.platform.module import Module
from tenfold.platform.realtime import company
from tenfold.platform.realtime.websocket import RealtimeEndpoint
from tenfold.settings import Settings, load

PASSWORD = "correct horse battery staple 7"
SETTINGS: Mapping[str, object] = {
    "tokens.key": "a test key that is long enough to be one",
    "passwords.time_cost": 1,
    "passwords.memory_kib": 8,
    "identity.admins_need_second_factor": False,
    "limits.enabled": False,
    "database.read_connections": 4,
    "database.write_connections": 6,
}


NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def code(self) -> str | None:
        """The stable code of a refusal."""
        return self.body.get("code") if isinstance(self.body, dict) and self.status >= 400 else None


@dataclass
class Person:
    """Somebody at the other end of HTTP; without a token, a visitor."""

    client: httpx2.AsyncClient
    handle: str = ""
    email: str = ""
    id: UUID = NOBODY
    token: str | None = None
    refresh_token: str | None = None
    actor: Actor | None = None
    headers: dict[str, str] = field(default_factory=dict)

    async def ask(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Answer:
        """Send one request and decode the answer."""
        sent = {**self.headers, **(headers or {})}
        if self.token is not None:
            sent.setdefault("authorization", f"Bearer {self.token}")
        content = None
        if body is not None:
            content = body if isinstance(body, bytes) else msgspec.json.encode(body)
            sent.setdefault("content-type", "application/json")
        response = await self.client.request(method, path, content=content, headers=sent, **options)
        is_json = "json" in response.headers.get("content-type", "")
        return Answer(response.status_code, response.json() if is_json else response.text, response.headers)

    async def get(self, path: str, **options: Any) -> Answer:
        """GET."""
        return await self.ask("GET", path, **options)

    async def post(self, path: str, json: Any = None, **options: Any) -> Answer:
        """POST."""
        return await self.ask("POST", path, json, **options)

    async def put(self, path: str, json: Any = None, **options: Any) -> Answer:
        """PUT."""
        return await self.ask("PUT", path, json, **options)

    async def patch(self, path: str, json: Any = None, **options: Any) -> Answer:
        """PATCH."""
        return await self.ask("PATCH", path, json, **options)

    async def delete(self, path: str, json: Any = None, **options: Any) -> Answer:
        """DELETE."""
        return await self.ask("DELETE", path, json, **options)


@dataclass
class World:
    """The house, its people, and the strings that a test can pull."""

    house: House
    worker: Worker
    clock: SetClock
    mailer: MemoryMailer
    client: httpx2.AsyncClient
    url: str
    socket: RealtimeEndpoint
    people: dict[str, Person] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Person:
        try:
            return self.people[name]
        except KeyError:
            raise AttributeError(f"nobody here is named {name}") from None

    @property
    def db(self) -> Any:
        """The database."""
        return self.house.db

    @property
    def parts(self) -> Any:
        """Everything that doors and jobs can ask for."""
        return self.house.parts

    @property
    def mails(self) -> list[Any]:
        """Every mail that was sent, oldest first."""
        return self.mailer.mails

    @property
    def visitor(self) -> Person:
        """Somebody who has not signed in."""
        return Person(self.client)

    async def person(self, handle: str, *, sign_in: bool = True) -> Person:
        """Sign somebody up, and in."""
        person = Person(self.client, handle=handle, email=f"{handle}@example.org")
        asked = {"email": person.email, "password": PASSWORD, "handle": handle, "name": handle.capitalize()}
        answer = await person.post("/v1/accounts", asked)
        assert answer.status < 300, answer
        if sign_in:
            await self.sign_in(person)
        self.people[handle] = person
        return person

    async def sign_in(self, person: Person, password: str = PASSWORD, **more: Any) -> Answer:
        """Sign somebody in on one more device."""
        visitor = Person(self.client)
        answer = await visitor.post("/v1/sessions", {"email": person.email, "password": password, **more})
        if answer.status < 300:
            person.token, person.refresh_token = answer.body["access_token"], answer.body["refresh_token"]
            person.id = UUID(answer.body["user"]["id"])
            person.actor = self.house.tokens.authenticate(person.token)
        return answer

    @property
    def admin(self) -> Person:
        """An administrator."""
        return self.people["admin_person"]

    async def appoint(self, person: Person, role: str) -> None:
        """Give somebody a role, as an administrator's command would, and a session that knows it."""
        async with self.house.db.write() as tx:
            await grant_admin(tx, self.parts.get(Guard), person.email)
        if role != "admin":
            await self.admin.put(f"/v1/admin/users/{person.id}/role", {"role": role})
        await self.sign_in(person)

    async def drain(self) -> None:
        """Run every job that is due, and those that follow from them, until none is left."""
        await self.worker.drain(strict=True)


@asynccontextmanager
async def worlds(
    address: Address,
    folder: Path,
    *,
    extra: Sequence[Module] = (),
    settings: Mapping[str, object] | None = None,
    alone: bool = True,
) -> AsyncIterator[World]:
    """Build a house on a database whose schema is ready, serve it on a free port, and let people in.

    Not `alone`, it may be one of several on the same database; one that is has been for a while already.
    """
    chosen = load(None, {**SETTINGS, "data": str(folder / "data"), **(settings or {})}, environ={})
    clock, mailer = SetClock(), MemoryMailer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(company, "ANSWERED", 0.0)
        house = House(
            chosen, address.dsn, address.options, modules=[*MODULES, *extra], clock=clock, mailer=mailer, alone=alone
        )
    await house.open(migrate=bool(extra))
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    socket = house.socket()
    try:
        async with serving(house.application(socket), listener, grace=2, drain=socket.drain):
            url = f"http://127.0.0.1:{port}"
            async with httpx2.AsyncClient(base_url=url, verify=False) as client:  # plain HTTP: no certificates to load
                world = World(house, house.worker(), clock, mailer, client, url, socket)
                for name in ("ana", "bob", "eve"):
                    await world.person(name)
                await world.appoint(await world.person("admin_person"), "admin")
                yield world
    finally:
        await house.close()


def settings_of(**values: object) -> Settings:
    """The settings of a test, by full name with `__` for the dot."""
    return load(None, {**SETTINGS, **{name.replace("__", "."): value for name, value in values.items()}}, environ={})
