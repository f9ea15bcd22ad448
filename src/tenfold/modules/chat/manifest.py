"""What chat brings to the house."""

from tenfold.modules.chat import errors, events
from tenfold.platform.module import Module

module = Module(
    name="chat",
    package="tenfold.modules.chat",
    events=events,
    errors=errors,
    homes={
        "conversations": "conversation_id",
        "members": "conversation_id",
        "memberships": "user_id",
        "messages": "conversation_id",
        "message_edits": "conversation_id",
        "mentions": "conversation_id",
        "reactions": "conversation_id",
        "thread_reads": "conversation_id",
        "archived_messages": "conversation_id",
        "message_reports": "conversation_id",
        "held_messages": "conversation_id",
    },
)
