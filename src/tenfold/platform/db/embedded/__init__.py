"""The embedded Postgres: a server of our own, in the data folder, for installations that have nothing else.

    postgres = EmbeddedPostgres(Path("tenfold-data"))
    address = await postgres.start()
    db = Database(address.dsn, **address.options)

It listens on a Unix socket only. When the server dies it is started again; when this process dies the server stops.
"""

from tenfold.kit.refusals import CannotStart
from tenfold.platform.db.embedded.supervisor import Address, EmbeddedPostgres

__all__ = ["Address", "CannotStart", "EmbeddedPostgres"]
