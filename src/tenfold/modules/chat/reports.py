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
    """A report that waits for a moderator, with what the message says (also while it is held back)."""

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
    is_held: bool


class Verdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a moderator makes of a message, and why: `dismissed` also gives back one that was held."""

    outcome: Outcome
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500, description="Why, for the audit log.")]
