-- tenfold: expand
-- Signals too large for a NOTIFY; the notification carries the id.
create table bus_payloads (
    id uuid primary key,
    body text not null,
    sent_at timestamptz not null
);

create index bus_payloads_age on bus_payloads (sent_at);
