"""`python -m bench.chat.bulk`: fills an empty data folder with a stored world of chat, by binary COPY, on every core.

Rows are what the deeds would have left behind. They are written without a log and already frozen, and indexes that
are not keys are built afterwards; when this program has ended well, the folder is as durable as any.
"""

import argparse
import asyncio
import multiprocessing
import os
import struct
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg

from bench.chat.world import ChatWorld
from tenfold.assembly import migration_sources
from tenfold.entry.sample.bulk import batches, newcomers_of
from tenfold.kit.clock import Clock
from tenfold.modules.identity import sample as identity
from tenfold.platform.db import Database, Migrations, Write
from tenfold.platform.db.embedded import EmbeddedPostgres

SEED = 7
HURRY = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
    "shared_buffers": "1GB",
    "maintenance_work_mem": "1GB",
    "max_parallel_maintenance_workers": "2",
}
TABLES = ("conversations", "members", "memberships", "messages")
_BEFORE_2000 = 946_684_800_000_000  # microseconds from 1970 to the epoch of Postgres
_PIECE = 1 << 20
_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_NOTHING = b"\xff\xff\xff\xff"
_UUID, _SEQ, _TIME, _COUNT = "i16s", "iq", "iq", "ii"
_message_head = struct.Struct(f"!h{_UUID}{_SEQ}{_UUID}i12s").pack
_message_tail = struct.Struct(f"!{_TIME}{_SEQ}").pack
_conversation_tail = struct.Struct(f"!{_UUID}{_TIME}{_COUNT}{_SEQ}{_SEQ}{_SEQ}{_TIME}").pack
_member_tail = struct.Struct(f"!{_TIME}{_SEQ}{_SEQ}{_SEQ}{_SEQ}{_TIME}{_SEQ}").pack
_MESSAGE = ("conversation_id", "seq", "sender_id", "client_msg_id", "body", "created_at", "change_no")
_CONVERSATION = (
    *("conversation_id", "kind", "title", "one_id", "other_id", "creator_id", "created_at", "member_count"),
    *("last_seq", "last_change", "change_no", "last_message_at"),
)
_MEMBER = (
    *("conversation_id", "user_id", "state", "role", "since"),
    *("read_seq", "shown_seq", "delivered_seq", "sent_seq", "last_sent_at", "change_no"),
)
_MEMBERSHIP = ("user_id", "conversation_id", "kind", "state")


def field(value: bytes) -> bytes:
    """A value as COPY's binary format has it: its length first."""
    return struct.pack("!i", len(value)) + value


_DIRECT, _GROUP, _JOINED, _OWNER, _PLAIN = map(field, (b"direct", b"group", b"joined", b"owner", b"member"))


def messages(world: ChatWorld) -> Iterator[bytes]:
    """The rows of the messages; opening the conversation was its first change, so message n is change n + 1."""
    bodies, ids = [field(body.encode()) for body in world.bodies], [id_.bytes for id_ in world.ids]
    many = len(bodies)
    for c in world.conversations:
        people, at = [ids[person] for person in c.people], c.start - _BEFORE_2000
        for seq in range(1, c.messages + 1):
            at += c.step
            head = _message_head(7, 16, c.id, 8, seq, 16, people[c.sender(seq)], 12, b"sample%06x" % seq)
            yield head + bodies[(c.number * 31 + seq) % many] + _message_tail(8, at, 8, seq + 1)


def conversations(world: ChatWorld) -> Iterator[bytes]:
    """The rows of the conversations."""
    count = (len(_CONVERSATION)).to_bytes(2, "big")
    ids = [field(id_.bytes) for id_ in world.ids]
    for c in world.conversations:
        kind = _DIRECT + _NOTHING if c.is_direct else _GROUP + field(b"Group %d" % c.number)
        pair = b"".join(ids[person] for person in c.people) if c.is_direct else 2 * _NOTHING
        creator, began, ended = world.ids[c.people[0]].bytes, c.start - _BEFORE_2000, c.at(c.messages) - _BEFORE_2000
        size = len(c.people)
        tail = _conversation_tail(
            16, creator, 8, began, 4, size, 8, c.messages, 8, c.messages + 1, 8, 1, 8, ended
        )  # fmt: skip
        yield count + field(c.id) + kind + pair + tail


def members(world: ChatWorld) -> Iterator[bytes]:
    """The rows of the members, with their markers."""
    count = (len(_MEMBER)).to_bytes(2, "big")
    for c in world.conversations:
        sent, since = c.sent_seqs(), c.start - _BEFORE_2000
        rows = sorted(
            zip(
                (world.ids[person].bytes for person in c.people), sent, c.read_seqs(sent), range(len(sent)), strict=True
            )
        )
        for person, own, read, place in rows:
            role = _PLAIN if c.is_direct or place else _OWNER
            last = c.at(own) - _BEFORE_2000 if own else since
            tail = _member_tail(8, since, 8, read, 8, read, 8, c.messages, 8, own, 8, last, 8, 1)
            yield count + field(c.id) + field(person) + _JOINED + role + tail


def memberships(world: ChatWorld) -> Iterator[bytes]:
    """The same at each person's home."""
    count = (len(_MEMBERSHIP)).to_bytes(2, "big")
    ids = [field(id_.bytes) for id_ in world.ids]
    for person, c in world.memberships():
        yield count + ids[person] + field(c.id) + (_DIRECT if c.is_direct else _GROUP) + _JOINED


async def copy(address: Any, table: str, columns: tuple[str, ...], rows: Iterator[bytes]) -> None:
    """Fill an empty table, in a transaction that began with emptying it: then nothing is logged."""
    connection = await asyncpg.connect(**address.options)
    try:
        async with connection.transaction():
            await connection.execute(f"truncate {table}")
            source = _pieces(rows)
            await connection.copy_to_table(table, source=source, columns=columns, format="binary", freeze=True)
    finally:
        await connection.close()


async def _pieces(rows: Iterator[bytes]) -> AsyncIterator[bytes]:
    piece = [_SIGNATURE]
    size = 0
    for row in rows:
        piece.append(row)
        size += len(row)
        if size > _PIECE:
            yield b"".join(piece)
            piece, size = [], 0
    yield b"".join([*piece, _END])


async def everything_else(address: Any, world: ChatWorld) -> None:
    """People and their accounts, conversations, and who is in them."""
    connection = await asyncpg.connect(**address.options)
    try:
        async with connection.transaction():
            newcomers = newcomers_of(world.sample, world.ids, "nobody signs in here")
            for batch in batches(newcomers, 10_000):
                await identity.copy_accounts(Write(connection, Clock().now()), batch)
    finally:
        await connection.close()
    await copy(address, "conversations", _CONVERSATION, conversations(world))
    await copy(address, "members", _MEMBER, members(world))
    await copy(address, "memberships", _MEMBERSHIP, memberships(world))


async def without_indexes(address: Any) -> list[str]:
    """Drop the indexes that are not keys, and answer what makes them again."""
    connection = await asyncpg.connect(**address.options)
    try:
        found = await connection.fetch(
            """
            select i.indexrelid::regclass::text as name, pg_get_indexdef(i.indexrelid) as definition
              from pg_index i
             where i.indrelid = any($1::text[]::regclass[]) and not i.indisprimary
            """,
            list(TABLES),
        )
        for row in found:
            await connection.execute(f"drop index {row['name']}")
        return [row["definition"] for row in found]
    finally:
        await connection.close()


async def run(address: Any, statement: str) -> None:
    """Run a statement on a connection of its own."""
    connection = await asyncpg.connect(**address.options)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def migrate(address: Any) -> None:
    """Make all tables of the house."""
    db = Database(address.dsn, **address.options)
    await db.open()
    try:
        await Migrations(db, migration_sources()).apply()
    finally:
        await db.close()


def fill(data: Path, world: ChatWorld) -> None:
    """Start a database in a hurry, fill it with two processes, index it, and stop it."""
    server = EmbeddedPostgres(data, settings=HURRY)
    asyncio.run(server.start())
    try:
        asyncio.run(migrate(server.address))
        definitions = asyncio.run(without_indexes(server.address))
        fork = multiprocessing.get_context("fork")
        rest = fork.Process(target=_run, args=(everything_else, server.address, world), daemon=True)
        rest.start()
        asyncio.run(copy(server.address, "messages", _MESSAGE, messages(world)))
        _say("messages are stored")
        rest.join()
        if rest.exitcode != 0:
            raise RuntimeError("the members could not be stored")
        _say("members are stored")
        for definition in definitions:
            asyncio.run(run(server.address, definition))
            _say(definition.split(" ON ")[0].lower().replace("create ", ""))
        asyncio.run(run(server.address, "vacuum (analyze)"))
        _say("statistics are made")
    finally:
        asyncio.run(server.stop())
    os.sync()


def _run(work: Any, *arguments: Any) -> None:
    asyncio.run(work(*arguments))


def _say(text: str) -> None:
    print(f"  {time.perf_counter() - _STARTED:6.1f} s  {text}", flush=True)


def main() -> None:
    """Plan the world and fill the folder."""
    parser = argparse.ArgumentParser(prog="bench.chat.bulk", description=__doc__)
    for name in ("users", "conversations", "messages", "until"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    chosen = vars(parser.parse_args())
    data = chosen.pop("data")
    world = ChatWorld(**chosen, seed=SEED)
    _say("the world is planned")
    fill(data, world)
    _say("the database is closed")


_STARTED = time.perf_counter()

if __name__ == "__main__":
    main()
