-- tenfold: expand
-- What members told the moderators about a message; one report for each person and message.
create table message_reports (
    conversation_id uuid not null,
    seq bigint not null,
    reporter_id uuid not null,
    report_id uuid not null,
    reason text not null,
    comment text,
    created_at timestamptz not null,
    settled_at timestamptz,
    settler_id uuid,
    outcome text check (outcome in ('dismissed', 'held', 'deleted')),
    primary key (conversation_id, seq, reporter_id)
);
create index message_reports_open on message_reports (report_id) where settled_at is null;

-- What a message said that a moderator holds back. In the conversation it is as if deleted, until it is released.
create table held_messages (
    conversation_id uuid not null,
    seq bigint not null,
    body text not null,
    attachments jsonb,
    mentions uuid[],
    holder_id uuid not null,
    held_at timestamptz not null,
    primary key (conversation_id, seq)
);
