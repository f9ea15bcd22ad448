"""The values of the feed: posts as the world sees them, rows as the database gives them, and the policy in numbers."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from tenfold.modules.identity import UserCard

Visibility = Literal["public", "followers"]
BodyText = Annotated[str, msgspec.Meta(min_length=1, max_length=5_000, description="What the post says.")]
LangText = Annotated[str, msgspec.Meta(min_length=2, max_length=35, description="A language tag: `en`, `pt-BR`.")]

NIL = UUID(int=0)
LAST = UUID(int=(1 << 128) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPolicy:
    """What is sensible here, in numbers; the settings of the same names override them.

    `home_cap`: entries a rebuilt home holds at most; it is trimmed back to that many above twice as many.
    `home_depth`: posts of one author that a rebuild takes at most; older ones are pulled when somebody pages that far.
    `pull_threshold`: followers from which an author's posts are no longer pushed but pulled by each reader.
    `fan_out_batch`: followers that one fan-out job serves before it hands on to the next.
    `absence`: after so long without reading, a home is emptied; it is rebuilt on return.
    `touch_every`: how often, at most, reading writes down that the reader is here.
    `following_cap`: people one may follow at most. `public_cap`: posts the public timeline reaches back.
    `grave`: how long the emptied row of a deleted post is kept.
    """

    home_cap: int = 400
    home_depth: int = 100
    pull_threshold: int = 10_000
    fan_out_batch: int = 1_000
    absence: timedelta = timedelta(days=14)
    touch_every: timedelta = timedelta(hours=1)
    following_cap: int = 5_000
    public_cap: int = 10_000
    grave: timedelta = timedelta(days=30)


class Ref(msgspec.Struct, frozen=True):
    """The address of a post."""

    author_id: UUID
    id: UUID


class Draft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A post to publish. `reply_to` and `quote_of` name posts that the author can see."""

    body: BodyText
    visibility: Visibility = "public"
    lang: LangText | None = None
    reply_to: Ref | None = None
    quote_of: Ref | None = None


class Revision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an edit changes; what it does not name stays."""

    body: BodyText | msgspec.UnsetType = msgspec.UNSET
    lang: LangText | msgspec.UnsetType | None = msgspec.UNSET


class Counts(msgspec.Struct, frozen=True, gc=False):
    """How often others liked, reposted, quoted and answered a post."""

    likes: int = 0
    reposts: int = 0
    quotes: int = 0
    replies: int = 0


class Viewer(msgspec.Struct, frozen=True, gc=False):
    """What the reader has to do with a post."""

    liked: bool = False
    bookmarked: bool = False
    reposted: bool = False
    follows_author: bool = False


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """A post as one reader sees it. `viewer` is null for somebody who is not signed in.

    A repost has an empty body and carries the original whole. Posts inside a post carry no further ones.
    """

    id: UUID
    author: UserCard
    body: str
    visibility: Visibility
    lang: str | None
    created_at: datetime
    edited_at: datetime | None
    counts: Counts
    viewer: Viewer | None
    reply_to: Ref | None = None
    root: Ref | None = None
    repost_of: "Post | None" = None
    quote_of: "Quoted | None" = None


class Quoted(msgspec.Struct, frozen=True):
    """A quoted post: its address, and itself unless it is gone or the reader may not see it."""

    author_id: UUID
    id: UUID
    post: Post | None = None


class Edit(msgspec.Struct, frozen=True):
    """An earlier version of a post, and when it was written."""

    id: UUID
    body: str
    lang: str | None
    written_at: datetime


class Revised(msgspec.Struct, frozen=True):
    """An earlier version of a post as it stands in the copy of one's data."""

    post_id: UUID
    id: UUID
    body: str
    lang: str | None
    written_at: datetime


class Person(msgspec.Struct, frozen=True):
    """Somebody in a list of people, and since when: the follow, the like, the block."""

    user: UserCard
    since: datetime


class Muted(msgspec.Struct, frozen=True):
    """Somebody who is muted, since when, and until when (null: until unmuted)."""

    user: UserCard
    since: datetime
    until: datetime | None


class UserCounts(msgspec.Struct, frozen=True):
    """How much somebody wrote, how many follow them, and how many they follow."""

    posts: int
    followers: int
    following: int


class Relationship(msgspec.Struct, frozen=True):
    """What the asker and another person are to each other."""

    following: bool
    followed_by: bool
    blocking: bool
    blocked_by: bool
    muting: bool
    muted_until: datetime | None


class PostRow(msgspec.Struct, frozen=True, gc=False):
    """A row of any list of posts, flat; `position` is its place in the list, `embedded` marks originals referred to."""

    embedded: bool
    position: UUID
    author_id: UUID
    post_id: UUID
    body: str
    visibility: Visibility
    lang: str | None
    reply_to_author_id: UUID | None
    reply_to_id: UUID | None
    root_author_id: UUID | None
    root_id: UUID | None
    repost_of_author_id: UUID | None
    repost_of_id: UUID | None
    quote_of_author_id: UUID | None
    quote_of_id: UUID | None
    created_at: datetime
    edited_at: datetime | None
    likes: int
    reposts: int
    quotes: int
    replies: int
    liked: bool
    bookmarked: bool
    reposted: bool
    follows_author: bool


class HomeRow(PostRow, frozen=True, gc=False):
    """A row of a home timeline and the state of that home; a fresh home without posts is one row whose post is null."""

    fresh: bool
    floor_id: UUID
    active_at: datetime


class Deed(msgspec.Struct, frozen=True):
    """What a reaction met: whether the post can be seen, whether anything changed; the original when it is a repost."""

    seen: bool
    changed: bool
    original_author_id: UUID | None
    original_id: UUID | None


class PersonRow(msgspec.Struct, frozen=True):
    """A row of a list of people; `position` is a UUIDv7 whose time says since when."""

    position: UUID
    user_id: UUID


class OtherRow(msgspec.Struct, frozen=True):
    """A row of one's list of blocked or muted people."""

    user_id: UUID
    since: datetime
    until: datetime | None


class Reader(msgspec.Struct, frozen=True):
    """Somebody who may be shown a post live: whether they follow its author, and may see the post it refers to."""

    user_id: UUID
    follows_author: bool
    sees_original: bool


class Echo(msgspec.Struct, frozen=True):
    """The address of a repost or a quote."""

    author_id: UUID
    id: UUID
    is_repost: bool


class Kept(msgspec.Struct, frozen=True):
    """A post as it stands in the copy of one's data."""

    id: UUID
    author_id: UUID
    body: str
    visibility: Visibility
    lang: str | None
    reply_to: UUID | None
    repost_of: UUID | None
    quote_of: UUID | None
    created_at: datetime
    edited_at: datetime | None
