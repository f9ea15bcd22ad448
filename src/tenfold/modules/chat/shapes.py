"""The values of chat: conversations, members and messages as their members see them, and the policy in numbers."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from tenfold.modules.identity import UserCard

ConversationKind = Literal["direct", "group", "channel"]
Access = Literal["invited", "open"]
Posting = Literal["members", "admins"]
MemberState = Literal["invited", "joined", "left", "removed"]
MemberRole = Literal["owner", "admin", "member"]
MessageKind = Literal["text", "notice"]

BodyText = Annotated[str, msgspec.Meta(max_length=10_000, description="What the message says.")]
TitleText = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
TopicText = Annotated[str, msgspec.Meta(max_length=500)]
ClientId = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=64, description="The sender's name for it: sent twice, it is one."),
]
Seq = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62, description="The number of a message in its conversation.")]

NIL = UUID(int=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatPolicy:
    """What is sensible here, in numbers.

    `group_cap`: people in a group at most. `conversations_cap`: conversations one may be in at most.
    `invitations_cap`: invitations that wait for an answer at most, of one conversation and for one person.
    `hint_every`: how often, at most, the other members of a group are told that it has changed.
    `reaction_kinds`: different reactions to one message. `pins`: pinned messages in one conversation.
    `request_messages`: what a stranger may write before they are accepted.
    `search_reach`: conversations, the latest, that a search looks into. `acquainted_in`: members of a group that makes
    its members known to each other. `idle_after`: so long after their last sign of life somebody connected is idle.
    `archive_after`: the age at which messages move to the archive. `batch`: rows that a job moves or deletes at once.
    """

    group_cap: int = 1_000
    conversations_cap: int = 5_000
    invitations_cap: int = 1_000
    hint_every: timedelta = timedelta(seconds=1)
    reaction_kinds: int = 20
    pins: int = 50
    request_messages: int = 3
    search_reach: int = 200
    acquainted_in: int = 100
    idle_after: timedelta = timedelta(minutes=5)
    archive_after: timedelta = timedelta(days=30)
    batch: int = 1_000


class Attachment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file that a message refers to, by the address under which its members may fetch it.

    The address is of the web, or of this server: nothing that a client would run.
    """

    kind: Literal["image", "video", "audio", "file"]
    url: Annotated[str, msgspec.Meta(max_length=2_000, pattern=r"^(https?://|/)\S+$")]
    name: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    media_type: Annotated[str, msgspec.Meta(max_length=100)] | None = None
    size: Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)] | None = None


class MessageDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message to send. `reply_to` quotes a message; `thread_root` puts the answer into that message's thread."""

    body: BodyText = ""
    client_msg_id: ClientId | None = None
    attachments: Annotated[list[Attachment], msgspec.Meta(max_length=10)] = []
    mentions: Annotated[list[UUID], msgspec.Meta(max_length=50)] = []
    reply_to: Seq | None = None
    thread_root: Seq | None = None


class MessageEdit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an edited message says from now on, and whom it mentions."""

    body: Annotated[str, msgspec.Meta(min_length=1, max_length=10_000)]
    mentions: Annotated[list[UUID], msgspec.Meta(max_length=50)] | msgspec.UnsetType = msgspec.UNSET


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message in its present state; the columns of its row, in their order.

    `sender_id` is null once the sender is erased. A deleted message is empty. `reactions` counts them by emoji.
    `thread_size` counts the answers in the thread that this message began. `notice` says what a notice of the house is
    about. `change_no` is the number of its latest change, `revision` counts its changes since it was sent. `mine` are
    the kinds among the reactions that the reader gave; what is told live to all does not have it.
    """

    conversation_id: UUID
    seq: int
    sender_id: UUID | None
    kind: MessageKind
    body: str
    created_at: datetime
    change_no: int
    revision: int = 0
    client_msg_id: str | None = None
    attachments: list[Attachment] | None = None
    mentions: list[UUID] | None = None
    reply_to: int | None = None
    thread_root: int | None = None
    thread_size: int = 0
    thread_last_seq: int | None = None
    reactions: dict[str, int] | None = None
    notice: dict[str, Any] | None = None
    edited_at: datetime | None = None
    deleted_at: datetime | None = None
    pinned_at: datetime | None = None
    pinned_by: UUID | None = None
    mine: list[str] | None = None


class Reactor(msgspec.Struct, frozen=True):
    """Somebody who reacted; `user` is null for who cannot be seen at present."""

    id: UUID
    user: UserCard | None


class History(msgspec.Struct, frozen=True):
    """A stretch of a conversation, oldest first, with the people in it who may be seen.

    `earlier` and `later` say whether there are messages before and after it.
    """

    items: list[Message]
    people: list[UserCard]
    earlier: bool
    later: bool


class EarlierBody(msgspec.Struct, frozen=True):
    """What a message said before it was edited, and since when."""

    id: UUID
    body: str
    written_at: datetime


class ConversationDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group or a channel to open. `members` are invited."""

    kind: Literal["group", "channel"] = "group"
    title: TitleText
    topic: TopicText | None = None
    access: Access = "invited"
    posting: Posting = "members"
    members: Annotated[list[UUID], msgspec.Meta(max_length=100)] = []


class ConversationEdit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What its admins change about a conversation; what is not named stays.

    `slow_mode_seconds`: how long a member waits between two messages. `retention_days`: how long messages are kept
    (null: for good).
    """

    title: TitleText | msgspec.UnsetType = msgspec.UNSET
    topic: TopicText | msgspec.UnsetType | None = msgspec.UNSET
    access: Access | msgspec.UnsetType = msgspec.UNSET
    posting: Posting | msgspec.UnsetType = msgspec.UNSET
    slow_mode_seconds: Annotated[int, msgspec.Meta(ge=0, le=86_400)] | msgspec.UnsetType = msgspec.UNSET
    retention_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] | msgspec.UnsetType | None = msgspec.UNSET


class ConversationRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A conversation in its present state, as all its members see it.

    `last_seq` is the number of its latest message, `last_change` of its latest change, `change_no` of the latest
    change of the conversation itself; `first_seq` is the first message that is kept. The size of a channel is not
    counted.
    """

    id: UUID
    kind: ConversationKind
    title: str | None
    topic: str | None
    access: Access
    posting: Posting
    creator_id: UUID
    created_at: datetime
    last_message_at: datetime
    last_seq: int
    last_change: int
    change_no: int
    first_seq: int
    member_count: int | None = None
    one_id: UUID | None = None
    other_id: UUID | None = None
    slow_mode_seconds: int = 0
    retention_days: int | None = None
    is_blocked: bool = False


class MemberRow(msgspec.Struct, frozen=True):
    """A member as all members see them: how far they have read and received, as they let others know."""

    user_id: UUID
    state: MemberState
    role: MemberRole
    inviter_id: UUID | None
    since: datetime
    shown_seq: int
    delivered_seq: int
    change_no: int


class Member(msgspec.Struct, frozen=True):
    """A member in a list of members. `read_seq` is what they let others know."""

    user: UserCard
    state: MemberState
    role: MemberRole
    since: datetime
    read_seq: int
    delivered_seq: int


class Mine(msgspec.Struct, frozen=True):
    """What a conversation is to the asker: their standing, their markers, and what waits for them.

    `unread` counts what others wrote after `read_seq` and did not delete, `mentions` those that name the asker.
    `first_unread` is the first message among the unread ones.
    """

    state: MemberState
    role: MemberRole
    read_seq: int
    delivered_seq: int
    is_marked_unread: bool
    unread: int
    mentions: int
    first_unread: int | None
    is_muted: bool
    muted_until: datetime | None
    is_archived: bool
    is_hidden: bool


class Preview(msgspec.Struct, frozen=True):
    """The latest message of a conversation, as a list shows it."""

    seq: int
    sender_id: UUID | None
    kind: MessageKind
    body: str
    notice: dict[str, Any] | None
    deleted_at: datetime | None


class Conversation(msgspec.Struct, frozen=True):
    """A conversation as somebody sees it.

    `peer` is the other person of a direct one, null once erased or hidden. `mine` is null for who is not in it, and
    looks at an open one.
    """

    id: UUID
    kind: ConversationKind
    title: str | None
    topic: str | None
    access: Access
    posting: Posting
    creator_id: UUID
    created_at: datetime
    last_message_at: datetime
    last_seq: int
    last_change: int
    first_seq: int
    member_count: int | None
    slow_mode_seconds: int
    retention_days: int | None
    peer: UserCard | None
    last_message: Preview | None
    mine: Mine | None


class Change(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="conversation.change"):
    """What a durable publication on `conversation:{id}` carries: the rows that a change touched, as they are now.

    A client that puts each in the place of what it had under the same `seq` or `user_id` has the present state, also
    when it hears one twice.
    """

    change_no: int
    messages: list[Message] = []
    members: list[MemberRow] = []
    conversation: ConversationRow | None = None


class Marker(msgspec.Struct, frozen=True):
    """Up to where somebody has read and received, as they let others know."""

    user_id: UUID
    read_seq: int
    delivered_seq: int


class Unread(msgspec.Struct, frozen=True):
    """What waits in all one's conversations, the muted and archived ones apart from the count of messages."""

    conversations: int
    messages: int
    mentions: int
    requests: int


class Receipt(msgspec.Struct, frozen=True):
    """How far a member is, in a list of them."""

    user: UserCard
    read_seq: int
    delivered_seq: int
