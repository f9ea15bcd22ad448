-- tenfold: expand
-- Old messages, a partition for each month (UTC) of `created_at`; the job that moves them makes the partitions. What is
-- asked of all messages alike (pins, tombstones, notices: what the unread count leaves out) stays in `messages`, and a
-- message that is about to change comes back there first. So only what reads far back looks into both.
create table archived_messages (
    like messages including defaults,
    primary key (conversation_id, seq, created_at)
) partition by range (created_at);
create index archived_messages_changed on archived_messages (conversation_id, change_no);
create index archived_messages_thread on archived_messages (conversation_id, thread_root, seq)
    where thread_root is not null;

create view every_message as
    select * from messages
    union all
    select * from archived_messages;

create function make_archive_month(month date) returns void language plpgsql as $$
declare
    name text := 'archived_messages_' || to_char(month, 'YYYY_MM');
    since timestamptz := month::timestamp at time zone 'UTC';
    until timestamptz := (month + interval '1 month')::timestamp at time zone 'UTC';
begin
    if to_regclass(name) is null then
        -- Attached, not created in its place: that would shut out everybody who reads old messages meanwhile.
        execute format('create table %I (like archived_messages including defaults)', name);
        execute format('alter table archived_messages attach partition %I for values from (%L) to (%L)', name, since, until);
    end if;
end
$$;

-- For the search in one's own conversations. The id of the conversation is one more word of each message, so that the
-- index meets the words and the asker's conversations in one go, however common the words are elsewhere. The small list
-- of pending entries keeps each flush short.
create index messages_words on messages
    using gin ((to_tsvector('simple', body) || array_to_tsvector(array[conversation_id::text])))
    with (gin_pending_list_limit = 512)
    where kind = 'text' and deleted_at is null;
create index archived_messages_words on archived_messages
    using gin ((to_tsvector('simple', body) || array_to_tsvector(array[conversation_id::text])));
