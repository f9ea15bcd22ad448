"""Access tokens: short-lived JWTs (Ed25519), verified once per process and remembered until they end.

A token carries everything a door needs to know of its actor, so no request asks the database who it is. What the
database says later reaches a token in two ways: its session is revoked, or its claims' version is outdated. Both are
told to this object by the bus (`revocation`), and re-read from the database after a gap.
"""

from base64 import urlsafe_b64decode
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from joserfc import jws

from tenfold.kit.actors import Actor, Role
from tenfold.kit.clock import Clock
from tenfold.kit.refusals import NotSignedIn, SessionIsOver, TokenIsExpired
from tenfold.modules.identity.keys import Keyring
from tenfold.modules.identity.shapes import IdentityPolicy

_ALGORITHM = "Ed25519"  # RFC 9864's name for EdDSA on this curve
_LONGEST = 2048
_LEEWAY = timedelta(seconds=5)


class Bearer(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a token is issued for: the actor, and the version of the claims as the database has it."""

    actor: Actor
    version: int


class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    iss: str
    sub: UUID
    sid: UUID
    iat: int
    exp: int
    ver: int
    role: Role = "user"
    tier: int = 0
    verified: bool = False
    second_factor_due: bool = False


class _Mark(msgspec.Struct, frozen=True, gc=False):
    """Claims below this version are refused until no token that carries them can be left."""

    version: int
    until: datetime


class Borne(msgspec.Struct, frozen=True, gc=False):
    """Whose token it is, and when it ends."""

    actor: Actor
    expires_at: datetime


_claims = msgspec.json.Decoder(_Claims)


class AccessTokens:
    """Issues and recognises access tokens. `authenticate` of a token seen before is one look-up."""

    def __init__(self, keyring: Keyring, *, policy: IdentityPolicy, clock: Clock) -> None:
        self._keyring = keyring
        self._policy = policy
        self._clock = clock
        self._headers = {self._header_of(kid): kid for kid in keyring.verifying_keys}
        self._remembered: dict[str, Borne] = {}
        self._of_session: dict[UUID, set[str]] = {}
        self._of_user: dict[UUID, set[UUID]] = {}
        self._revoked: dict[UUID, _Mark] = {}
        self._outdated: dict[UUID, _Mark] = {}

    @property
    def lifetime(self) -> timedelta:
        """How far back a token that is still valid may have been issued."""
        return self._policy.access_token_lasts + _LEEWAY

    def issue(self, bearer: Bearer) -> str:
        """A token for this bearer, from now on for as long as the policy says."""
        actor, now = bearer.actor, int(self._clock.now().timestamp())
        claims = _Claims(
            iss=self._policy.issuer,
            sub=actor.id,
            sid=actor.session_id,
            iat=now,
            exp=now + int(self._policy.access_token_lasts.total_seconds()),
            ver=bearer.version,
            role=actor.role,
            tier=actor.tier,
            verified=actor.verified,
            second_factor_due=actor.second_factor_due,
        )
        header = {"alg": _ALGORITHM, "typ": "at+jwt", "kid": self._keyring.signing_kid}
        return jws.serialize_compact(
            header, msgspec.json.encode(claims), self._keyring.signing_key, algorithms=[_ALGORITHM]
        )

    def authenticate(self, token: str) -> Actor:
        """Who bears this token. Raises `NotSignedIn` when it is forged, expired, revoked or outdated."""
        remembered = self._remembered.get(token)
        if remembered is None:
            remembered = self._remember(token, self.read(token))
        if remembered.expires_at <= self._clock.now():
            self._forget(token)
            raise TokenIsExpired("The access token has expired; refresh it.")
        return remembered.actor

    def remembers(self, token: str) -> bool:
        """Whether this token was verified here, and neither expired out of memory nor was revoked since."""
        return token in self._remembered

    def read(self, token: str) -> Borne:
        """Like `authenticate`, with the token's end, and without remembering it: a socket shows its token only once."""
        borne = self._remembered.get(token) or self._verified(token)
        if borne.expires_at <= self._clock.now():
            raise TokenIsExpired("The access token has expired; refresh it.")
        return borne

    def revoke_sessions(self, session_ids: Iterable[UUID]) -> None:
        """Refuse every token of these sessions from now on."""
        mark = self._mark(0)
        self._prune()
        for session_id in session_ids:
            self._revoked[session_id] = mark
            for token in list(self._of_session.get(session_id, ())):
                self._forget(token)

    def outdate(self, user_id: UUID, version: int) -> None:
        """Refuse tokens of a user whose claims are older than this version; a refresh brings new ones."""
        known = self._outdated.get(user_id)
        if known is not None and known.version >= version:
            return
        self._prune()
        self._outdated[user_id] = self._mark(version)
        for session_id in list(self._of_user.get(user_id, ())):
            for token in list(self._of_session.get(session_id, ())):
                self._forget(token)

    def _verified(self, token: str) -> Borne:
        claims = self._claims_of(token)
        # Mostly both are empty, and to look up a UUID is not free.
        if self._revoked and claims.sid in self._revoked:
            raise SessionIsOver("This session has ended; sign in again.")
        outdated = self._outdated.get(claims.sub) if self._outdated else None
        if outdated is not None and claims.ver < outdated.version:
            raise TokenIsExpired("The account has changed; refresh the access token.")
        actor = Actor(
            id=claims.sub,
            session_id=claims.sid,
            role=claims.role,
            tier=claims.tier,
            verified=claims.verified,
            second_factor_due=claims.second_factor_due,
        )
        return Borne(actor, datetime.fromtimestamp(claims.exp, UTC))

    def _claims_of(self, token: str) -> _Claims:
        try:
            signed, _, signature = token.encode("ascii").rpartition(b".")
            header, _, payload = signed.partition(b".")
            if len(token) > _LONGEST or not self._keyring.signed(self._headers[header], signed, signature):
                raise NotSignedIn("The access token is not valid.")
            claims = _claims.decode(urlsafe_b64decode(payload + b"=="))
        except (msgspec.MsgspecError, KeyError, ValueError):
            raise NotSignedIn("The access token is not valid.") from None
        if claims.iss != self._policy.issuer:
            raise NotSignedIn("The access token is not valid.")
        return claims

    def _header_of(self, kid: str) -> bytes:
        """How the header of our tokens reads, encoded: one that reads differently is none of ours."""
        header = {"alg": _ALGORITHM, "typ": "at+jwt", "kid": kid}
        token = jws.serialize_compact(header, b"", self._keyring.verifying_keys[kid], algorithms=[_ALGORITHM])
        return token.partition(".")[0].encode()

    def _remember(self, token: str, remembered: Borne) -> Borne:
        # The one remembered first expires first, or nearly so: it makes room.
        while len(self._remembered) >= self._policy.remembered_tokens:
            self._forget(next(iter(self._remembered)))
        actor = remembered.actor
        self._remembered[token] = remembered
        self._of_session.setdefault(actor.session_id, set()).add(token)
        self._of_user.setdefault(actor.id, set()).add(actor.session_id)
        return remembered

    def _forget(self, token: str) -> None:
        remembered = self._remembered.pop(token, None)
        if remembered is None:
            return
        actor = remembered.actor
        tokens = self._of_session[actor.session_id]
        tokens.discard(token)
        if not tokens:
            del self._of_session[actor.session_id]
            sessions = self._of_user[actor.id]
            sessions.discard(actor.session_id)
            if not sessions:
                del self._of_user[actor.id]

    def _mark(self, version: int) -> _Mark:
        return _Mark(version, self._clock.now() + self.lifetime)

    def _prune(self) -> None:
        """Drop what no token can fall under any more; what was put in first ends first."""
        now = self._clock.now()
        for entries in (self._revoked, self._outdated):
            for key in list(entries):
                if entries[key].until > now:
                    break
                del entries[key]
