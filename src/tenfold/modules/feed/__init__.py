"""Feed: posts, the people who follow them, and the timelines made of both.

Other modules follow its facts; they see nothing of its tables.
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

__all__ = [
    "PostDeleted",
    "PostEdited",
    "PostLiked",
    "PostPublished",
    "PostUnliked",
    "UserFollowed",
    "UserUnfollowed",
]
