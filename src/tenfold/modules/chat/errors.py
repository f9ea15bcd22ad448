"""The refusals of chat. A conversation that an actor is not in, and may not join, does not exist for them."""

from tenfold.kit.refusals import Conflict, Forbidden, NotFound, TooManyRequests, Unprocessable


class ConversationNotFound(NotFound):
    """There is no such conversation."""


class MessageNotFound(NotFound):
    """There is no such message."""


class MemberNotFound(NotFound):
    """There is no such member in this conversation."""


class NeedsAnAdmin(Forbidden):
    """Only owners and admins of this conversation may do this."""


class NeedsAnOwner(Forbidden):
    """Only owners of this conversation may do this."""


class NotYourMessage(Forbidden):
    """Only its sender may do this to a message."""


class OnlyAdminsWriteHere(Forbidden):
    """Only owners and admins write in this conversation."""


class TooSoon(TooManyRequests):
    """This conversation is in slow mode; wait before you write again."""


class ConversationIsFull(Conflict):
    """This conversation has as many members and invitations as it may."""


class TooManyConversations(Conflict):
    """You are in as many conversations as one may; leave one first."""


class TooManyInvitations(Conflict):
    """As many invitations as may wait for this person's answer; they cannot be asked at present."""


class LastOwner(Conflict):
    """You are the only owner; make somebody else one first."""


class TooManyKindsOfReactions(Conflict):
    """This message has as many kinds of reactions as it may; choose one of those."""


class TooManyPins(Conflict):
    """This conversation has as many pinned messages as it may; unpin one first."""


class RequestIsWaiting(Conflict):
    """Your request waits for an answer; until then you cannot write more."""


class ThisIsDirect(Conflict):
    """A direct conversation has its two people for good, and nothing to set."""


class NotWithOneself(Unprocessable):
    """One cannot hold a conversation with oneself alone."""
