"""Send a message: one statement, for it or for several, and the news of it. The same client id twice is one message."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.kit.refusals import Invalid
from tenfold.modules.chat import rules
from tenfold.modules.chat.actions.membership import accept
from tenfold.modules.chat.errors import ConversationNotFound, MessageNotFound
from tenfold.modules.chat.hints import Hints
from tenfold.modules.chat.outgoing import Letter, Outgoing
from tenfold.modules.chat.queries import conversations, members, messages, reach, send
from tenfold.modules.chat.rows import Sent
from tenfold.modules.chat.shapes import Change, ChatPolicy, Message, MessageDraft
from tenfold.modules.chat.telling import Hint, ReadNews, tell_change, tell_person
from tenfold.platform.db import Database, News, Taken, Tells, Write


async def post_message(
    db: Database,
    actor: Actor,
    conversation_id: UUID,
    draft: MessageDraft,
    *,
    outgoing: Outgoing,
    hints: Hints,
    policy: ChatPolicy,
) -> Message:
    """Send a message in a transaction of its own; answers when it is durable.

    Who stops waiting for the answer does not stop the message. What most messages are, a member's plain text, shares a
    round trip and a commit with others; whatever else there is to know about a message that was not written so is found
    out after it. Two requests with one client id at the same instant meet in the key that keeps it single: the later
    one finds the message of the first when it looks again.
    """
    body = _body_of(draft)

    async def deed(tx: Write) -> Message:
        return await send_message(tx, actor, conversation_id, draft, hints=hints, policy=policy)

    async def post() -> Message:
        async with outgoing.turn(conversation_id):
            sent = None if _is_linked(draft) else await outgoing.write(_letter(actor, conversation_id, draft, body))
            if sent is None:
                try:
                    return await db.transact(deed)
                except Taken:
                    return await db.transact(deed)
        message = _sent_message(actor, conversation_id, draft, sent=sent, body=body, now=sent.sent_at)
        news = News()
        _tell(news, message, sent, hints=hints)
        await db.announce(news)
        return message

    return await outgoing.see_through(post())


async def send_message(
    tx: Write, actor: Actor, conversation_id: UUID, draft: MessageDraft, *, hints: Hints, policy: ChatPolicy
) -> Message:
    """Write a message, move one's own marker to it, and tell the conversation.

    Raises `ConversationNotFound`, `MessageNotFound` for what it answers, `OnlyAdminsWriteHere`, `TooSoon`, `Invalid`.
    """
    written = _columns(draft)
    statement, more = (send.send_linked, _links(draft)) if _is_linked(draft) else (send.send_plain, {})
    asked = {"conversation_id": conversation_id, "sender_id": actor.id, "now": tx.now, **written, **more}
    asked["request_messages"] = policy.request_messages
    sent = await statement(tx, **asked)
    if sent is None and (known := await _find_known(tx, actor, conversation_id, draft)):
        # An open screen may have heard nothing of it yet: who sent it was cut off before it was told.
        root = await _find_root(tx, actor, known)
        touched = [known, root] if root is not None and root.change_no == known.change_no else [known]
        tell_change(tx, conversation_id, Change(change_no=known.change_no, messages=touched))
        return known
    if sent is None:
        await _refuse(tx, actor, conversation_id, policy)
        await _bring_back(tx, actor, conversation_id, draft)
        sent = await statement(tx, **asked)
    if sent is None:
        raise MessageNotFound
    message = _sent_message(actor, conversation_id, draft, sent=sent, body=written["body"], now=tx.now)
    _tell(tx, message, sent, root=await _find_counted_root(tx, actor, message), hints=hints)
    if sent.state == "invited":
        await accept(tx, actor, conversation_id, policy=policy)
    return message


def _letter(actor: Actor, conversation_id: UUID, draft: MessageDraft, body: str) -> Letter:
    attachments = msgspec.json.encode(draft.attachments).decode() if draft.attachments else None
    return Letter(conversation_id, actor.id, draft.client_msg_id, body, attachments)


def _sent_message(
    actor: Actor, conversation_id: UUID, draft: MessageDraft, *, sent: Sent, body: str, now: datetime
) -> Message:
    return Message(
        conversation_id=conversation_id,
        seq=sent.last_seq,
        sender_id=actor.id,
        kind="text",
        body=body,
        created_at=now,
        change_no=sent.last_change,
        client_msg_id=draft.client_msg_id,
        attachments=draft.attachments or None,
        mentions=list(dict.fromkeys(draft.mentions)) or None,
        reply_to=draft.reply_to,
        thread_root=draft.thread_root,
    )


def _body_of(draft: MessageDraft) -> str:
    body = rules.tidy(draft.body, "body.body")
    if not body and not draft.attachments:
        raise Invalid("body.body", "says nothing, and nothing is attached")
    return body


def _columns(draft: MessageDraft) -> dict[str, Any]:
    attachments = msgspec.to_builtins(draft.attachments) if draft.attachments else None
    return {"client_msg_id": draft.client_msg_id, "body": _body_of(draft), "attachments": attachments}


def _is_linked(draft: MessageDraft) -> bool:
    return bool(draft.mentions) or draft.reply_to is not None or draft.thread_root is not None


def _links(draft: MessageDraft) -> dict[str, Any]:
    mentions = list(dict.fromkeys(draft.mentions)) or None
    return {"mentions": mentions, "reply_to": draft.reply_to, "thread_root": draft.thread_root}


async def _find_known(tx: Write, actor: Actor, conversation_id: UUID, draft: MessageDraft) -> Message | None:
    """The message that had this client id before, wherever it is by now."""
    if draft.client_msg_id is None:
        return None
    named = {"conversation_id": conversation_id, "user_id": actor.id, "client_msg_id": draft.client_msg_id}
    return await send.find_sent(tx, **named) or await send.find_sent_before(tx, **named)


async def _find_root(tx: Write, actor: Actor, message: Message) -> Message | None:
    if message.thread_root is None:
        return None
    at = {"conversation_id": message.conversation_id, "seq": message.thread_root}
    return await messages.find_message(tx, **at, user_id=actor.id)


async def _find_counted_root(tx: Write, actor: Actor, message: Message) -> Message | None:
    """The root of the thread that a message was just sent into, which counts it.

    One that left for the archive while the sender waited for the conversation is fetched from there, and counts it now.
    """
    root = await _find_root(tx, actor, message)
    if message.thread_root is None or (root is not None and root.change_no == message.change_no):
        return root
    at = {"conversation_id": message.conversation_id, "seq": message.thread_root}
    await reach.bring_back(tx, **at)
    await send.count_answer(tx, **at, answer_seq=message.seq, change_no=message.change_no)
    return await _find_root(tx, actor, message)


async def _bring_back(tx: Write, actor: Actor, conversation_id: UUID, draft: MessageDraft) -> None:
    """Fetch what the message answers from the archive, and hold the sender and the conversation.

    Somebody else may have brought it back an instant ago: so it is sent again, whatever came.
    """
    await members.hold_member(tx, conversation_id=conversation_id, user_id=actor.id)
    await conversations.hold_conversation(tx, conversation_id=conversation_id)
    for seq in sorted({seq for seq in (draft.reply_to, draft.thread_root) if seq is not None}):
        await reach.bring_back(tx, conversation_id=conversation_id, seq=seq)


async def _refuse(tx: Write, actor: Actor, conversation_id: UUID, policy: ChatPolicy) -> None:
    why = await send.find_why_not_sent(
        tx,
        conversation_id=conversation_id,
        sender_id=actor.id,
        now=tx.now,
        request_messages=policy.request_messages,
    )
    if why is None:
        raise ConversationNotFound
    rules.refuse_to_send(why)


def _tell(news: Tells, message: Message, sent: Sent, *, hints: Hints, root: Message | None = None) -> None:
    conversation_id = message.conversation_id
    touched = [message] if root is None else [message, root]
    tell_change(news, conversation_id, Change(change_no=message.change_no, messages=touched))
    if message.sender_id is not None:
        tell_person(news, message.sender_id, ReadNews(conversation_id, message.seq, is_marked_unread=False))
    for person in sent.hearers or ():
        tell_person(news, person, Hint(conversation_id, message.seq))
    if sent.kind == "group":
        news.on_commit(lambda: hints.changed(conversation_id, message.seq))
