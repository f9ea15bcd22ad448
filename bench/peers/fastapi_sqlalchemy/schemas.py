"""The peer's pydantic models: what its doors take and answer."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class Card(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID = Field(validation_alias="user_id")
    handle: str
    name: str
    avatar: str | None


class Counts(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    likes: int = 0
    reposts: int = 0
    quotes: int = 0
    replies: int = 0


class Viewer(BaseModel):
    liked: bool
    bookmarked: bool
    reposted: bool
    follows_author: bool


class Ref(BaseModel):
    author_id: UUID
    id: UUID


class PostOut(BaseModel):
    id: UUID
    author: Card
    body: str
    visibility: Literal["public", "followers"]
    lang: str | None
    created_at: datetime
    edited_at: datetime | None
    counts: Counts
    viewer: Viewer | None
    reply_to: Ref | None = None
    root: Ref | None = None


class PostPage(BaseModel):
    items: list[PostOut]
    next: str | None


class Draft(BaseModel):
    model_config = ConfigDict(extra="forbid")

    body: str = Field(min_length=1, max_length=5000)
    visibility: Literal["public", "followers"] = "public"
    lang: str | None = Field(default=None, max_length=35)


class SignIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    email: str = Field(min_length=3, max_length=254)
    password: str = Field(min_length=1, max_length=1024)


class SignedIn(BaseModel):
    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int
    user: Card
