"""E-mail addresses: which are well formed, and which are the same. Whether a mailbox exists only a mail can tell."""

import re
import unicodedata

import idna

from tenfold.kit.refusals import Invalid

LONGEST = 254
_LONGEST_LOCAL = 64
# A dot-atom (RFC 5322, 3.2.3) that may hold any letter (RFC 6531); quoted local parts are not used by people.
_LOCAL = re.compile(r"[^\s\x00-\x20()<>\[\]:;@\\,\".\x7f-\x9f]+(?:\.[^\s\x00-\x20()<>\[\]:;@\\,\".\x7f-\x9f]+)*")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def read_email(field: str, text: str) -> str:
    """The address as it is written to: composed (NFC), its domain in ASCII. Raises `Invalid` naming the field."""
    address = _address(unicodedata.normalize("NFC", text.strip()))
    if address is None:
        raise Invalid(field, "is not an e-mail address")
    return address


def email_key(address: str) -> str:
    """What makes two addresses one: compatibility forms and case are folded (Unicode's NFKC_Casefold, in effect)."""
    folded = address
    for _ in range(2):
        folded = unicodedata.normalize("NFKC", folded).casefold()
    return unicodedata.normalize("NFKC", folded)


def key_of_text(text: str) -> str | None:
    """The key of whatever somebody typed; None when it is no address at all, and so nobody's."""
    address = _address(unicodedata.normalize("NFC", text.strip()))
    return None if address is None else email_key(address)


def _address(text: str) -> str | None:
    local, at, domain = text.rpartition("@")
    if not at or len(local) > _LONGEST_LOCAL or not _LOCAL.fullmatch(local):
        return None
    if any(unicodedata.category(letter) in ("Cf", "Cs", "Cn", "Co", "Cc") for letter in local):
        return None
    ascii_domain = _domain(domain)
    if ascii_domain is None or not _LOCAL.fullmatch(email_key(local)):
        return None
    address = f"{local}@{ascii_domain}"
    return address if len(email_key(address).encode()) <= LONGEST and len(address.encode()) <= LONGEST else None


def _domain(text: str) -> str | None:
    """A domain of at least two labels in its ASCII form (UTS 46, non-transitional)."""
    try:
        domain = text.lower() if text.isascii() else idna.encode(text, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        return None
    labels = domain.split(".")
    well_formed = len(labels) >= 2 and len(domain) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
    return domain if well_formed and not labels[-1].isdigit() else None
