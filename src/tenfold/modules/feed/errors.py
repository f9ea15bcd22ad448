"""The refusals of the feed. What an actor may not see is not found, whatever the reason."""

from tenfold.kit.refusals import Conflict, NotFound, Unprocessable


class PostNotFound(NotFound):
    """There is no such post."""


class ThisIsARepost(Conflict):
    """This is a repost; address the post that it repeats."""


class PostIsForFollowers(Conflict):
    """This post is for followers only; it cannot be reposted or quoted."""


class UserIsBlocked(Conflict):
    """You block this person; unblock them first."""


class FollowsTooMany(Conflict):
    """You follow as many people as one may; unfollow somebody first."""


class NotOneself(Unprocessable):
    """One cannot follow, block or mute oneself."""
