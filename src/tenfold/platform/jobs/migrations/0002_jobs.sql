-- tenfold: expand
create index pgqueuer_dead on pgqueuer (id) where status = 'failed';

-- What a job with an idempotency key has done: its second delivery finds the key here and changes nothing.
create table job_effects (
    job text not null,
    key text not null,
    done_at timestamptz not null,
    primary key (job, key)
);

create index job_effects_age on job_effects (done_at);

-- When each job of the clock is due next. Whoever moves `next_at` writes the job, in one transaction.
create table job_schedules (
    job text primary key,
    rhythm text not null,
    next_at timestamptz not null
);
