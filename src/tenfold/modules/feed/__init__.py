"""Feed: posts, the people who follow them, and the timelines made of both.

Other modules follow its facts, and may ask what two people are to each other; they see nothing of its tables.
"""

from tenfold.modules.feed.events import (
    PostDeleted,
    PostEdited,
    PostLiked,
    PostPublished,
    PostUnliked,
    UserFollowed,
    UserUnfollowed,
)
from tenfold.modules.feed.shapes import Relationship
from tenfold.modules.feed.ties import blocked_among, hold_relationship, relationship

__all__ = [
    "PostDeleted",
    "PostEdited",
    "PostLiked",
    "PostPublished",
    "PostUnliked",
    "Relationship",
    "UserFollowed",
    "UserUnfollowed",
    "blocked_among",
    "hold_relationship",
    "relationship",
]
