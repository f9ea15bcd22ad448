-- tenfold: expand
-- A report keeps what the message said when it was reported, and whose it was: it may be edited, deleted or past its
-- time before a moderator looks. Reports of before have the words of now.
alter table message_reports add column sender_id uuid, add column body text, add column attachments jsonb;
update message_reports report
   set sender_id = said.sender_id, body = coalesce(held.body, said.body),
       attachments = coalesce(held.attachments, said.attachments)
  from every_message said
  left join held_messages held on held.conversation_id = said.conversation_id and held.seq = said.seq
 where said.conversation_id = report.conversation_id and said.seq = report.seq and report.settled_at is null;

-- A message on hold is not pinned; released, it is again. What waits longest for its release is looked at first.
alter table held_messages add column pinned_at timestamptz, add column pinned_by uuid;
create index held_messages_oldest on held_messages (held_at, conversation_id, seq);
