"""What can have happened in the feed. Facts carry ids and what followers need, never a body."""

from typing import ClassVar
from uuid import UUID

from tenfold.modules.feed.shapes import Visibility
from tenfold.platform.events import Fact


class PostPublished(Fact, frozen=True, kw_only=True):
    """Somebody published a post, an answer, a quote or a repost."""

    author_id: UUID
    post_id: UUID
    visibility: Visibility
    reply_to_author_id: UUID | None = None
    reply_to_id: UUID | None = None
    repost_of_author_id: UUID | None = None
    repost_of_id: UUID | None = None
    quote_of_author_id: UUID | None = None
    quote_of_id: UUID | None = None
    tenant: ClassVar[str | None] = "author_id"


class PostEdited(Fact, frozen=True, kw_only=True):
    """An author changed what a post says."""

    author_id: UUID
    post_id: UUID
    tenant: ClassVar[str | None] = "author_id"


class PostDeleted(Fact, frozen=True, kw_only=True):
    """A post is gone: its author or a moderator deleted it."""

    author_id: UUID
    post_id: UUID
    tenant: ClassVar[str | None] = "author_id"


class PostLiked(Fact, frozen=True, kw_only=True):
    """Somebody likes a post."""

    author_id: UUID
    post_id: UUID
    user_id: UUID
    tenant: ClassVar[str | None] = "user_id"


class PostUnliked(Fact, frozen=True, kw_only=True):
    """Somebody does not like a post any more."""

    author_id: UUID
    post_id: UUID
    user_id: UUID
    tenant: ClassVar[str | None] = "user_id"


class UserFollowed(Fact, frozen=True, kw_only=True):
    """`user_id` follows `other_id`."""

    user_id: UUID
    other_id: UUID
    tenant: ClassVar[str | None] = "user_id"


class UserUnfollowed(Fact, frozen=True, kw_only=True):
    """`user_id` does not follow `other_id` any more, by either's wish."""

    user_id: UUID
    other_id: UUID
    tenant: ClassVar[str | None] = "user_id"
