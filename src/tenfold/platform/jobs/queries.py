"""The statements of the queue, over PgQueuer's own tables and with its meanings of `status`.

A job is `queued`, then `picked`; it is deleted by the transaction in which it takes effect, or becomes `failed`: held
as a dead letter. When a job is due is the caller's time; whether a worker is alive is the server's, one clock for all.
"""

from datetime import datetime

import msgspec

from tenfold.platform.db import batch, many, run
from tenfold.platform.jobs import DeadJob, Depth, Picked


class Due(msgspec.Struct, frozen=True):
    """A schedule that is due, and whether its job of the time before still waits or runs."""

    job: str
    next_at: datetime
    is_busy: bool


class Schedule(msgspec.Struct, frozen=True):
    """When a job of the clock is due next."""

    job: str
    rhythm: str
    next_at: datetime


insert_jobs = batch("""
    insert into pgqueuer (priority, execute_after, status, entrypoint, payload, headers)
    select priority, execute_after, 'queued', entrypoint, payload, headers
      from unnest(:priority::int[], :execute_after::timestamptz[], :entrypoint::text[], :payload::bytea[],
                  :headers::jsonb[])
           as jobs (priority, execute_after, entrypoint, payload, headers)
""")

# A queue's statistics are always out of date. Believing it small, the planner would sort all that waits for each pick
# (7 ms of 20,000) instead of reading the first few through the index of priorities (0.3 ms).
forbid_sorting = run("set local enable_sort = off")

pick_jobs = many(
    Picked,
    """
    with orphaned as (
        select id from pgqueuer
         where status = 'picked' and heartbeat < now() - :silence::interval and entrypoint = any(:known::text[])
         order by heartbeat
         limit :room
           for update skip locked
    ), due as (
        select id from pgqueuer
         where status = 'queued' and execute_after <= :now and entrypoint = any(:known::text[])
         order by priority desc, id
         limit greatest(:room - (select count(*) from orphaned), 0)
           for update skip locked
    )
    update pgqueuer
       set status = 'picked', queue_manager_id = :worker, heartbeat = now(), updated = :now,
           attempts = attempts + case status when 'picked' then 1 else 0 end
     where id = any(array(select id from orphaned union all select id from due))
    returning id, priority, entrypoint as job, payload, headers, attempts as failures
""",
)

# In the job's own transaction: the row stays locked until it commits, so that nobody else can pick it meanwhile. Its
# commit need not wait for the disk: a crash that forgets it forgets effect and removal together, and it runs again.
delete_picked = run("""
    delete from pgqueuer
     where id = :id and status = 'picked' and queue_manager_id = :worker
       and set_config('synchronous_commit', 'off', true) = 'off'
""")

# For what is told with a number: after a crash that forgets it another message would have that number.
wait_for_disk = run("set local synchronous_commit to default")

insert_effect = run("""
    insert into job_effects (job, key, done_at) values (:job, :key, :now) on conflict (job, key) do nothing
""")

retry_job = run("""
    update pgqueuer
       set status = 'queued', queue_manager_id = null, attempts = attempts + 1, execute_after = :retry_at,
           updated = :now, headers = coalesce(headers, '{}') || :error::jsonb
     where id = :id and status = 'picked' and queue_manager_id = :worker
""")

hold_job = run("""
    update pgqueuer
       set status = 'failed', queue_manager_id = null, attempts = attempts + 1,
           updated = :now, headers = coalesce(headers, '{}') || :error::jsonb
     where id = :id and status = 'picked' and queue_manager_id = :worker
""")

drop_dead_before = run("delete from pgqueuer where status = 'failed' and entrypoint = :job and id < :id")

put_back = run("""
    update pgqueuer set status = 'queued', queue_manager_id = null
     where id = any(:ids::bigint[]) and status = 'picked' and queue_manager_id = :worker
""")

# A job that runs in a transaction has locked its row, and needs no sign of life: that lock ends with its worker.
beat = run("""
    update pgqueuer set heartbeat = now()
     where id in (
        select id from pgqueuer
         where id = any(:ids::bigint[]) and status = 'picked' and queue_manager_id = :worker
           for update skip locked
     )
""")

list_dead = many(
    DeadJob,
    """
    select id, entrypoint as job, convert_from(payload, 'UTF8') as payload, attempts as failures, updated as died_at,
           headers -> 'error' ->> 'type' as type, headers -> 'error' ->> 'message' as message,
           headers -> 'error' ->> 'traceback' as traceback
      from pgqueuer
     where status = 'failed' and id < :before
     order by id desc
     limit :room
""",
)

replay_ids = run("""
    update pgqueuer
       set status = 'queued', attempts = 0, execute_after = :now, updated = :now, headers = headers - 'error'
     where status = 'failed' and id = any(:ids::bigint[])
""")

replay_all_of = run("""
    update pgqueuer
       set status = 'queued', attempts = 0, execute_after = :now, updated = :now, headers = headers - 'error'
     where status = 'failed' and entrypoint = :job
""")

drop_dead = run("delete from pgqueuer where status = 'failed' and id = any(:ids::bigint[])")

list_depths = many(
    Depth,
    """
    select entrypoint as job, count(*) filter (where status = 'queued') as waiting,
           min(execute_after) filter (where status = 'queued') as oldest_at,
           count(*) filter (where status = 'failed') as dead
      from pgqueuer
     where (status = 'queued' and execute_after <= :now) or status = 'failed'
     group by entrypoint
""",
)

bury_unknown = run("""
    update pgqueuer
       set status = 'failed', updated = :now, headers = coalesce(headers, '{}') || :error::jsonb
     where status = 'queued' and entrypoint <> all(:known::text[]) and execute_after < :before
""")

plant_schedules = batch("""
    insert into job_schedules (job, rhythm, next_at)
    select job, rhythm, next_at
      from unnest(:job::text[], :rhythm::text[], :next_at::timestamptz[]) as schedules (job, rhythm, next_at)
    on conflict (job) do update set rhythm = excluded.rhythm, next_at = excluded.next_at
     where job_schedules.rhythm <> excluded.rhythm
""")

claim_due = many(
    Due,
    """
    select job, next_at,
           exists (select from pgqueuer where entrypoint = job and status in ('queued', 'picked')) as is_busy
      from job_schedules
     where next_at <= :now and job = any(:known::text[])
       for update skip locked
""",
)

move_schedules = batch("""
    update job_schedules
       set next_at = moved.next_at
      from unnest(:job::text[], :rhythm::text[], :next_at::timestamptz[]) as moved (job, rhythm, next_at)
     where job_schedules.job = moved.job and job_schedules.rhythm = moved.rhythm
""")

list_schedules = many(Schedule, "select job, rhythm, next_at from job_schedules where job = any(:known::text[])")

forget_effects = run("delete from job_effects where done_at < :before")
