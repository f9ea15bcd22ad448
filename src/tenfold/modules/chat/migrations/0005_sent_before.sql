-- tenfold: expand
-- The size of a channel is not counted.
alter table conversations alter column member_count drop not null, alter column member_count drop default;
update conversations set member_count = null where kind = 'channel';

-- The sender's names of messages that are in the archive: what was sent once stays one message however late it comes
-- again, and a send looks into one small index instead of every month.
create table archived_sends (
    conversation_id uuid not null,
    sender_id uuid not null,
    client_msg_id text not null,
    seq bigint not null,
    primary key (conversation_id, sender_id, client_msg_id)
);
insert into archived_sends
select conversation_id, sender_id, client_msg_id, seq from archived_messages
 where sender_id is not null and client_msg_id is not null
    on conflict do nothing;
