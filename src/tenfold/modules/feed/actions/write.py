"""Publish, edit and delete posts. Each answers with rows, as a read of the same post would."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.modules.feed import rules
from tenfold.modules.feed.errors import PostNotFound
from tenfold.modules.feed.events import PostDeleted, PostEdited, PostPublished
from tenfold.modules.feed.queries import posts
from tenfold.modules.feed.shapes import Draft, PostRow, Ref, Revision
from tenfold.platform.db import Read, Write


@dataclass(frozen=True, slots=True)
class _Links:
    """What a new post refers to, as its author sees it."""

    reply_to: PostRow | None
    quote_of: PostRow | None
    quoted: list[PostRow]

    def columns(self) -> dict[str, UUID | None]:
        """The columns of the reference, by name. An answer to an answer belongs to the same root."""
        parent, quote = self.reply_to, self.quote_of
        return {
            "reply_to_author_id": parent and parent.author_id,
            "reply_to_id": parent and parent.post_id,
            "root_author_id": parent and (parent.root_author_id or parent.author_id),
            "root_id": parent and (parent.root_id or parent.post_id),
            "quote_of_author_id": quote and quote.author_id,
            "quote_of_id": quote and quote.post_id,
        }


async def publish_post(tx: Write, actor: Actor, draft: Draft) -> list[PostRow]:
    """Write a post; followers' homes have it a moment later. Raises `PostNotFound` for what the author cannot see."""
    body, lang = rules.tidy_body(draft.body), rules.tidy_lang(draft.lang)
    post_id = new_id()
    written = {
        "author_id": actor.id,
        "post_id": post_id,
        "body": body,
        "visibility": draft.visibility,
        "lang": lang,
    }
    if draft.reply_to is None and draft.quote_of is None:
        await posts.insert_post(tx, **written, now=tx.now)
        tx.publish(PostPublished(author_id=actor.id, post_id=post_id, visibility=draft.visibility))
        return [_new_row(tx, written)]
    links = await _look_up(tx, actor, draft)
    columns = links.columns()
    await posts.insert_linked_post(tx, **written, **columns, now=tx.now)
    roots = {name: id_ for name, id_ in columns.items() if not name.startswith("root")}
    tx.publish(PostPublished(author_id=actor.id, post_id=post_id, visibility=draft.visibility, **roots))
    return [_new_row(tx, written | columns), *links.quoted]


async def edit_post(tx: Write, actor: Actor, post_id: UUID, revision: Revision) -> list[PostRow]:
    """Change what one's own post says, and keep what it said before. An edit that changes nothing leaves no trace."""
    rows = await see_post(tx, actor, actor.id, post_id)
    row = rows[0]
    rules.must_not_be_a_repost(row)
    body = row.body if revision.body is msgspec.UNSET else rules.tidy_body(revision.body)
    lang = row.lang if revision.lang is msgspec.UNSET else rules.tidy_lang(revision.lang)
    edited = await posts.edit_post(
        tx, author_id=actor.id, post_id=post_id, body=body, lang=lang, edit_id=new_id(), now=tx.now
    )
    if not edited:
        return rows
    tx.publish(PostEdited(author_id=actor.id, post_id=post_id))
    return [msgspec.structs.replace(row, body=body, lang=lang, edited_at=tx.now), *rows[1:]]


async def delete_post(tx: Write, author_id: UUID, post_id: UUID) -> None:
    """Empty a post and take back what it left with others; the caller knows whose it is. Raises `PostNotFound`."""
    if not await posts.delete_post(tx, author_id=author_id, post_id=post_id, delta_id=new_id(), now=tx.now):
        raise PostNotFound
    tx.publish(PostDeleted(author_id=author_id, post_id=post_id))


async def see_post(tx: Read, actor: Actor | None, author_id: UUID, post_id: UUID) -> list[PostRow]:
    """A post and what it refers to, as the actor sees them. Raises `PostNotFound`."""
    asked = {"author_id": author_id, "post_id": post_id, "viewer_id": actor and actor.id}
    rows = await posts.find_plain_post(tx, **asked) or await posts.find_post(tx, **asked)
    if not rows:
        raise PostNotFound
    return rows


async def _look_up(tx: Read, actor: Actor, draft: Draft) -> _Links:
    parent = quote = None
    quoted: list[PostRow] = []
    if draft.reply_to is not None:
        parent = await _seen(tx, actor, draft.reply_to)
        rules.must_not_be_a_repost(parent)
    if draft.quote_of is not None:
        quote = await _seen(tx, actor, draft.quote_of)
        rules.must_be_repeatable(quote)
        quoted = [msgspec.structs.replace(quote, embedded=True, quotes=quote.quotes + 1)]
    return _Links(parent, quote, quoted)


async def _seen(tx: Read, actor: Actor, ref: Ref) -> PostRow:
    return (await see_post(tx, actor, ref.author_id, ref.id))[0]


def _new_row(tx: Write, columns: dict[str, Any]) -> PostRow:
    """The row of a post that was just written: nobody has done anything with it."""
    empty = dict.fromkeys(PostRow.__struct_fields__)
    counts = dict.fromkeys(("likes", "reposts", "quotes", "replies"), 0)
    viewer = dict.fromkeys(("embedded", "liked", "bookmarked", "reposted", "follows_author"), False)
    rest = {"position": columns["post_id"], "created_at": tx.now}
    return PostRow(**{**empty, **counts, **viewer, **columns, **rest})
