"""The statements of the bus: notifications, and the table of what is too large for one."""

from datetime import datetime
from uuid import UUID

import msgspec

from tenfold.platform.db import batch, maybe, run


class Parcel(msgspec.Struct, frozen=True):
    """A signal that is too large for a notification."""

    id: UUID
    body: str
    sent_at: datetime


notify = run(
    "select pg_notify(:channel, body) from unnest(:bodies::text[]) with ordinality as signals (body, n) order by n"
)
insert_parcels = batch("""
    insert into bus_payloads (id, body, sent_at)
    select id, body, sent_at
      from unnest(:id::uuid[], :body::text[], :sent_at::timestamptz[]) as parcels (id, body, sent_at)
""")
find_parcel = maybe(Parcel, "select id, body, sent_at from bus_payloads where id = :id")
forget_parcels = run("delete from bus_payloads where sent_at < :before")
