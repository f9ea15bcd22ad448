"""Identity: who people are, and which of their devices may speak for them.

Other modules see users as cards, and follow `UserHidden`, `UserShown` and `UserErased`. The assembly builds `Keyring`,
`Passwords`, `AccessTokens`, `Guard` and `Revocations`.
"""

from tenfold.modules.identity.actions.accounts import sign_up
from tenfold.modules.identity.actions.admin import grant_admin
from tenfold.modules.identity.actions.sign_in import sign_in
from tenfold.modules.identity.directory import cards, find_card, find_user_id, read_cards
from tenfold.modules.identity.errors import UserNotFound
from tenfold.modules.identity.events import (
    AccountOpened,
    ProfileChanged,
    RoleChanged,
    TierChanged,
    UserBlocked,
    UserErased,
    UserHidden,
    UserShown,
    UserUnblocked,
)
from tenfold.modules.identity.guard import Guard, card_tag
from tenfold.modules.identity.keys import Keyring
from tenfold.modules.identity.passwords import PasswordPolicy, Passwords
from tenfold.modules.identity.permits import SubscriptionTokens
from tenfold.modules.identity.revocation import Revocations, catch_up
from tenfold.modules.identity.rules.texts import without_addresses
from tenfold.modules.identity.shapes import IdentityPolicy, SignedIn, SignIn, SignUp, UserCard
from tenfold.modules.identity.tokens import AccessTokens

__all__ = [
    "AccessTokens",
    "AccountOpened",
    "Guard",
    "IdentityPolicy",
    "Keyring",
    "PasswordPolicy",
    "Passwords",
    "ProfileChanged",
    "Revocations",
    "RoleChanged",
    "SignIn",
    "SignUp",
    "SignedIn",
    "SubscriptionTokens",
    "TierChanged",
    "UserBlocked",
    "UserCard",
    "UserErased",
    "UserHidden",
    "UserNotFound",
    "UserShown",
    "UserUnblocked",
    "card_tag",
    "cards",
    "catch_up",
    "find_card",
    "find_user_id",
    "grant_admin",
    "read_cards",
    "sign_in",
    "sign_up",
    "without_addresses",
]
