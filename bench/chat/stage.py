"""What the generator plays against: the stored world in its folder, `tenfold serve` on it, and pairs of members."""

import asyncio
import hashlib
import random
import shutil
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from bench.chat.generator import Pair
from bench.systems import SECRET, ours, running
from tenfold.kit.actors import Actor
from tenfold.kit.clock import Clock
from tenfold.kit.ids import new_id
from tenfold.modules.identity import AccessTokens, IdentityPolicy, Keyring
from tenfold.modules.identity.tokens import Bearer
from tenfold.platform.db.embedded import EmbeddedPostgres

_ROOT = Path(__file__).parents[2]
_PLENTY = "100000000"
_FRESH = timedelta(days=1)  # later, the oldest messages would begin to move into the archive while we measure
LIMITS = {
    "TENFOLD_LIMITS__TIERS": ",".join([_PLENTY] * 6),
    "TENFOLD_LIMITS__ANONYMOUS": _PLENTY,
    "TENFOLD_REALTIME__SOCKETS_PER_USER": "0",
    "TENFOLD_REALTIME__SOCKETS_PER_ADDRESS": "0",
    "TENFOLD_REALTIME__HANDSHAKES_PER_ADDRESS": f"{_PLENTY}/1m",
    "TENFOLD_REALTIME__COMMANDS_PER_USER": f"{_PLENTY}/1m",
}
"""Limits that nobody reaches: the generator is one machine that plays a thousand people at once."""


@dataclass(frozen=True)
class Stage:
    """A running server, its database, and the process of that."""

    port: int
    pid: int
    database: Mapping[str, Any]
    postgres: int


async def stored(data: Path, *, users: int, conversations: int, messages: int) -> float | None:
    """Fill a data folder with the world, unless it has this one already; the seconds it took."""
    mark = data / f"chat-{users}-{conversations}-{messages}-{_version()}"
    if mark.exists() and time.time() - mark.stat().st_mtime < _FRESH.total_seconds():
        return None
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    data.chmod(0o755)
    started = time.perf_counter()
    options = {"users": users, "conversations": conversations, "messages": messages, "until": int(time.time() * 1_000)}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.chat.bulk", *words, "--data", str(data), cwd=_ROOT
    )
    try:
        if await process.wait() != 0:
            raise RuntimeError("the world could not be stored")
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    mark.touch()
    return time.perf_counter() - started


def _version() -> str:
    """What the rows depend on: the schema, and how the world is made."""
    source = _ROOT / "src" / "tenfold"
    own = [Path(__file__).with_name("bulk.py"), Path(__file__).with_name("world.py")]
    files = [*source.rglob("migrations/*.sql"), *source.rglob("chat/rules.py"), *source.rglob("sample/wor*.py"), *own]
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()[:12]


@asynccontextmanager
async def stage(data: Path) -> AsyncIterator[Stage]:
    """`tenfold serve` at stage 0 on the stored world."""
    command, environment, port = ours(data)
    async with running("ours", command, {**environment, **LIMITS}, port) as system:
        postgres = EmbeddedPostgres(data)
        address = await postgres.start(join=True)
        try:
            pid = int((data / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])
            yield Stage(system.port, system.pid, address.options, pid)
        finally:
            await postgres.stop()


async def chosen_pairs(database: Mapping[str, Any], count: int) -> list[Pair]:
    """The two people of so many direct conversations, drawn from all over the table, each with a token of their own."""
    connection = await asyncpg.connect(**database)
    try:
        total = await connection.fetchval("select count(*) from conversations where kind = 'direct'")
        # By a hash of the id, not by place (`tablesample`): rows that a run has written stand elsewhere in the next.
        drawn = await connection.fetch(
            "select conversation_id, one_id, other_id from conversations where kind = 'direct' "
            "and abs(hashtext(conversation_id::text)::bigint) % $1::bigint = 0 order by conversation_id",
            max(1, total // (3 * count)),
        )
    finally:
        await connection.close()
    rng = random.Random(7)
    picked = rng.sample(drawn, min(count, len(drawn)))
    tokens = AccessTokens(
        Keyring([SECRET]), policy=IdentityPolicy(access_token_lasts=timedelta(hours=12)), clock=Clock()
    )
    return [Pair(str(id_), _token(tokens, one), _token(tokens, other)) for id_, one, other in picked]


def _token(tokens: AccessTokens, user_id: UUID) -> str:
    return tokens.issue(Bearer(actor=Actor(id=user_id, session_id=new_id(), verified=True), version=1))
