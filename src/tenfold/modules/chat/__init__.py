"""Chat: conversations, the people in them, and what they say to each other.

Other modules follow its facts; they see nothing of its tables.
"""

from tenfold.modules.chat.events import ConversationOpened, GroupOutgrown, MemberInvited, MemberJoined, MemberLeft

__all__ = ["ConversationOpened", "GroupOutgrown", "MemberInvited", "MemberJoined", "MemberLeft"]
