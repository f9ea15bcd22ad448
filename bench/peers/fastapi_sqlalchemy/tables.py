"""The peer's ORM models, on the tables that Tenfold's migrations made."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import DateTime, Text, and_
from sqlalchemy.orm import DeclarativeBase, Mapped, foreign, mapped_column, relationship, remote


class Base(DeclarativeBase):
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: DateTime(timezone=True), str: Text()}


class User(Base):
    __tablename__ = "users"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    handle: Mapped[str]
    name: Mapped[str]
    avatar: Mapped[str | None]
    state: Mapped[str]


class Email(Base):
    __tablename__ = "emails"

    email_key: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]


class Credential(Base):
    __tablename__ = "credentials"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    password_hash: Mapped[str]


class Session(Base):
    __tablename__ = "sessions"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    device: Mapped[str]
    user_agent: Mapped[str]
    address: Mapped[str]
    second_factor: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column()
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class RefreshToken(Base):
    __tablename__ = "refresh_tokens"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    generation: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[bytes]
    issued_at: Mapped[datetime]


class PostCount(Base):
    __tablename__ = "post_counts"

    author_id: Mapped[UUID] = mapped_column(primary_key=True)
    post_id: Mapped[UUID] = mapped_column(primary_key=True)
    likes: Mapped[int]
    reposts: Mapped[int]
    quotes: Mapped[int]
    replies: Mapped[int]


class UserCount(Base):
    __tablename__ = "user_counts"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    posts: Mapped[int]
    followers: Mapped[int]
    following: Mapped[int]


class Post(Base):
    __tablename__ = "posts"

    author_id: Mapped[UUID] = mapped_column(primary_key=True)
    post_id: Mapped[UUID] = mapped_column(primary_key=True)
    body: Mapped[str]
    visibility: Mapped[str]
    lang: Mapped[str | None]
    reply_to_author_id: Mapped[UUID | None]
    reply_to_id: Mapped[UUID | None]
    root_author_id: Mapped[UUID | None]
    root_id: Mapped[UUID | None]
    created_at: Mapped[datetime]
    edited_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]

    author: Mapped[User] = relationship(
        primaryjoin=lambda: foreign(Post.author_id) == remote(User.user_id), viewonly=True
    )
    counts: Mapped[PostCount | None] = relationship(
        primaryjoin=lambda: and_(
            foreign(Post.author_id) == remote(PostCount.author_id), foreign(Post.post_id) == remote(PostCount.post_id)
        ),
        viewonly=True,
    )


class Like(Base):
    __tablename__ = "likes"

    author_id: Mapped[UUID] = mapped_column(primary_key=True)
    post_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    like_id: Mapped[UUID]


class UserLike(Base):
    __tablename__ = "user_likes"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    post_id: Mapped[UUID] = mapped_column(primary_key=True)
    author_id: Mapped[UUID]
    like_id: Mapped[UUID]


class UserRepost(Base):
    __tablename__ = "user_reposts"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    post_id: Mapped[UUID] = mapped_column(primary_key=True)


class Bookmark(Base):
    __tablename__ = "bookmarks"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    post_id: Mapped[UUID] = mapped_column(primary_key=True)


class Follow(Base):
    __tablename__ = "follows"

    follower_id: Mapped[UUID] = mapped_column(primary_key=True)
    followee_id: Mapped[UUID] = mapped_column(primary_key=True)


class Follower(Base):
    __tablename__ = "followers"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    follower_id: Mapped[UUID] = mapped_column(primary_key=True)


class Block(Base):
    __tablename__ = "blocks"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    other_id: Mapped[UUID] = mapped_column(primary_key=True)
    side: Mapped[str] = mapped_column(primary_key=True)


class Mute(Base):
    __tablename__ = "mutes"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    muted_id: Mapped[UUID] = mapped_column(primary_key=True)
    until: Mapped[datetime | None]


class Home(Base):
    __tablename__ = "homes"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    active: Mapped[bool]


class HomeEntry(Base):
    __tablename__ = "home_entries"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    post_id: Mapped[UUID] = mapped_column(primary_key=True)
    author_id: Mapped[UUID]


class PulledAuthor(Base):
    __tablename__ = "pulled_authors"

    author_id: Mapped[UUID] = mapped_column(primary_key=True)


class PublicPost(Base):
    __tablename__ = "public_posts"

    post_id: Mapped[UUID] = mapped_column(primary_key=True)
    author_id: Mapped[UUID]
