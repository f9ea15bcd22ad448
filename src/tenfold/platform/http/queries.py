"""The statements of the HTTP part: its idempotency records."""

import msgspec

from tenfold.platform.db import maybe, one, run


class Record(msgspec.Struct, frozen=True):
    """What is known of a request that carried an Idempotency-Key. Without `status` it is still running."""

    request_hash: bytes
    status: int | None
    body: bytes | None
    stale: bool


try_lock_key = one(bool, "select pg_try_advisory_xact_lock(hashtextextended(:name, 1))")

find_record = maybe(
    Record,
    """
    select request_hash, status, body, created_at < :stale_before
      from idempotency_records
     where principal = :principal and route = :route and key = :key
    """,
)

insert_record = run("""
    insert into idempotency_records (principal, route, key, request_hash, created_at)
    values (:principal, :route, :key, :request_hash, :now)
    on conflict (principal, route, key) do update
       set request_hash = excluded.request_hash, created_at = excluded.created_at, status = null, body = null
""")

finish_record = run("""
    update idempotency_records set status = :status, body = :body
     where principal = :principal and route = :route and key = :key
""")

delete_record = run("""
    delete from idempotency_records
     where principal = :principal and route = :route and key = :key and status is null
""")

delete_records_of = run("delete from idempotency_records where principal = :principal")

delete_old_records = run("delete from idempotency_records where created_at < :before")
