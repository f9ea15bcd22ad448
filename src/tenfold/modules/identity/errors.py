"""The refusals of identity. None of them says whether an e-mail address has an account."""

from tenfold.kit.refusals import Conflict, Forbidden, NotFound, NotSignedIn, TooManyRequests, Unprocessable


class SignInRefused(NotSignedIn):
    """The e-mail address or the password is not right, or the account may not sign in yet."""


class SecondFactorNeeded(NotSignedIn):
    """This account asks for a second factor: send `totp` (the code of the authenticator) or `recovery_code` as well."""


class SecondFactorRefused(NotSignedIn):
    """The code is not right, or was used before."""


class RefreshTokenRefused(NotSignedIn):
    """This refresh token is not valid any more; sign in again."""


class RefreshTokenReused(NotSignedIn):
    """This refresh token was replaced before; its session has been ended, because somebody else may hold a copy."""


class AccountIsBanned(Forbidden):
    """This account is banned."""


class PasswordIsWrong(Forbidden):
    """The password is not right."""


class TooManyTries(TooManyRequests):
    """Too many tries from here; wait, then try again."""


class WeakPassword(Unprocessable):
    """This password is too easy to guess; choose another one."""

    def __init__(self, problem: str, /, *, field: str = "body.password") -> None:
        """`problem` says what is wrong with it, and never quotes it."""
        super().__init__(f"{field}: {problem}", errors=[{"field": field, "problem": problem}])


class HandleTaken(Conflict):
    """This handle, or one that looks like it, belongs to somebody."""


class HandleIsReserved(Conflict):
    """This handle is kept for the service itself."""


class HandleChangedTooOften(Conflict):
    """Your last handles are still kept for you; change it again when one of them is free."""


class EmailTaken(Conflict):
    """This e-mail address belongs to another account by now."""


class CodeRefused(Unprocessable):
    """This code is not valid any more; ask for a new one."""


class SecondFactorIsOn(Conflict):
    """The second factor of this account is on already."""


class SecondFactorIsOff(Conflict):
    """This account has no second factor, or it is not confirmed yet."""


class SecondFactorIsRequired(Forbidden):
    """An administrator cannot be without a second factor."""


class UserNotFound(NotFound):
    """There is no such user."""


class SessionNotFound(NotFound):
    """There is no such session."""


class NotYourself(Conflict):
    """You cannot do this to your own account."""


class ChannelNotFound(NotFound):
    """There is no such channel, or you may not listen to it."""
