"""Subscription tokens: short JWTs (HS256) with which one user may listen to one channel without being looked up again.

Claims are those that Centrifugo reads: `sub`, `channel`, `exp`. The key is derived from the keyring for this alone, so
no other token of ours passes for one of these, nor one of these for another.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from tenfold.kit.clock import Clock
from tenfold.kit.refusals import NotSignedIn, TokenIsExpired
from tenfold.modules.identity.keys import Keyring
from tenfold.modules.identity.shapes import IdentityPolicy
from tenfold.platform.realtime.lobby import Permit

_PURPOSE = "subscription tokens"
_LONGEST = 2048
_MAC_SIZE = 32


class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    iss: str
    sub: UUID
    channel: str
    iat: int
    exp: int


_claims = msgspec.json.Decoder(_Claims)


class SubscriptionTokens:
    """Issues subscription tokens, which last as long as access tokens, and reads them."""

    def __init__(self, keyring: Keyring, *, policy: IdentityPolicy, clock: Clock) -> None:
        self._keyring = keyring
        self._policy = policy
        self._clock = clock

    @property
    def lifetime(self) -> timedelta:
        """How long a token is valid."""
        return self._policy.access_token_lasts

    def issue(self, user_id: UUID, channel: str) -> str:
        """A token for somebody who may listen to this channel now."""
        now = int(self._clock.now().timestamp())
        claims = _Claims(
            iss=self._policy.issuer,
            sub=user_id,
            channel=channel,
            iat=now,
            exp=now + int(self.lifetime.total_seconds()),
        )
        signed = _HEADER + b"." + _encoded(msgspec.json.encode(claims))
        return (signed + b"." + _encoded(self._keyring.mac(_PURPOSE, signed))).decode()

    def read(self, token: str) -> Permit:
        """What a token permits. Raises `TokenIsExpired` for one that was good, `NotSignedIn` for any other."""
        claims = self._claims_of(token)
        expires_at = datetime.fromtimestamp(claims.exp, UTC)
        if expires_at <= self._clock.now():
            raise TokenIsExpired("The subscription token has expired; ask for a new one.")
        return Permit(claims.sub, claims.channel, datetime.fromtimestamp(claims.iat, UTC), expires_at)

    def _claims_of(self, token: str) -> _Claims:
        try:
            signed, _, mac = token.encode("ascii").rpartition(b".")
            header, _, payload = signed.partition(b".")
            if len(token) > _LONGEST or header != _HEADER or not self._signed(signed, _decoded(mac)):
                raise NotSignedIn("The subscription token is not valid.")
            claims = _claims.decode(_decoded(payload))
        except (msgspec.MsgspecError, ValueError):
            raise NotSignedIn("The subscription token is not valid.") from None
        if claims.iss != self._policy.issuer:
            raise NotSignedIn("The subscription token is not valid.")
        return claims

    def _signed(self, message: bytes, mac: bytes) -> bool:
        return len(mac) == _MAC_SIZE and self._keyring.made(_PURPOSE, message, mac)


def _encoded(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")


def _decoded(text: bytes) -> bytes:
    return urlsafe_b64decode(text + b"==")


_HEADER = _encoded(b'{"alg":"HS256","typ":"JWT"}')
