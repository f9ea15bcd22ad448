"""Statements of moderation: reports, and messages that are held back."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from tenfold.modules.chat.queries.fragments import sql
from tenfold.modules.chat.reports import HeldMessage, Report
from tenfold.modules.chat.shapes import Message
from tenfold.platform.db import many, maybe, run


class Held(msgspec.Struct, frozen=True):
    """What a message says that is held back."""

    body: str
    attachments: list[Any] | None
    mentions: list[UUID] | None
    pinned_at: datetime | None
    pinned_by: UUID | None


# A message that says something, for whoever reads there; or who declined or blocked a stranger after it came.
find_seen_message = maybe(
    Message,
    sql("""
select {message said} from every_message said
 where said.conversation_id = :conversation_id and said.seq = :seq and said.kind = 'text' and said.deleted_at is null
   and exists (select from conversations c
                 join members mine on mine.conversation_id = c.conversation_id
                where c.conversation_id = :conversation_id and mine.user_id = :user_id and said.seq >= c.first_seq
                  and ({reads}
                       or c.kind = 'direct' and mine.state = 'left' and said.created_at <= mine.since))"""),
)

# What was settled is open again when the message was edited since. Of the oldest reports it is not kept what it said.
insert_report = run("""
insert into message_reports as report
       (conversation_id, seq, reporter_id, report_id, reason, comment, created_at, sender_id, body, attachments)
values (:conversation_id, :seq, :reporter_id, :report_id, :reason, :comment, :now, :sender_id, :body, :attachments)
    on conflict (conversation_id, seq, reporter_id) do update
       set report_id = excluded.report_id, reason = excluded.reason, comment = excluded.comment,
           created_at = excluded.created_at, sender_id = excluded.sender_id, body = excluded.body,
           attachments = excluded.attachments, settled_at = null, settler_id = null, outcome = null
     where report.settled_at is not null
       and case when report.body is null then :edited_at::timestamptz > report.settled_at
                else report.body is distinct from excluded.body end""")

list_open_reports = many(
    Report,
    """
select report.report_id, report.conversation_id, report.seq, report.reporter_id, report.reason, report.comment,
       report.created_at, coalesce(report.sender_id, said.sender_id) as sender_id,
       coalesce(report.body, held.body, said.body) as body,
       coalesce(report.attachments, held.attachments, said.attachments) as attachments,
       coalesce(held.body, said.body) as present_body, held.held_at is not null as is_held
  from message_reports report
  left join lateral (select * from every_message one
                      where one.conversation_id = report.conversation_id and one.seq = report.seq limit 1) said on true
  left join held_messages held on held.conversation_id = report.conversation_id and held.seq = report.seq
 where report.settled_at is null and (:after::uuid is null or report.report_id > :after)
 order by report.report_id limit :limit""",
)

# Answers with whose message it was, once for each report.
settle_reports = many(
    UUID,
    """
update message_reports set settled_at = :now, settler_id = :settler_id, outcome = :outcome
 where conversation_id = :conversation_id and seq = :seq and settled_at is null
returning sender_id""",
)

find_any_message = maybe(
    Message,
    sql("""
select {message said} from messages said
 where said.conversation_id = :conversation_id and said.seq = :seq and said.kind = 'text'"""),
)

hold_message = run("""
insert into held_messages
       (conversation_id, seq, body, attachments, mentions, pinned_at, pinned_by, holder_id, held_at)
values (:conversation_id, :seq, :body, :attachments, :mentions, :pinned_at, :pinned_by, :holder_id, :now)
    on conflict do nothing""")

release_message = maybe(
    Held,
    """
delete from held_messages where conversation_id = :conversation_id and seq = :seq
returning body, attachments, mentions, pinned_at, pinned_by""",
)

list_held_messages = many(
    HeldMessage,
    """
select held.conversation_id, held.seq, said.sender_id, held.body, held.attachments, held.holder_id, held.held_at
  from held_messages held
  left join messages said on said.conversation_id = held.conversation_id and said.seq = held.seq
 where :after_at::timestamptz is null
    or (held.held_at, held.conversation_id, held.seq) > (:after_at, :after_id::uuid, :after_seq::bigint)
 order by held.held_at, held.conversation_id, held.seq limit :limit""",
)

erase_mentions = run("delete from mentions where conversation_id = :conversation_id and seq = :seq")
