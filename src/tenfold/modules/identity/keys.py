"""The keyring: every key of identity, derived from one secret setting. Keys are never stored and never printed."""

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey, OKPKey

from tenfold.modules.identity.recognition import Recognition

SHORTEST_SECRET = 32


class Keyring:
    """Signs, authenticates and seals with the first secret; still accepts what any of the others made.

    To replace the secret, put the new one in front, and keep the old one until everything it made has expired.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        """`secrets`: random texts of 32 or more characters, the current one first. Short ones raise ValueError."""
        if not secrets or any(len(secret) < SHORTEST_SECRET for secret in secrets):
            raise ValueError(f"each secret key needs at least {SHORTEST_SECRET} characters")
        self._secrets = [secret.encode() for secret in secrets]
        pairs = [_signing_pair(secret) for secret in self._secrets]
        self.signing_kid, self.signing_key = pairs[0]
        self.verifying_keys: dict[str, OKPKey] = dict(pairs)
        self._own = {kid: Recognition(_private(key)) for kid, key in pairs}
        self._sealing_keys = dict(_sealing_pair(secret) for secret in self._secrets)

    def mac(self, purpose: str, message: bytes) -> bytes:
        """The 32 byte code that authenticates a message for a purpose (HMAC-SHA256), by the current secret."""
        return next(self.macs(purpose, message))

    def macs(self, purpose: str, message: bytes) -> Iterator[bytes]:
        """The same by each secret, the current one first."""
        for secret in self._secrets:
            yield hmac.digest(_derive(secret, purpose), message, "sha256")

    def made(self, purpose: str, message: bytes, mac: bytes) -> bool:
        """Was this code (or its beginning) made here? Compared in constant time."""
        return sum(hmac.compare_digest(expected[: len(mac)], mac) for expected in self.macs(purpose, message)) > 0

    def signed(self, kid: str, message: bytes, signature: bytes) -> bool:
        """Did our key of this id sign that? `signature` is base64url without padding; an unknown id signed nothing."""
        own = self._own.get(kid)
        return own is not None and own.recognises(message, signature)

    def seal(self, plain: bytes) -> str:
        """Encrypt a small secret for storage (A256GCM, as a compact JWE that names its key)."""
        kid, key = next(iter(self._sealing_keys.items()))
        return jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM", "kid": kid}, plain, key)

    def unseal(self, sealed: str) -> bytes:
        """Decrypt what `seal` made. Raises ValueError when none of the secrets opens it."""
        for key in self._sealing_keys.values():
            try:
                plain = jwe.decrypt_compact(sealed, key, algorithms=["dir", "A256GCM"]).plaintext
            except (JoseError, ValueError):
                continue
            if plain is not None:
                return plain
        raise ValueError("this was sealed with a secret that is not on the keyring")

    def public_keys(self) -> list[dict[str, Any]]:
        """The public halves of the signing keys, as a JWK set lists them (RFC 7517, RFC 8037)."""
        return [
            {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": "Ed25519"}
            for kid, key in self.verifying_keys.items()
        ]


def _derive(secret: bytes, purpose: str) -> bytes:
    return hmac.digest(secret, b"tenfold identity: " + purpose.encode(), "sha256")


def _signing_pair(secret: bytes) -> tuple[str, OKPKey]:
    key = OKPKey.derive_key(_derive(secret, "access tokens"), "Ed25519")
    return key.thumbprint(), key


def _private(key: OKPKey) -> Ed25519PrivateKey:
    private = key.private_key
    if not isinstance(private, Ed25519PrivateKey):
        raise TypeError("access tokens are signed with Ed25519")
    return private


def _sealing_pair(secret: bytes) -> tuple[str, OctKey]:
    raw = _derive(secret, "sealing")
    return hashlib.sha256(raw).hexdigest()[:12], OctKey.import_key(raw)
