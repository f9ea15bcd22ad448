"""What can have happened in chat. A message is no fact: nothing runs per message, and it is told live."""

from typing import ClassVar
from uuid import UUID

from tenfold.modules.chat.shapes import ConversationKind
from tenfold.platform.events import Fact


class ConversationOpened(Fact, frozen=True, kw_only=True):
    """Somebody opened a conversation."""

    conversation_id: UUID
    kind: ConversationKind
    creator_id: UUID
    tenant: ClassVar[str | None] = "creator_id"


class MemberInvited(Fact, frozen=True, kw_only=True):
    """Somebody is asked into a conversation, or a stranger's direct message waits for them."""

    conversation_id: UUID
    user_id: UUID
    inviter_id: UUID
    tenant: ClassVar[str | None] = "inviter_id"


class MemberJoined(Fact, frozen=True, kw_only=True):
    """Somebody is in a conversation from now on."""

    conversation_id: UUID
    user_id: UUID
    tenant: ClassVar[str | None] = "user_id"


class MemberLeft(Fact, frozen=True, kw_only=True):
    """Somebody is not in a conversation any more, by their own wish or an admin's."""

    conversation_id: UUID
    user_id: UUID
    tenant: ClassVar[str | None] = "user_id"


class GroupOutgrown(Fact, frozen=True, kw_only=True):
    """A group has grown past the size up to which it makes its members known to each other."""

    conversation_id: UUID
