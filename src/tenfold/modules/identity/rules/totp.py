"""Time-based codes (RFC 6238): six digits, steps of 30 seconds, one step of drift either way, each good once."""

import hmac
from datetime import datetime

import pyotp
from pyotp.totp import TOTP

_STEP_SECONDS = 30
_DRIFT = (0, -1, 1)


def new_secret() -> str:
    """A new secret of 160 bits, as authenticators take it (base32)."""
    return pyotp.random_base32()


def address_of(secret: str, *, account: str, app_name: str) -> str:
    """The `otpauth:` address that a QR code holds."""
    return TOTP(secret).provisioning_uri(name=account, issuer_name=app_name)


def matching_step(secret: str, code: str, *, now: datetime, after_step: int) -> int | None:
    """The step that a code belongs to, if it is of about now and later than the last one used; else None."""
    totp, current = TOTP(secret), int(now.timestamp()) // _STEP_SECONDS
    steps = [current + drift for drift in _DRIFT]
    matching = [step for step in steps if hmac.compare_digest(totp.generate_otp(step), code)]
    fresh = [step for step in matching if step > after_step]
    return fresh[0] if fresh else None
