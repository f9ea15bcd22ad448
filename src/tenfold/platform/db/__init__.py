"""The database: read and write transactions, typed statements, migrations.

    find_post = maybe(Post, "select id, body from posts where author_id = :author_id and id = :post_id")

    async with db.read() as tx:
        post = await find_post(tx, author_id=author_id, post_id=post_id)

When the server is gone every call raises `Unavailable` (503 with Retry-After) within the pool's timeout; nothing is lost.
"""

from tenfold.platform.db.postgres import Database, PoolSizes, Read, Write
from tenfold.platform.db.statements import Statement, batch, many, maybe, one, run

__all__ = ["Database", "PoolSizes", "Read", "Statement", "Write", "batch", "many", "maybe", "one", "run"]
