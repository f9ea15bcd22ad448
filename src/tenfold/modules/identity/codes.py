"""One-time codes: those that are mailed, and the recovery codes of a second factor. Neither is stored in the clear."""

import base64
import binascii
import os
from uuid import UUID

from tenfold.modules.identity.keys import Keyring

_MAC_BYTES = 16
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that reads like something else
RECOVERY_CODES = 10


def mailed_code(keyring: Keyring, user_id: UUID, code_id: UUID) -> str:
    """The code of a row of `codes`: always the same for the same row, so that a mail sent twice holds the same link."""
    ids = user_id.bytes + code_id.bytes
    return base64.urlsafe_b64encode(ids + keyring.mac("mailed code", ids)[:_MAC_BYTES]).decode()


def read_mailed_code(keyring: Keyring, text: str) -> tuple[UUID, UUID] | None:
    """Whose code this is, and which; None for a text that was not made here."""
    try:
        raw = base64.b64decode(text.strip(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    ids, mac = raw[:32], raw[32:]
    if len(mac) != _MAC_BYTES or not keyring.made("mailed code", ids, mac):
        return None
    return UUID(bytes=ids[:16]), UUID(bytes=ids[16:])


def new_recovery_codes() -> list[str]:
    """Ten codes of ten letters and digits (49 bits each), such as `k7mq2-x9dfp`."""
    return [_recovery_code() for _ in range(RECOVERY_CODES)]


def recovery_hash(keyring: Keyring, user_id: UUID, code: str) -> bytes:
    """What is stored of a recovery code."""
    return keyring.mac("recovery code", _recovery_message(user_id, code))


def recovery_hashes(keyring: Keyring, user_id: UUID, code: str) -> list[bytes]:
    """What may be stored of it, by each key. Case, spaces and hyphens do not matter."""
    return list(keyring.macs("recovery code", _recovery_message(user_id, code)))


def _recovery_message(user_id: UUID, code: str) -> bytes:
    return user_id.bytes + "".join(code.lower().split()).replace("-", "").encode()


def _recovery_code() -> str:
    # 248 is the greatest multiple of 31 letters that a byte reaches: greater ones would favour some letters.
    letters = [_ALPHABET[byte % 31] for byte in os.urandom(40) if byte < 248][:10]
    return f"{''.join(letters[:5])}-{''.join(letters[5:])}" if len(letters) == 10 else _recovery_code()
