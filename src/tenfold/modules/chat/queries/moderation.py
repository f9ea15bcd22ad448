"""Statements of moderation: reports, and messages that are held back."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from tenfold.modules.chat.queries.fragments import sql
from tenfold.modules.chat.reports import Report
from tenfold.modules.chat.shapes import Message
from tenfold.platform.db import many, maybe, run


class Held(msgspec.Struct, frozen=True):
    """What a message says that is held back."""

    body: str
    attachments: list[Any] | None
    mentions: list[UUID] | None
    held_at: datetime


insert_report = run("""
insert into message_reports (conversation_id, seq, reporter_id, report_id, reason, comment, created_at)
values (:conversation_id, :seq, :reporter_id, :report_id, :reason, :comment, :now) on conflict do nothing""")

list_open_reports = many(
    Report,
    """
select report.report_id, report.conversation_id, report.seq, report.reporter_id, report.reason, report.comment,
       report.created_at, said.sender_id, coalesce(held.body, said.body) as body,
       coalesce(held.attachments, said.attachments) as attachments, held.held_at is not null as is_held
  from message_reports report
  left join lateral (select * from every_message one
                      where one.conversation_id = report.conversation_id and one.seq = report.seq limit 1) said on true
  left join held_messages held on held.conversation_id = report.conversation_id and held.seq = report.seq
 where report.settled_at is null and (:after::uuid is null or report.report_id > :after)
 order by report.report_id limit :limit""",
)

settle_reports = run("""
update message_reports set settled_at = :now, settler_id = :settler_id, outcome = :outcome
 where conversation_id = :conversation_id and seq = :seq and settled_at is null""")

find_any_message = maybe(
    Message,
    sql("""
select {message said} from messages said
 where said.conversation_id = :conversation_id and said.seq = :seq and said.kind = 'text'"""),
)

hold_message = run("""
insert into held_messages (conversation_id, seq, body, attachments, mentions, holder_id, held_at)
values (:conversation_id, :seq, :body, :attachments, :mentions, :holder_id, :now) on conflict do nothing""")

release_message = maybe(
    Held,
    """
delete from held_messages where conversation_id = :conversation_id and seq = :seq
returning body, attachments, mentions, held_at""",
)

erase_mentions = run("delete from mentions where conversation_id = :conversation_id and seq = :seq")
