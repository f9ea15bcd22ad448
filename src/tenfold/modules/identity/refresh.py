"""Refresh tokens as texts: opaque to clients, saying whose row to look at, and made by nobody but this installation.

A token is its owner, its session, its generation in the session's family, 24 secret bytes, and 12 bytes that prove that
it was made here: so a copy replaced long ago is told from an invention without a row for every token there was.
The successor's secret follows from the token itself and a key. So however many ask at once, and whenever a client that
lost the answer asks again, they are told the same successor, while the database holds nothing but hashes.
"""

import base64
import binascii
import hashlib
import hmac
import os
import struct
from uuid import UUID

import msgspec

from tenfold.modules.identity.keys import Keyring

_PREFIX = "tfr_"
_LAYOUT = struct.Struct(">16s16sI24s")
_PROOF_BYTES = 12
_LENGTH = len(_PREFIX) + (_LAYOUT.size + _PROOF_BYTES) * 4 // 3


class RefreshToken(msgspec.Struct, frozen=True):
    """One token of a family, read."""

    user_id: UUID
    session_id: UUID
    generation: int
    secret: bytes

    def __repr__(self) -> str:
        return f"RefreshToken(session_id={self.session_id}, generation={self.generation})"

    @property
    def body(self) -> bytes:
        """Everything but the proof."""
        return _LAYOUT.pack(self.user_id.bytes, self.session_id.bytes, self.generation, self.secret)

    @property
    def digest(self) -> bytes:
        """What is stored of it."""
        return hashlib.sha256(self.body).digest()


def first_of_family(user_id: UUID, session_id: UUID) -> RefreshToken:
    """The token that a new session starts with."""
    return RefreshToken(user_id, session_id, 1, os.urandom(24))


def successors(keyring: Keyring, token: RefreshToken) -> list[RefreshToken]:
    """What replaces a token, by each key: the first is to be handed out, the others were, before the keys changed."""
    return [
        RefreshToken(token.user_id, token.session_id, token.generation + 1, mac[:24])
        for mac in keyring.macs("refresh token's successor", token.body)
    ]


def matching(candidates: list[RefreshToken], digest: bytes) -> RefreshToken | None:
    """The candidate with this digest, compared in constant time."""
    found = [candidate for candidate in candidates if hmac.compare_digest(candidate.digest, digest)]
    return found[0] if found else None


def to_text(keyring: Keyring, token: RefreshToken) -> str:
    """The text that a client keeps."""
    body = token.body
    proof = keyring.mac("refresh token's proof", body)[:_PROOF_BYTES]
    return _PREFIX + base64.urlsafe_b64encode(body + proof).decode()


def from_text(keyring: Keyring, text: str) -> RefreshToken | None:
    """Read a token back; None for a text that was not made here."""
    if len(text) != _LENGTH or not text.startswith(_PREFIX):
        return None
    try:
        raw = base64.b64decode(text[len(_PREFIX) :], altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    body, proof = raw[: _LAYOUT.size], raw[_LAYOUT.size :]
    if not keyring.made("refresh token's proof", body, proof):
        return None
    user, session, generation, secret = _LAYOUT.unpack(body)
    return RefreshToken(UUID(bytes=user), UUID(bytes=session), generation, secret)
