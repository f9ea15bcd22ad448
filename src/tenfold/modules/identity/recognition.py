"""Recognising what we have signed ourselves, by Ed25519, without a point of the curve.

Whoever holds the private key need not verify. A signature of a message M is R and S = r + k·a (RFC 8032, 5.1.6), where
`a` is the private scalar, `r` a hash of M that only the holder of the key can make, and `k` the hash of R, the public
key and M. We know `a` and can make `r`, so we can say which S belongs to the R that was given: two hashes and one
multiplication of numbers instead of one or two of points, a fifth of the time of signing. The signature that the key
made is recognised. Another R under the same message has another k: the S that would be recognised with it differs from
the one that was given out by (k' - k)·a, and who can tell that has the key.
"""

import hmac
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from hashlib import sha512

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_ORDER = 2**252 + 27742317777372353535851937790883648493
"""Of the group that Ed25519's base point generates (RFC 8032, 5.1)."""
_TEXT = 86
_BLIND = 8


class Recognition:
    """Knows the signatures of one private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        digest = sha512(key.private_bytes_raw()).digest()
        scalar = int.from_bytes(digest[:32], "little")
        self._scalar = scalar & (1 << 254) - 8 | 1 << 254
        self._nonces = digest[32:]
        self._public = key.public_key().public_bytes_raw()

    def recognises(self, message: bytes, signature: bytes) -> bool:
        """Did the key sign that? `signature` is base64url without padding, in the one spelling that it has.

        The private scalar is blinded anew each time (by a multiple of the order, which changes no result), since the
        time that Python takes to multiply may depend on the numbers. The comparison takes the same time always. What
        is compared with (`ours`) is as secret as the key: for another R it gives the key away. It is never logged.
        """
        if len(signature) != _TEXT:
            return False
        try:
            point = urlsafe_b64decode(signature + b"==")[:32]
        except Error:
            return False
        scalar = self._scalar + _ORDER * int.from_bytes(os.urandom(_BLIND), "little")
        nonce = int.from_bytes(sha512(self._nonces + message).digest(), "little")
        challenge = int.from_bytes(sha512(point + self._public + message).digest(), "little")
        answer = (nonce + challenge * scalar) % _ORDER
        ours = urlsafe_b64encode(point + answer.to_bytes(32, "little")).rstrip(b"=")
        return hmac.compare_digest(ours, signature)
