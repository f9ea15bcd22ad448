"""Nothing secret is logged: passwords and tokens are sent, rightly and wrongly, and looked for in each line."""

import asyncio
import os
import re
import secrets
import signal
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pyotp
import pytest

from tenfold.platform.db.embedded import EmbeddedPostgres
from tests.entry.running import Serving, serving, until


def made_up() -> str:
    """A password that occurs nowhere by chance."""
    return f"Zx9-{secrets.token_hex(12)}"


@pytest.mark.parametrize("format", ["json", "console"])
def test_no_secret_is_ever_logged(place: Path, format: str) -> None:
    """At the lowest level, with a line for each request, and with a database that dies in the middle."""
    data = place / f"secrets-{format}"
    environ = {"TENFOLD_LOG__FORMAT": format, "TENFOLD_LOG__LEVEL": "debug", "TENFOLD_LOG__REQUESTS": "all"}
    with serving(data, **environ) as server:
        with server.client as client:
            sent = [*a_session(client, data), *mistakes(client), *an_outage(client, server), *a_bug(client, data)]
        server.stop()

    written = server.log.read_text() + (data / "postgres" / "server.log").read_text()
    kept = [(data / "secrets" / "tokens.key").read_text().strip(), (data / "postgres" / "password").read_text().strip()]
    assert len(sent) > 30
    assert written.count("request") > 30
    assert "violates check constraint" in written
    assert [secret for secret in {*sent, *kept} if secret in written] == []


def a_session(client: httpx2.Client, data: Path) -> list[str]:
    """Everything that one does with secrets when all goes well: what was sent and what came back."""
    password, second = made_up(), made_up()
    account = {"email": "ana@example.org", "password": password, "handle": "ana", "name": "Ana"}
    key = made_up()
    must(client.post("/v1/accounts", json=account, headers={"idempotency-key": key}))
    signed_in = must(client.post("/v1/sessions", json={"email": "ana@example.org", "password": password}))
    code = mailed_code(data)
    must(client.put("/v1/email-verifications", json={"code": code}))
    renewed = must(client.post("/v1/sessions/refresh", json={"refresh_token": signed_in["refresh_token"]}))
    headers = {"authorization": f"Bearer {renewed['access_token']}"}
    must(client.put("/v1/me/password", json={"current": password, "new": second}, headers=headers))
    enrolled = must(client.post("/v1/me/totp", json={"password": second}, headers=headers))
    now = pyotp.TOTP(enrolled["secret"]).now()
    codes = must(client.put("/v1/me/totp", json={"totp": now}, headers=headers))["recovery_codes"]
    recovered = {"email": "ana@example.org", "password": second, "recovery_code": codes[0]}
    third = must(client.post("/v1/sessions", json=recovered))
    tokens = [found[kind] for found in (signed_in, renewed, third) for kind in ("access_token", "refresh_token")]
    return [password, second, key, code, enrolled["secret"], *codes, *tokens]


def must(response: httpx2.Response) -> Any:
    """The body of an answer that must not be a refusal."""
    assert response.status_code < 300, response.text
    return response.json() if response.content else None


def mailed_code(data: Path) -> str:
    """The code of the one mail that was sent."""
    assert until(lambda: list((data / "mail").glob("*.eml")) != [])
    letter = next((data / "mail").glob("*.eml")).read_text().replace("=\n", "")
    found = re.search(r"code=(?:3D)?([\w-]{16,})", letter) or re.search(r"\b(tf[a-z]_[\w-]{16,})", letter)
    assert found, letter
    return found[1]


def mistakes(client: httpx2.Client) -> list[str]:
    """Secrets where they do not belong, as people and clients put them there."""
    sent: list[str] = []

    def secret() -> str:
        sent.append(made_up())
        return sent[-1]

    client.post("/v1/sessions", json={"email": "ana@example.org", "password": secret()})
    client.post("/v1/sessions", json={"email": secret(), "password": secret()})
    client.post("/v1/sessions", json={"email": "ana@example.org", "password": secret(), secret(): secret()})
    client.post("/v1/sessions", json={"email": "ana@example.org", "password": [secret()]})
    client.post("/v1/sessions", json={"email": "ana@example.org", "password": secret() * 100})
    client.post("/v1/sessions", content=f'{{"email": "ana@example.org", "password": "{secret()}'.encode())
    client.post("/v1/sessions", content=f'{{"password": "{secret()}", "password": "{secret()}"}}'.encode())
    client.post("/v1/sessions", content=secret().encode() + b"\xff\xfe\x00")
    client.post("/v1/sessions", data={"password": secret()})
    client.post(f"/v1/sessions?password={secret()}&token={secret()}", json={})
    client.post("/v1/sessions/refresh", json={"refresh_token": secret()})
    client.post("/v1/accounts", json={"email": "b@example.org", "password": secret(), "handle": secret(), "name": "B"})
    client.put("/v1/password-resets", json={"code": secret(), "password": secret()})
    client.put("/v1/email-verifications", json={"code": secret()})
    client.get(f"/v1/timelines/home?access_token={secret()}")
    client.get(f"/v1/timelines/public?cursor={secret()}")
    client.get(f"/v1/handles/{secret()}")
    client.get(f"/v1/{secret()}/%00")
    client.get("/v1/me", headers={"authorization": f"Bearer {secret()}"})
    client.get("/v1/me", headers={"authorization": f"Basic {secret()}", "cookie": f"session={secret()}"})
    client.get("/v1/me", headers={"authorization": secret(), "user-agent": secret(), "x-request-id": "a" + "b" * 200})
    client.post("/v1/posts", json={"body": secret()}, headers={"idempotency-key": secret()})
    return sent


def an_outage(client: httpx2.Client, server: Serving) -> list[str]:
    """What is tried while the database is away and coming back."""
    sent = [made_up() for _ in range(20)]
    pid = int((server.data / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])
    for number, password in enumerate(sent):
        if number == 3:
            os.kill(pid, signal.SIGKILL)
        account = {"email": f"{password}@example.org", "password": password, "handle": f"kim{number}", "name": "Kim"}
        client.post("/v1/accounts", json=account, headers={"authorization": f"Bearer {password}"})
        client.post("/v1/accounts", json=account, headers={"idempotency-key": password})
    assert until(lambda: client.get("/ready").status_code == 200, seconds=20)
    return sent


def a_bug(client: httpx2.Client, data: Path) -> list[str]:
    """A table that no row fits any more: of each that is tried, the database says what is in it."""
    password = made_up()
    hashes = asyncio.run(_break_credentials(data))

    account = {"email": "eve@example.org", "password": password, "handle": "eve", "name": "Eve"}
    assert client.post("/v1/accounts", json=account).status_code == 500
    return [password, "$argon2id$", *hashes]


async def _break_credentials(data: Path) -> list[str]:
    postgres = EmbeddedPostgres(data)
    address = await postgres.start(join=True)
    connection = await asyncpg.connect(**address.options)
    await connection.execute("alter table credentials add check (length(password_hash) < 0) not valid")
    hashes = [row[0] for row in await connection.fetch("select password_hash from credentials")]
    await connection.close()
    await postgres.stop()
    return hashes
