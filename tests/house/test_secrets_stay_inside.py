"""Secrets stay inside: what somebody types or is given once is in no table, no log line, no refusal and no repr."""

import base64
import binascii
import dataclasses
import importlib
import inspect
import logging
import os
import pkgutil
import re
import typing
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
import structlog

import tenfold
from tenfold.kit.ids import new_id
from tenfold.platform.db.embedded import Address
from tenfold.platform.observe import logs
from tenfold.platform.observe.lines import Lines
from tenfold.platform.observe.redaction import is_secret_name
from tests.house.lively import SETTINGS, Life
from tests.world import PASSWORD, Person, World, worlds

ASKED = {"password", "current", "new", "code", "recovery_code", "refresh_token"}
ANSWERED = {"access_token", "refresh_token", "secret", "uri", "recovery_codes"}
NO_SECRETS = {("Problem", "code"), ("SignedIn", "token_type")}
SHORTEST = 10  # six digits are found in any number; what they prove is the secret behind them
MARK = "s3cr3tV4lueThatMayNotBeSeen"
WRONG = "a password that was never right 31"
CLIENTS = ("httpx2", "httpcore2")  # what the test's own client logs is not the house's
TABLES = "select tablename::text from pg_tables where schemaname = 'public'"


@dataclass
class Eavesdropper:
    """Notes every secret that goes over the line, every refusal, and every row that was ever there."""

    world: World
    log: Path
    lines: Lines
    secrets: set[str] = field(default_factory=lambda: {PASSWORD, WRONG})
    refusals: list[str] = field(default_factory=list)
    rows: set[str] = field(default_factory=set)

    async def on_request(self, request: httpx2.Request) -> None:
        """Give each POST a key as well, so that whatever is kept under one is kept."""
        if request.method == "POST":
            request.headers["idempotency-key"] = str(new_id())
        self.secrets |= secrets_in(request.content, ASKED)
        self.secrets |= set(re.findall(r"Bearer (\S+)", request.headers.get("authorization", "")))

    async def on_response(self, response: httpx2.Response) -> None:
        body = await response.aread()
        if response.status_code >= 400:
            self.refusals.append(f"{response.headers} {body.decode()}")
        else:
            self.secrets |= secrets_in(body, ANSWERED)

    async def drain(self) -> None:
        """Look at every table while jobs still wait, and again when they are done."""
        await self.look()
        await self.world.drain()
        await self.look()

    async def look(self) -> None:
        async with self.world.db.read() as tx:
            for (table,) in await tx.connection.fetch(TABLES):
                self.rows |= {
                    f"{table} {row}" for (row,) in await tx.connection.fetch(f"select t::text from {table} t")
                }

    def all_secrets(self) -> set[str]:
        mailed = {code for mail in self.world.mails for code in re.findall(r"code: (\S+)", mail.text)}
        return {secret for secret in self.secrets | mailed if len(secret) >= SHORTEST}


def secrets_in(raw: bytes, names: set[str]) -> set[str]:
    """What a body holds under these names."""
    try:
        body = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return set()
    if not isinstance(body, dict):
        return set()
    values = [value for name, value in body.items() if name in names]
    return {
        text for value in values for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)
    }


def forms_of(secret: str) -> set[str]:
    """How a secret may be written down: as it is, in hex, in base64, or as the bytes that it encodes, in hex."""
    raw = secret.encode()
    forms = {secret, raw.hex(), base64.b64encode(raw).decode().rstrip("="), base64.urlsafe_b64encode(raw).decode()}
    for decode in (base64.urlsafe_b64decode, base64.b32decode):
        try:
            inner = decode(secret.removeprefix("tfr_"))
        except (binascii.Error, ValueError):
            continue
        forms |= {inner.hex(), inner[-16:].hex()} if len(inner) >= 16 else set()
    return forms


def found_in(secrets: set[str], texts: set[str] | list[str]) -> set[str]:
    """Where a secret was found: the beginning of each such text."""
    whole = "\n".join(texts)
    leaked = [form for secret in secrets for form in forms_of(secret) if form in whole]
    return {text[:60] for text in texts for form in leaked if form in text}


@pytest.fixture
def written(tmp_path: Path) -> Iterator[tuple[Path, Lines]]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    path = tmp_path / "log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    lines = logs.configure("json", "debug", descriptor=descriptor)
    for name in CLIENTS:
        logging.getLogger(name).setLevel(logging.WARNING)
    yield path, lines
    lines.flush()
    structlog.reset_defaults()
    root.handlers, root.level = before
    for name in (*logs._NOISY, *CLIENTS):
        logging.getLogger(name).setLevel(logging.NOTSET)
    os.close(descriptor)


@pytest.fixture
async def eavesdropper(
    written: tuple[Path, Lines], database_address: Address, tmp_path: Path
) -> AsyncIterator[Eavesdropper]:
    settings = {**SETTINGS, "log.requests": "all"}
    async with worlds(database_address, tmp_path, settings=settings) as world:
        listener = Eavesdropper(world, *written)
        listener.secrets |= {token for p in world.people.values() for token in (p.token, p.refresh_token) if token}
        world.client.event_hooks = {"request": [listener.on_request], "response": [listener.on_response]}
        yield listener


async def be_refused(world: World) -> None:
    """Everything that can be wrong with a secret, sent to every door that takes one."""
    visitor, ana = world.visitor, world.ana
    account = {"email": "new@example.org", "password": WRONG, "handle": "newcomer", "name": "New"}
    forged = Person(world.client, token=(ana.token or "")[:-4] + "AAAA")
    asked = [
        visitor.post("/v1/sessions", {"email": ana.email, "password": WRONG}),
        visitor.post("/v1/sessions", {"email": 7, "password": WRONG}),
        visitor.post("/v1/sessions", {"email": ana.email, "password": [WRONG]}),
        visitor.post("/v1/sessions", {"email": ana.email, "password": WRONG, "unknown": WRONG}),
        visitor.post("/v1/sessions", f'{{"email": "{ana.email}", "password": "{WRONG}"'.encode()),
        visitor.post("/v1/sessions", f'{{"email": "{ana.email}", "password": "\\ud800 {WRONG}"}}'.encode()),
        visitor.post("/v1/accounts", {**account, "handle": "admin"}),
        visitor.post("/v1/accounts", {**account, "email": WRONG}),
        visitor.post("/v1/accounts", {**account, "password": WRONG * 40}),
        visitor.post("/v1/accounts", {**account, "handle": "newcomer31", "password": "newcomer31newcomer31"}),
        visitor.post("/v1/sessions/refresh", {"refresh_token": "tfr_" + "Ab3d" * 33}),
        visitor.post("/v1/sessions/refresh", {"refresh_token": WRONG * 10}),
        visitor.put("/v1/password-resets", {"code": "Xy7w" * 16, "password": WRONG}),
        visitor.put("/v1/email-verifications", {"code": "Qr5t" * 32}),
        visitor.put("/v1/email-verifications", {"code": "Kl9m" * 50}),
        visitor.get("/v1/timelines/public", params={"password": WRONG}),
        visitor.get("/v1/timelines/public", params={"cursor": WRONG}),
        ana.put("/v1/me/password", {"current": WRONG, "new": PASSWORD}),
        ana.put("/v1/me/password", {"current": PASSWORD, "new": "password1234"}),
        ana.delete("/v1/me", {"password": WRONG}),
        ana.post("/v1/me/totp", {"password": WRONG}),
        forged.get("/v1/me"),
    ]
    for question in asked:
        answer = await question
        assert 400 <= answer.status < 500, answer


async def test_no_secret_is_stored_logged_or_repeated(eavesdropper: Eavesdropper) -> None:
    """Whoever reads a backup, a log or an error report can sign in as nobody. Hashes and sealed forms are fine."""
    world = eavesdropper.world
    await be_refused(world)
    life = Life(world, eavesdropper.drain)
    for act in (life.write, life.change_accounts, life.leave):
        await act()

    eavesdropper.lines.flush()
    secrets = eavesdropper.all_secrets()
    lines = eavesdropper.log.read_text().splitlines()
    assert len(secrets) > 40
    assert len(eavesdropper.rows) > 200
    assert len(lines) > 100
    assert len(eavesdropper.refusals) > 15
    assert found_in(secrets, [mail.text for mail in world.mails])  # so it would be found elsewhere, too
    assert found_in(secrets, eavesdropper.rows) == set()
    assert found_in(secrets, lines) == set()
    assert found_in(secrets, eavesdropper.refusals) == set()


class Anything:
    """Stands for what is not looked at."""

    def __getattr__(self, name: str) -> str:
        return name


def values_of_ours() -> Iterator[type]:
    """Every Struct and dataclass of the house."""
    for found in pkgutil.walk_packages(tenfold.__path__, "tenfold."):
        if found.name.endswith("__main__"):
            continue
        module = importlib.import_module(found.name)
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if kind.__module__ == module.__name__ and (
                issubclass(kind, msgspec.Struct) or dataclasses.is_dataclass(kind)
            ):
                yield kind


def is_secret_field(kind: type, name: str) -> bool:
    """A text under a name that logs would not print either; a hash or a sealed form is no secret."""
    named = is_secret_name(name) or kind.__name__ == "PasswordChange"
    if not named or (kind.__name__, name) in NO_SECRETS or re.search(r"hash|sealed", name):
        return False
    return re.search(r"\b(str|bytes)\b", str(typing.get_type_hints(kind)[name])) is not None


def test_no_value_prints_the_secret_it_holds() -> None:
    """A repr ends up in a traceback, and that in a log, sooner or later."""
    telling, holders = [], 0
    for kind in values_of_ours():
        names = (
            kind.__struct_fields__ if issubclass(kind, msgspec.Struct) else [f.name for f in dataclasses.fields(kind)]
        )
        secret = [name for name in names if is_secret_field(kind, name)]
        if not secret:
            continue
        holders += 1
        values: dict[str, Any] = {name: MARK if name in secret else Anything() for name in names}
        if MARK in repr(kind(**values)):
            telling.append(f"{kind.__module__}.{kind.__qualname__} {secret}")

    assert holders > 10
    assert telling == []
