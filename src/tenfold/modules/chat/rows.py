"""Rows as the statements of chat answer with them, for its own deeds; what leaves the house is in `shapes`."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from tenfold.modules.chat.shapes import (
    Attachment,
    ConversationKind,
    ConversationRow,
    MemberRole,
    MemberState,
    MessageKind,
)


class Sent(msgspec.Struct, frozen=True, gc=False):
    """What the statement that sends answers: the numbers of the message, and what else is to be told.

    `state` is the sender's before it: `invited` when this is their answer to a stranger. `hearers` are the people of a
    direct conversation.
    """

    last_seq: int
    last_change: int
    kind: ConversationKind
    hearers: list[UUID] | None
    state: MemberState


class SentAmongOthers(Sent, frozen=True, gc=False):
    """The same of one message of several that were written by one statement."""

    conversation_id: UUID
    sent_at: datetime


class NotSent(msgspec.Struct, frozen=True):
    """Why somebody in a conversation cannot send: not let in, not accepted, not among writers, too soon by `wait` s."""

    is_outside: bool
    is_waiting: bool
    is_silent: bool
    wait: float


class Standing(msgspec.Struct, frozen=True):
    """What somebody is in a conversation; no state when they never were in it."""

    state: MemberState | None
    role: MemberRole | None


class MyPlace(msgspec.Struct, frozen=True):
    """One of somebody's conversations, as their home lists it."""

    conversation_id: UUID
    state: MemberState
    is_muted: bool
    muted_until: datetime | None
    is_archived: bool
    hidden_seq: int


class SeenRow(ConversationRow, frozen=True):
    """A conversation, what it is to one person (no state: nothing yet), and its latest message if they may read it."""

    state: MemberState | None = None
    role: MemberRole | None = None
    read_seq: int | None = None
    delivered_seq: int | None = None
    is_marked_unread: bool | None = None
    unread: int | None = None
    mentions: int | None = None
    first_unread: int | None = None
    latest_seq: int | None = None
    latest_sender_id: UUID | None = None
    latest_kind: MessageKind | None = None
    latest_body: str | None = None
    latest_notice: dict[str, Any] | None = None
    latest_deleted_at: datetime | None = None


class Marked(msgspec.Struct, frozen=True):
    """A marker that was moved: where it is now, what others are told, and whether they are told at all.

    Nobody is in a channel, or before a stranger's request is accepted.
    """

    read_seq: int
    shown_seq: int
    delivered_seq: int
    is_marked_unread: bool
    is_shown: bool


class Position(msgspec.Struct, frozen=True):
    """Where a conversation's changes stand."""

    conversation_id: UUID
    last_change: int


class UnreadRow(msgspec.Struct, frozen=True):
    """What waits in one conversation."""

    conversation_id: UUID
    unread: int
    mentions: int
    is_marked_unread: bool


class KeptConversation(msgspec.Struct, frozen=True):
    """A conversation as it stands in the copy of one's data."""

    id: UUID
    kind: ConversationKind
    title: str | None
    state: MemberState
    role: MemberRole
    since: datetime
    read_seq: int


class KeptMessage(msgspec.Struct, frozen=True):
    """A message as it stands in the copy of one's data."""

    conversation_id: UUID
    seq: int
    body: str
    attachments: list[Attachment] | None
    created_at: datetime
    edited_at: datetime | None


class KeptReaction(msgspec.Struct, frozen=True):
    """A reaction as it stands in the copy of one's data."""

    conversation_id: UUID
    seq: int
    emoji: str
