-- tenfold: expand
create table audit_log (
    id uuid primary key,
    at timestamptz not null,
    deed text not null,
    actor_id uuid,
    subject_id uuid,
    address text,
    details jsonb not null,
    number bigint unique,
    hash bytea,
    check ((number is null) = (hash is null))
);

create index audit_log_unsealed on audit_log (id) where number is null;
create index audit_log_subject on audit_log (subject_id, id);
create index audit_log_actor on audit_log (actor_id, id);

-- The end of the chain, apart from its lines, so that cutting lines off the end shows.
create table audit_head (
    one boolean primary key default true check (one),
    number bigint not null,
    hash bytea not null
);

insert into audit_head (number, hash) values (0, decode(repeat('00', 32), 'hex'));

-- Lines come unsealed, are sealed once, and never change or go.
create function audit_log_guard() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' and new.number is null then
        return new;
    end if;
    if tg_op = 'UPDATE' and old.number is null and new.number is not null
        and row(new.id, new.at, new.deed, new.actor_id, new.subject_id, new.address, new.details)
            is not distinct from
            row(old.id, old.at, old.deed, old.actor_id, old.subject_id, old.address, old.details)
    then
        return new;
    end if;
    raise exception 'the audit log is append-only' using errcode = 'restrict_violation';
end
$$;

create trigger audit_log_guard before insert or update or delete on audit_log
    for each row execute function audit_log_guard();
create trigger audit_log_keeps_all before truncate on audit_log
    for each statement execute function audit_log_guard();

-- The head only moves forward.
create function audit_head_guard() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and new.number > old.number then
        return new;
    end if;
    raise exception 'the head of the audit log only moves forward' using errcode = 'restrict_violation';
end
$$;

create trigger audit_head_guard before insert or update or delete on audit_head
    for each row execute function audit_head_guard();
create trigger audit_head_stays before truncate on audit_head
    for each statement execute function audit_head_guard();
