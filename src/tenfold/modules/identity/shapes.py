"""The values of identity: what doors take and answer, and what settings decide. Bodies never print what they hold."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tenfold.kit.actors import Role
from tenfold.modules.identity.rules.reserved import RESERVED_HANDLES
from tenfold.platform.limits import Rate

State = Literal["active", "deactivated", "banned", "erased"]
Purpose = Literal["verify_email", "reset_password", "change_email_old", "change_email_new"]
Tier = Annotated[int, Meta(ge=0, le=5)]

EmailText = Annotated[str, Meta(min_length=3, max_length=254, description="An e-mail address; case does not matter.")]
PasswordText = Annotated[str, Meta(min_length=1, max_length=1024, description="A password.")]
HandleText = Annotated[str, Meta(min_length=1, max_length=64, description="3 to 30 letters, digits, `_` and `.`.")]
NameText = Annotated[str, Meta(min_length=1, max_length=80, description="The name to show.")]
BioText = Annotated[str, Meta(max_length=500, description="A few lines about oneself.")]
AvatarText = Annotated[str, Meta(max_length=500, description="An https address of a picture.")]
DeviceText = Annotated[str, Meta(max_length=80, description="What to call this device in the list of sessions.")]
CodeText = Annotated[str, Meta(min_length=1, max_length=128, description="A code that was mailed.")]
TotpText = Annotated[str, Meta(pattern="^[0-9]{6}$", description="The six digits of the authenticator.")]
RecoveryText = Annotated[str, Meta(min_length=10, max_length=32, description="One of the recovery codes.")]
RefreshText = Annotated[str, Meta(min_length=1, max_length=256, description="The refresh token.")]
ReasonText = Annotated[str, Meta(min_length=1, max_length=500, description="Why, for the audit log and for the user.")]


@dataclass(frozen=True, kw_only=True)
class IdentityPolicy:
    """What the settings say about accounts and sessions."""

    public_url: str = "http://127.0.0.1:8000"
    """Where people reach the installation: links in mails begin with it."""
    app_name: str = "Tenfold"
    """What mails and authenticators call the installation."""
    issuer: str = "tenfold"
    """The `iss` of access tokens; tokens of another issuer are refused."""
    access_token_lasts: timedelta = timedelta(minutes=10)
    """How long an access token is valid."""
    refresh_grace: timedelta = timedelta(seconds=30)
    """How long a replaced refresh token still answers with its successor; later it ends the session."""
    session_idle: timedelta = timedelta(days=30)
    """A session that was not refreshed for this long is over."""
    session_lasts: timedelta = timedelta(days=180)
    """A session is over this long after signing in, however much it is used."""
    devices: int = 5
    """Sessions per user; signing in on one more ends the oldest."""
    remembered_tokens: int = 20_000
    """Access tokens that a process keeps verified, about 1 KB each."""
    sign_in_tries: Rate = Rate(10, timedelta(minutes=15))  # noqa: RUF009
    """Passwords that may be tried for one account from one address."""
    second_factor_tries: Rate = Rate(10, timedelta(minutes=15))  # noqa: RUF009
    """Codes of a second factor that may be tried for one account by those who know its password."""
    refreshes: Rate = Rate(300, timedelta(minutes=15))  # noqa: RUF009
    """Refreshes of one session."""
    mails_per_mailbox: Rate = Rate(6, timedelta(hours=1))  # noqa: RUF009
    """Mails that strangers can have sent to one mailbox (sign-up, reset, change)."""
    verification_lasts: timedelta = timedelta(days=3)
    """How long the code of a verification mail is valid."""
    reset_lasts: timedelta = timedelta(hours=1)
    """How long the code of a password reset is valid."""
    email_change_lasts: timedelta = timedelta(days=1)
    """How long both codes of a change of e-mail are valid."""
    handle_held: timedelta = timedelta(days=30)
    """How long a handle that was given up stays reserved for its old owner."""
    handles_held: int = 3
    """Handles that may be reserved for one user in this way."""
    reserved_handles: frozenset[str] = RESERVED_HANDLES
    """Handles that nobody can have, nor anything that looks like one of them."""
    unverified_may_sign_in: bool = True
    """Whether an account works before its e-mail is verified. False leaves strangers no way at all to learn which
    addresses have accounts, at the price of a mail before the first session."""
    admins_need_second_factor: bool = True
    """Whether an administrator's session is an ordinary user's until it passed a second factor."""
    ended_sessions_kept: timedelta = timedelta(days=30)
    """How long sessions that are over are kept."""


class _Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request body. It holds secrets, so its repr is its name."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class SignUp(_Body, frozen=True, kw_only=True):
    """What opens an account."""

    email: EmailText
    password: PasswordText
    handle: HandleText
    name: NameText


class SignIn(_Body, frozen=True, kw_only=True):
    """What opens a session."""

    email: EmailText
    password: PasswordText
    totp: TotpText | None = None
    recovery_code: RecoveryText | None = None
    device: DeviceText | None = None


class Refresh(_Body, frozen=True, kw_only=True):
    """What renews a session."""

    refresh_token: RefreshText


class Confirmation(_Body, frozen=True, kw_only=True):
    """The password again, and a code where the account has a second factor."""

    password: PasswordText
    totp: TotpText | None = None
    recovery_code: RecoveryText | None = None


class PasswordOnly(_Body, frozen=True, kw_only=True):
    """The password again."""

    password: PasswordText


class ProfileChange(_Body, frozen=True, kw_only=True):
    """Changes to a profile; what is left out stays."""

    handle: HandleText | UnsetType = UNSET
    name: NameText | UnsetType = UNSET
    bio: BioText | UnsetType = UNSET
    avatar: AvatarText | UnsetType | None = UNSET


class PasswordChange(_Body, frozen=True, kw_only=True):
    """The password and the one to replace it."""

    current: PasswordText
    new: PasswordText


class ResetRequest(_Body, frozen=True, kw_only=True):
    """Whose password is forgotten."""

    email: EmailText


class Reset(_Body, frozen=True, kw_only=True):
    """The code of the mail, and the new password."""

    code: CodeText
    password: PasswordText


class EmailChange(Confirmation, frozen=True, kw_only=True):
    """The new address, confirmed with the password."""

    email: EmailText


class MailedCode(_Body, frozen=True, kw_only=True):
    """A code that was mailed."""

    code: CodeText


class TotpCode(_Body, frozen=True, kw_only=True):
    """The code that the authenticator shows."""

    totp: TotpText


class TierChoice(_Body, frozen=True, kw_only=True):
    """The tier to put a user into."""

    tier: Tier


class RoleChoice(_Body, frozen=True, kw_only=True):
    """The role to give a user."""

    role: Role


class Ban(_Body, frozen=True, kw_only=True):
    """Why somebody is banned, and until when (null: until further notice)."""

    reason: ReasonText
    until: datetime | None = None


class Accepted(msgspec.Struct, frozen=True):
    """What happens next; the same whether or not there is such an account."""

    message: str


class NewAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, as it was understood. It says nothing about whether the address had an account before."""

    email: str
    handle: str
    name: str
    message: str


class Me(msgspec.Struct, frozen=True):
    """One's own account. `second_factor_due`: this is an administrator who has to enrol a second factor first."""

    id: UUID
    email: str
    email_verified: bool
    handle: str
    name: str
    bio: str
    avatar: str | None
    role: Role
    tier: int
    state: State
    second_factor: bool
    created_at: datetime
    second_factor_due: bool = False


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A session's tokens. `expires_in` is the seconds that the access token lasts."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105
    expires_in: int
    user: Me

    def __repr__(self) -> str:
        return f"SignedIn(user={self.user.id})"


class Session(msgspec.Struct, frozen=True):
    """One device that may speak for the user. `current` is the one that asks."""

    id: UUID
    device: str
    user_agent: str
    address: str
    second_factor: bool
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    current: bool


class Profile(msgspec.Struct, frozen=True):
    """What everybody may see of a user."""

    id: UUID
    handle: str
    name: str
    bio: str
    avatar: str | None
    created_at: datetime


class UserCard(msgspec.Struct, frozen=True):
    """What stands beside everything a user wrote."""

    id: UUID
    handle: str
    name: str
    avatar: str | None


class AdminUser(msgspec.Struct, frozen=True):
    """What an administrator sees of a user."""

    id: UUID
    email: str
    email_verified: bool
    handle: str
    name: str
    role: Role
    tier: int
    state: State
    ban_reason: str | None
    banned_until: datetime | None
    second_factor: bool
    created_at: datetime


class TotpSecret(msgspec.Struct, frozen=True):
    """A new second factor, to be confirmed with a code: the secret, and the address that a QR code holds."""

    secret: str
    uri: str

    def __repr__(self) -> str:
        return "TotpSecret(…)"


class RecoveryCodes(msgspec.Struct, frozen=True):
    """Codes that stand in for the authenticator, once each. They are shown this once."""

    recovery_codes: list[str]

    def __repr__(self) -> str:
        return "RecoveryCodes(…)"


class EmailChangeState(msgspec.Struct, frozen=True):
    """Whether the change is done, or the other mailbox has still to confirm it."""

    state: Literal["waiting", "changed"]


class SubscriptionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The channel that somebody wants to listen to."""

    channel: Annotated[str, Meta(min_length=1, max_length=255)]


class SubscriptionToken(msgspec.Struct, frozen=True):
    """What a subscription to a channel shows. `expires_in` is the seconds that it lasts."""

    token: str
    expires_in: int

    def __repr__(self) -> str:
        return f"SubscriptionToken(expires_in={self.expires_in})"


class KeySet(msgspec.Struct, frozen=True):
    """The public keys that verify access tokens (RFC 7517)."""

    keys: list[dict[str, Any]]


class Archive(msgspec.Struct, frozen=True):
    """Everything the installation knows of one person, by module."""

    exported_at: datetime
    modules: dict[str, Any]
