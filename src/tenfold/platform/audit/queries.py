"""The statements of the audit log."""

from tenfold.platform.audit.shapes import Head, Line
from tenfold.platform.db import batch, many, maybe, one, run

_LINE = "id, at, deed, actor_id, subject_id, address, details, number, hash"

insert_line = run("""
    insert into audit_log (id, at, deed, actor_id, subject_id, address, details)
    values (:id, :at, :deed, :actor_id, :subject_id, :address, :details)
""")

# No row when there is nothing to seal: on most ticks that is all.
try_to_lock = maybe(
    bool, "select pg_try_advisory_xact_lock(:key) where exists (select from audit_log where number is null)"
)
get_head = one(Head, "select number, hash from audit_head")
move_head = run("update audit_head set number = :number, hash = :hash")
list_unsealed = many(Line, f"select {_LINE} from audit_log where number is null order by id limit :limit")  # noqa: S608
seal_lines = batch("""
    update audit_log
       set number = sealed.number, hash = sealed.hash
      from unnest(:id::uuid[], :number::bigint[], :hash::bytea[]) as sealed (id, number, hash)
     where audit_log.id = sealed.id
""")

list_sealed = many(Line, f"select {_LINE} from audit_log where number > :after order by number limit :limit")  # noqa: S608
count_unsealed = one(int, "select count(*) from audit_log where number is null")

# Newest first; `before` is the id behind which to go on.
list_lines = many(Line, f"select {_LINE} from audit_log where id < :before order by id desc limit :limit")  # noqa: S608
list_lines_about = many(
    Line,
    f"select {_LINE} from audit_log where subject_id = :subject_id and id < :before order by id desc limit :limit",  # noqa: S608
)
list_lines_by = many(
    Line,
    f"select {_LINE} from audit_log where actor_id = :actor_id and id < :before order by id desc limit :limit",  # noqa: S608
)
