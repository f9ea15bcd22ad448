"""What followers are told live on their `user:{id}` channel. The feed has no channels of its own."""

from typing import Literal
from uuid import UUID

import msgspec

from tenfold.modules.feed.shapes import Post


class PostNews(msgspec.Struct, frozen=True):
    """A post is new or was edited; `post` is as its hearer sees it who has not reacted to it yet, nor to one inside."""

    type: Literal["post.published", "post.edited"]
    post: Post


class PostGone(msgspec.Struct, frozen=True):
    """A post was deleted: take it away wherever it is shown, reposts included."""

    author_id: UUID
    id: UUID
    type: Literal["post.deleted"] = "post.deleted"


class AuthorGone(msgspec.Struct, frozen=True):
    """An author is erased, hidden or banned: take away all their posts, reposts and quotes of them included.

    One who is shown again is not told of: what they wrote is there when somebody looks again.
    """

    author_id: UUID
    type: Literal["author.gone"] = "author.gone"
