"""The values of moderation: what members report, what waits for a moderator, and what becomes of it."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from tenfold.modules.chat.shapes import Attachment

Outcome = Literal["dismissed", "held", "deleted"]


class ReportDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is wrong with a message, for the moderators."""

    reason: Literal["spam", "abuse", "violence", "sexual", "illegal", "other"]
    comment: Annotated[str, msgspec.Meta(max_length=1_000)] | None = None


class Report(msgspec.Struct, frozen=True):
    """A report that waits for a moderator, with what the message said when it was reported.

    `present_body` is what it says now: empty once deleted, null when it is not kept any longer.
    """

    id: UUID
    conversation_id: UUID
    seq: int
    reporter_id: UUID
    reason: str
    comment: str | None
    created_at: datetime
    sender_id: UUID | None
    body: str | None
    attachments: list[Attachment] | None
    present_body: str | None
    is_held: bool


class HeldMessage(msgspec.Struct, frozen=True):
    """A message that waits for its release or its end, with what it says: held by a moderator, `holder_id`."""

    conversation_id: UUID
    seq: int
    sender_id: UUID | None
    body: str
    attachments: list[Attachment] | None
    holder_id: UUID
    held_at: datetime


class Verdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a moderator makes of a message, and why: `dismissed` also gives back one that was held."""

    outcome: Outcome
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500, description="Why, for the audit log.")]
