"""What chat brings to the house."""

from tenfold.modules.chat import errors, events, live
from tenfold.modules.chat.actions.leave import export_chat
from tenfold.modules.chat.api import conversations as conversations_api
from tenfold.modules.chat.api import markers as markers_api
from tenfold.modules.chat.api import members as members_api
from tenfold.modules.chat.api import messages as messages_api
from tenfold.modules.chat.api import moderation as moderation_api
from tenfold.modules.chat.api import presence as presence_api
from tenfold.modules.chat.api import reactions as reactions_api
from tenfold.modules.chat.api import search as search_api
from tenfold.modules.chat.api import threads as threads_api
from tenfold.modules.chat.jobs import age, blocks, people
from tenfold.modules.chat.queries import (
    acquainted,
    archive,
    conversations,
    leave,
    markers,
    members,
    messages,
    moderation,
    pins,
    reach,
    reactions,
    replay,
    search,
    send,
    threads,
)
from tenfold.platform.module import Module

module = Module(
    name="chat",
    package="tenfold.modules.chat",
    api=[
        conversations_api,
        members_api,
        messages_api,
        markers_api,
        reactions_api,
        threads_api,
        search_api,
        presence_api,
        moderation_api,
    ],
    live=live,
    jobs=[people, blocks, age],
    queries=[
        conversations,
        members,
        messages,
        send,
        markers,
        replay,
        leave,
        reach,
        reactions,
        pins,
        threads,
        search,
        acquainted,
        moderation,
        archive,
    ],
    events=events,
    errors=errors,
    export=export_chat,
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
        "archived_sends": "conversation_id",
        "message_reports": "conversation_id",
        "held_messages": "conversation_id",
        "activity": "user_id",
    },
    costs={
        "GET /conversations": 6.0,
        "GET /conversations/{conversation_id:uuid}/messages": 3.0,
        "POST /conversations/{conversation_id:uuid}/messages": 4.0,
        "PUT /conversations/{conversation_id:uuid}/read": 3.0,
        "GET /me/unread": 4.0,
    },
)
