-- tenfold: expand
create table idempotency_records (
    principal text not null,
    route text not null,
    key text not null,
    request_hash bytea not null,
    status smallint,
    body bytea,
    created_at timestamptz not null,
    primary key (principal, route, key)
);

create index idempotency_records_age on idempotency_records (created_at);
