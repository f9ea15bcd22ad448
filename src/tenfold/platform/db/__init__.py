"""The database: read and write transactions, typed statements, migrations.

    find_post = maybe(Post, "select id, body from posts where author_id = :author_id and id = :post_id")

    async with db.read() as tx:
        post = await find_post(tx, author_id=author_id, post_id=post_id)

When the server is gone every call raises `Unavailable` (503 with Retry-After) within the pool's timeout; nothing is
lost.
"""

from tenfold.platform.db.announcements import Announcements, News, Outbox, Tells
from tenfold.platform.db.ledger import ChangedMigration, NewerDatabase
from tenfold.platform.db.migration_files import MalformedMigration, Migration, MissingMigration, Source
from tenfold.platform.db.migrations import MigrationFailed, Migrations, Standing, UnfinishedBackfill
from tenfold.platform.db.postgres import Database, PoolSizes, Read, Taken, Unfit, Write
from tenfold.platform.db.statements import Batch, NoRow, Statement, batch, batch_of, many, maybe, one, run

__all__ = [
    "Announcements",
    "Batch",
    "ChangedMigration",
    "Database",
    "MalformedMigration",
    "Migration",
    "MigrationFailed",
    "Migrations",
    "MissingMigration",
    "NewerDatabase",
    "News",
    "NoRow",
    "Outbox",
    "PoolSizes",
    "Read",
    "Source",
    "Standing",
    "Statement",
    "Taken",
    "Tells",
    "UnfinishedBackfill",
    "Unfit",
    "Write",
    "batch",
    "batch_of",
    "many",
    "maybe",
    "one",
    "run",
]
